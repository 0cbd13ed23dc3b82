"""CA: the networks against the recorded outputs, the losses on numbers, the rhythm of the updates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.ca import CA, spatial_discount
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.profile import count_parameters


def create(preset: str = "tiny", **options: object) -> CA:
    torch.manual_seed(0)
    return CA.create(preset, **options)


def batch(count: int = 2, size: int = 64) -> Batch:
    image = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, size, size)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def test_release_has_as_many_parameters() -> None:
    with torch.device("meta"):
        method = CA.create("release")
    assert count_parameters(method.generator) == CA.card.params["generator"]


@pytest.mark.parametrize("variant", ["mmediting", "release"])
def test_discriminators_train_every_time_the_generator_at_its_turn(variant: str) -> None:
    stage = create(variant=variant, discriminator_steps=3).stages("embedded")[0]
    order: list[str] = []
    for i in range(4):
        losses = stage.step(batch(), lambda name, loss: order.append(name), Noise.shared(i, 2))
        assert all(value.isfinite() for value in losses.values())
    assert order == ["discriminators", "generator"] + ["discriminators"] * 3 + ["generator"]
    other = create(variant=variant, discriminator_steps=3).stages("embedded")[0]
    other.load_state_dict(stage.state_dict())
    order.clear()
    other.step(batch(), lambda name, loss: order.append(name), Noise.shared(0, 2))
    assert order == ["discriminators"], "a resumed run keeps the turn"


def test_wasserstein_losses_with_drift() -> None:
    stage, data = create(drift=0.1).stages("embedded")[0], batch()

    class Judge(torch.nn.Module):
        def __init__(self, real: float, fake: float):
            super().__init__()
            self.real, self.fake = real, fake

        def forward(self, x: Tensor) -> Tensor:
            value = self.real if x.abs().sum() > 0 else self.fake
            return 0 * x.sum((1, 2, 3)) + value

    stage.discriminators.global_disc, stage.discriminators.local_disc = Judge(3.0, 1.0), Judge(2.0, -1.0)
    losses = stage.judge(data, torch.zeros_like(data.image), Noise.shared(0, 2))
    assert losses["discriminators"].item() == pytest.approx(1 - 1 - 3 - 2 + 0.1 * (1 + 1 + 9 + 4) / 2, rel=1e-5)
    # no gradient anywhere: (0 - 1)² over all pixels, by the share of the hole for the global one
    assert losses["penalty"].item() == pytest.approx(1 / data.mask.mean().item() + 1, rel=1e-4)


def test_reconstruction_weighs_regions_by_their_own_size() -> None:
    stage, data = create(hole=2.0, known=3.0).stages("embedded")[0], batch()
    output = data.image + 0.5 * data.mask - 0.25 * (1 - data.mask)
    assert stage.reconstruction(output, data).item() == pytest.approx(2 * 0.5 + 3 * 0.25, rel=1e-4)


def test_the_release_weighs_its_whole_patch_and_the_known_part_by_its_size() -> None:
    """The patch of 32 pixels stands 4 pixels over the hole of 24; the known part outside it counts in its own mean."""
    stage, data = create(variant="release", hole=2.0, known=3.0).stages("embedded")[0], batch()
    output = data.image + 0.5 * data.mask - 0.25 * (1 - data.mask)
    error = torch.full((32, 32), 0.25)
    error[4:28, 4:28] = 0.5
    expected = 2 * (error * spatial_discount(32)).mean().item() + 3 * 0.25
    assert stage.reconstruction(output, data).item() == pytest.approx(expected, rel=1e-4)


def test_the_release_penalises_the_gradient_within_the_hole_one_norm_an_image() -> None:
    """Critics whose gradient is 2 / 24 everywhere: in three channels of a hole of 24 x 24 its norm is 2 sqrt(3)."""

    class Plane(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum((1, 2, 3)) * 2 / 24

    stage, data = create(variant="release").stages("embedded")[0], batch()
    stage.discriminators.global_disc, stage.discriminators.local_disc = Plane(), Plane()
    penalty = stage.judge(data, torch.zeros_like(data.image), Noise.shared(0, 2))["penalty"]
    assert penalty.item() == pytest.approx(2 * (2 * 3**0.5 - 1) ** 2, rel=1e-4)


def test_spatial_discount() -> None:
    """As the release counts: no step at the first row and column, one at the last."""
    weights = spatial_discount(9)
    for row in range(9):
        for column in range(9):
            assert weights[row, column].item() == pytest.approx(0.9 ** min(row, 9 - row, column, 9 - column))


@pytest.mark.parametrize("preset", ["tiny", "release"])
def test_completion_without_any_known_patch_is_finite(preset: str) -> None:
    method = create(preset, width=8).eval()
    data = Batch(torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 64, 64))
    with torch.no_grad():
        assert method.complete(data, Noise([0])).isfinite().all()


def test_another_coarse_image_changes_the_completion() -> None:
    method, data = create().eval(), batch()
    with torch.no_grad():
        first = method.complete(data, Noise([0, 1]))
        method.generator.stage1.register_forward_hook(lambda module, inputs, output: output + 0.5)
        second = method.complete(data, Noise([0, 1]))
    assert ((first - second) * data.mask).abs().mean() > 1e-5


@pytest.mark.parametrize("size", [60, 32])
def test_sizes_that_do_not_fit_are_refused(size: int) -> None:
    with pytest.raises(BenchError, match=f"multiples of 8 from 40 on, not {size} x {size}"):
        create().complete(Batch(torch.zeros(1, 3, size, size), torch.zeros(1, 1, size, size)), Noise([0]))


def test_official_checkpoint_of_the_release_is_refused() -> None:
    with pytest.raises(BenchError, match="TensorFlow"):
        create("release", width=8).load_official({})
    with pytest.raises(BenchError, match="generator"):
        create().load_official({"state_dict": {}})
