"""GConv: the networks against the recorded outputs, both variants, the losses."""

from __future__ import annotations

import pytest
import torch

from baselines.gconv import GConv
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.gated import GatedConv, PaddedConv
from bench.profile import count_macs, count_parameters


def create(preset: str = "tiny", **options: object) -> GConv:
    torch.manual_seed(0)
    return GConv.create(preset, **options)


def batch(count: int = 2) -> Batch:
    image = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def test_release_has_the_published_size() -> None:
    with torch.device("meta"):
        generator = GConv.create("release").generator
    assert count_parameters(generator) == 4_052_478
    assert count_parameters(generator.stage1) == 1_631_151
    assert count_parameters(generator.stage2) == 2_421_327
    image, mask = (1, 3, 256, 256), (1, 1, 256, 256)
    macs = count_macs(lambda network: network(torch.empty(image), torch.empty(mask)), generator)
    assert macs == pytest.approx(27.73e9, rel=0.005)


def test_another_coarse_image_changes_the_completion() -> None:
    method, data = create().eval(), batch()
    with torch.no_grad():
        first = method.complete(data, Noise([0, 1]))
        method.generator.stage1.register_forward_hook(lambda module, inputs, output: output + 0.5)
        second = method.complete(data, Noise([0, 1]))
    assert ((first - second) * data.mask).abs().mean() > 1e-5


def test_release_pads_with_zeros_and_has_no_gate_at_the_end() -> None:
    paper, release = (GConv.create(preset, width=8, joint_width=8).generator for preset in ("paper", "release"))
    for generator, last, padding in ((paper, GatedConv, "reflect"), (release, PaddedConv, "same")):
        assert isinstance(generator.stage1.decoder.dec7, last) and isinstance(generator.stage2.decoder.dec7, last)
        assert {m.padding for m in generator.modules() if isinstance(m, PaddedConv)} == {padding}
    assert release.stage2.encoder_conv.enc1.conv.conv.in_channels == 3


@pytest.mark.parametrize("variant", ["mmediting", "release"])
def test_losses(variant: str) -> None:
    """The discriminator is updated first; a perfect output has no reconstruction loss, a shifted one its shift."""
    stage, data, order = create(variant=variant).stages("embedded")[0], batch(), []
    losses = stage.step(data, lambda name, loss: order.append(name), Noise.shared(0, 2))
    assert order == ["discriminator", "generator"]
    assert all(value.isfinite() for value in losses.values())
    assert stage.reconstruction(data.image, data).item() == 0
    twice = 2 if variant == "mmediting" else 1  # hole and known part, each by its own size
    assert stage.reconstruction(data.image + 0.5, data).item() == pytest.approx(0.5 * twice, rel=1e-4)


def test_checkpoint_is_turned_to_rgb() -> None:
    source, target = create(), GConv.create("tiny")
    target.load_official({"state_dict": source.state_dict()})
    swapped = Batch(batch().image.flip(1), batch().mask)
    with torch.no_grad():
        theirs = source.eval().complete(batch(), Noise([0, 1]))
        ours = target.eval().complete(swapped, Noise([0, 1]))
    torch.testing.assert_close(ours, theirs.flip(1), atol=1e-5, rtol=1e-4)
    with pytest.raises(BenchError, match="TensorFlow"):
        create(variant="release").load_official({})
