"""GMCNN: the networks against the authors' outputs, the confidence weights, the two phases."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.gmcnn import GMCNN, Discriminators, blur_line, confidence, crop_to_hole
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.profile import count_parameters


def create(**options) -> GMCNN:
    torch.manual_seed(0)
    return GMCNN.create("tiny", **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes of half of the side."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(size, 3, 8, 8, generator=generator), (64, 64), mode="bilinear") * 2 - 1
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:52, 8:40] = 1
    return Batch(image, mask)


def test_columns_have_the_published_sizes() -> None:
    with torch.device("meta"):
        generator = GMCNN.create("paper").generator
        counts = [count_parameters(part) for part in generator.children()]
        columns = [column(torch.empty(1, 4, 256, 256)).shape[1:] for column in list(generator.children())[:3]]
    assert counts == [7_132_576, 3_947_040, 1_449_568, 32_707]
    assert columns == [(128, 256, 256), (64, 256, 256), (32, 256, 256)]


def test_discriminators_of_the_card() -> None:
    with torch.device("meta"):
        networks = Discriminators(GMCNN.create("paper").config)
    assert count_parameters(networks) == GMCNN.card.params["discriminators"]


def test_confidence_falls_from_the_border_inwards() -> None:
    mask = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    mask[..., 16:48, 16:48] = 1
    weights = confidence(mask, 17)
    assert weights[mask == 0].abs().max() == 0
    row = weights[0, 0, 32, 16:33]
    assert (row.diff() < 0).all() and row.min() > 0 and row.max() < 1
    assert torch.allclose(weights, weights.flip(3)) and torch.allclose(weights, weights.mT)


def test_confidence_after_one_iteration_is_the_known_share_of_the_window() -> None:
    mask = batch().mask.double()
    share = F.avg_pool2d(F.pad(1 - mask, (8, 8, 8, 8), mode="reflect"), 17, stride=1) * mask
    torch.testing.assert_close(confidence(mask, 17, iterations=1), share, atol=1e-3, rtol=0)
    line = blur_line(65)
    assert line.sum().item() == pytest.approx(1) and line.max() / line.min() < 1.0006


def test_crop_begins_at_the_hole_and_stays_inside() -> None:
    image = torch.arange(2 * 64 * 64.0).view(2, 1, 64, 64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, 20:52, 8:40] = 1
    mask[1, :, 60:62, 50:55] = 1
    crops = crop_to_hole(image, mask, 32)
    assert torch.equal(crops[0], image[0, :, 20:52, 8:40])
    assert torch.equal(crops[1], image[1, :, 32:, 32:])


@pytest.mark.parametrize("local", ["rectangle", "image"])
def test_discriminators_are_updated_first_and_as_often_as_published(local: str) -> None:
    method = create(local=local, discriminator_updates=5).train()
    pretrain, adversarial = method.stages("embedded")
    order: list[str] = []

    def update(name: str, loss: Tensor) -> None:
        assert loss.isfinite()
        order.append(name)

    assert pretrain.step(batch(), update, Noise.shared(0, 2)).keys() == {"reconstruction", "known"}
    adversarial.step(batch(), update, Noise.shared(0, 2))
    assert order == ["generator", *["discriminators"] * 5, "generator"]
    seen = []
    adversarial.discriminators.local_discriminator.register_forward_pre_hook(lambda m, x: seen.append(x[0].shape[-1]))
    adversarial.step(batch(), update, Noise.shared(0, 2))
    assert set(seen) == {32 if local == "rectangle" else 64}


def test_reconstruction_losses_on_numbers() -> None:
    stage, data = create().stages("embedded")[0], batch()
    stage.method.generator.forward = lambda masked, mask: data.image + 0.25 + 0.25 * mask
    composite, losses, total = stage.reconstruct(data)
    weights = confidence(data.mask, 17)
    assert torch.equal(composite * (1 - data.mask), data.masked)
    assert losses["known"].item() == pytest.approx(0.25, rel=1e-4)
    assert losses["reconstruction"].item() == pytest.approx(0.5 * (weights.sum() / data.mask.sum()).item(), rel=1e-4)
    assert total.item() == pytest.approx(1.4 * losses["reconstruction"].item() + 1.2 * 0.25, rel=1e-4)


def test_wrong_sizes_are_refused() -> None:
    generator = create().generator
    with pytest.raises(BenchError, match="multiples of 4 from 52 on, not 66 x 64"):
        generator(torch.zeros(1, 3, 66, 64), torch.zeros(1, 1, 66, 64))
    with pytest.raises(BenchError, match="from 52 on, not 48 x 48"):
        generator(torch.zeros(1, 3, 48, 48), torch.zeros(1, 1, 48, 48))
    with pytest.raises(BenchError, match="64 x 64, as its option `resolution` says, not 96 x 96"):
        Discriminators(create().config)(*torch.zeros(2, 1, 3, 96, 96))
