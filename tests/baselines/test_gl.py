"""G&L: the networks against the recorded outputs, the three phases, Poisson blending."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import masks
from baselines.gl import GL, poisson_blend
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.mmediting import local_patch


def create(preset: str = "tiny", **options: object) -> GL:
    torch.manual_seed(0)
    return GL.create(preset, **options)


def batch(count: int = 2) -> Batch:
    image = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


@pytest.mark.parametrize("preset", ["paper", "original"])
def test_published_schedule(preset: str) -> None:
    with torch.device("meta"):
        stages = GL.create(preset).stages("embedded")
    assert [stage.name for stage in stages] == ["completion", "discriminators", "joint"]
    expected = (40_000, 10_000, 250_002) if preset == "paper" else (90_000, 10_000, 400_000)
    assert tuple(stage.iterations for stage in stages) == expected
    assert sum(stage.share for stage in stages) == pytest.approx(1)


def test_the_original_draws_a_hole_for_each_image() -> None:
    with torch.device("meta"):
        stages = GL.create("original").stages("embedded")
    assert {stage.masks for stage in stages} == {"gl-original"}
    holes = [masks.training("gl-original", 256, 0, i) for i in range(40)]
    sides = {int(hole.any(axis).sum()) for hole in holes for axis in (0, 1)}
    assert min(sides) >= 96 and max(sides) <= 128 and len(sides) > 5
    assert not masks.TRAINING["gl-original"].per_batch


@pytest.mark.parametrize("variant", ["mmediting", "original"])
def test_real_patches_of_the_original_come_from_anywhere(variant: str) -> None:
    stage, data, seen = create(variant=variant).stages("embedded")[2], batch(), []
    stage.discriminators.local_disc.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    stage.step(data, lambda name, loss: None, Noise.shared(0, 2))
    real, fake, _ = seen
    around = local_patch(data.image, data.mask, 32)
    assert torch.equal(real, around) == (variant == "mmediting")
    known = (1 - local_patch(data.mask, data.mask, 32)).bool().expand(-1, 3, -1, -1)
    assert torch.equal(fake[known], around[known]), "completed images are seen around their hole"


def test_each_phase_updates_its_networks() -> None:
    stages, found = create().stages("embedded"), []
    for stage in stages:
        order: list[str] = []
        stage.step(batch(), lambda name, loss, order=order: order.append(name), Noise.shared(0, 2))
        assert sorted(order) == sorted(stage.optimisers())
        found.append(order)
    assert found == [["generator"], ["discriminators"], ["discriminators", "generator"]]
    assert stages[1].discriminators is stages[2].discriminators, "the third phase goes on with the trained ones"


def test_original_fills_holes_with_the_mean_colour_of_the_training_images() -> None:
    method, data = create(variant="original"), batch()
    stage = method.stages("embedded")[0]
    for shift in (0.0, 0.2, 0.4):
        given = Batch(data.image + shift, data.mask)
        stage.step(given, lambda name, loss: None, Noise.shared(0, 2))
    torch.testing.assert_close(method.colour, (data.image + 0.2).mean((0, 2, 3), keepdim=True))
    seen = []
    method.generator.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    method.predict(data)
    torch.testing.assert_close(seen[0][:, :3, 30, 30], method.colour[:, :, 0, 0].expand(2, 3))
    assert create().colour.abs().sum() == 0


def test_reconstruction_counts_the_hole_alone() -> None:
    data = batch()
    output = data.image + 0.5 * data.mask + 7 * (1 - data.mask)
    l1, squared = (create(variant=v).stages("embedded")[0].reconstruction(output, data).item()
                   for v in ("mmediting", "original"))  # fmt: skip
    assert l1 == pytest.approx(0.5, rel=1e-4)
    assert squared == pytest.approx(0.25 * data.mask.mean().item(), rel=1e-4)


def test_poisson_blending_removes_a_constant_shift() -> None:
    """A completion that is right but for its brightness becomes exact; the gradients are the completion's own."""
    image = np.random.default_rng(0).uniform(-1, 1, (3, 20, 24))
    mask = np.zeros((20, 24))
    mask[0:8, 0:10], mask[12:17, 8:20] = 1, 1  # one hole touches the border
    known = image * (1 - mask)
    np.testing.assert_allclose(poisson_blend(image + 0.3, known, mask) * mask, image * mask, atol=1e-9)


def test_poisson_blending_of_a_flat_completion_is_harmonic() -> None:
    y, x = np.mgrid[:16, :16] / 15
    image = np.stack([y, x, y + x])  # harmonic
    mask = np.zeros((16, 16))
    mask[4:12, 5:11] = 1
    blended = poisson_blend(np.zeros_like(image), image * (1 - mask), mask)
    np.testing.assert_allclose(blended * mask, image * mask, atol=1e-9)


def test_poisson_blending_without_a_border_keeps_the_completion() -> None:
    output = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8))
    assert poisson_blend(output, 0 * output, np.ones((8, 8))) is output
    assert poisson_blend(output, output, np.zeros((8, 8))) is output


def test_postprocessing_changes_the_hole_alone() -> None:
    data = batch()
    plain, blended = (create(postprocessing=kind).eval() for kind in ("none", "poisson"))
    blended.load_state_dict(plain.state_dict())
    with torch.no_grad():
        one, other = (m.complete(data, Noise([0, 1])) for m in (plain, blended))
    assert torch.equal(one * (1 - data.mask), other * (1 - data.mask))
    assert (one - other).abs().max() > 1e-3
    assert other.dtype == torch.float32


def test_sizes_and_checkpoints_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 4"):
        create().complete(Batch(torch.zeros(1, 3, 62, 64), torch.zeros(1, 1, 62, 64)), Noise([0]))
    with pytest.raises(BenchError, match="Torch7"):
        create(variant="original").load_official({})
