"""PConv: the network against MMEditing's outputs, its losses on numbers, the frozen fine-tuning."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.pconv import PConv, PConvStage
from bench.errors import BenchError
from bench.method import Batch, Noise


def create(**options) -> PConv:
    torch.manual_seed(0)
    return PConv.create("tiny", **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(size, 3, 8, 8, generator=generator), (64, 64), mode="bilinear") * 2 - 1
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def stage(number: int, **options) -> PConvStage:
    return create(**options).train().stages("embedded")[number]


def test_official_weights_are_turned_from_bgr_to_rgb() -> None:
    source, target = create().eval(), create().eval()
    for layer in (source.generator.encoder.enc1.conv, source.generator.decoder.dec1.conv):
        nn.init.normal_(layer.bias)
    state = {f"generator.{name}": value for name, value in source.generator.state_dict().items()}
    state |= {"generator.encoder.enc1.conv.weight_mask_updater": torch.ones(1), "loss_percep.vgg.0": torch.ones(1)}
    target.load_official({"state_dict": state})
    data = batch()
    with torch.no_grad():
        known = (1 - data.mask).expand(-1, 3, -1, -1)
        theirs = source.generator(data.masked.flip(1), known).flip(1)
        torch.testing.assert_close(target.complete(data, Noise([0, 1])), theirs)


def losses(number: int, **options) -> dict[str, Tensor]:
    """The losses of one step whose output is the image plus 1/4 on known pixels and plus 1/2 in the hole."""
    tried, data = stage(number, **options), batch()
    output = (data.image + 0.25 + 0.25 * data.mask).requires_grad_()
    tried.method.complete = lambda batch, noise: output
    return tried.step(data, lambda name, loss: None, Noise.shared(0, 2))


def test_averages_over_the_picture_or_over_each_region() -> None:
    share = 24 * 24 / 64**2
    paper, mmediting = losses(0), losses(0, normalise="mmediting")
    assert paper["valid"].item() == pytest.approx(0.25 * (1 - share), rel=1e-4)
    assert paper["hole"].item() == pytest.approx(0.5 * share, rel=1e-4)
    assert mmediting["valid"].item() == pytest.approx(0.25, rel=1e-4)
    assert mmediting["hole"].item() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(("normalise", "expected"), [("paper", 2 * 4 / (5 * 6)), ("mmediting", 2 * 2 / 4)])
def test_total_variation_of_a_filled_square(normalise: str, expected: float) -> None:
    """A 2 x 2 hole of ones in zeros: four border pairs a direction when it is grown, two of four pairs as it is."""
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., 2:4, 2:4] = 1
    found = stage(0, normalise=normalise).variation(mask.expand(-1, 3, -1, -1), mask)
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("number", [0, 1])
def test_fine_tuning_freezes_the_encoders_batch_norms_entirely(number: int) -> None:
    tried = stage(number)
    generator, optimiser = tried.method.generator, tried.optimisers()["generator"]
    rates = tried.config.learning_rate, tried.config.finetune_rate
    assert optimiser.param_groups[0]["lr"] == rates[number]
    norms = {name: layer for name, layer in generator.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    before = {name: [value.clone() for value in layer.state_dict().values()] for name, layer in norms.items()}

    def update(name: str, loss: Tensor) -> None:
        loss.backward()
        optimiser.step()

    tried.step(batch(), update, Noise.shared(0, 2))
    for name, layer in norms.items():
        changed = [not torch.equal(a, b) for a, b in zip(layer.state_dict().values(), before[name], strict=True)]
        assert changed == [not (number == 1 and name.startswith("encoder"))] * 5


def test_every_pixel_of_the_hole_is_filled_from_the_known_ones() -> None:
    generator, data = create().eval().generator, batch()
    with torch.no_grad():
        levels = generator.encoder(data.masked, (1 - data.mask).expand(-1, 3, -1, -1))
        shares = [mask.mean().item() for _, mask in levels]
        assert shares == sorted(shares) and shares[0] < shares[-1] == 1
        assert generator.decoder(levels)[1].min() == 1


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 32, not 64 x 80"):
        create().generator(*torch.zeros(2, 1, 3, 64, 80))
