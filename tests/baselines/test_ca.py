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


def test_spatial_discount_of_a_box() -> None:
    mask = torch.zeros(1, 1, 12, 14)
    mask[:, :, 2:9, 4:9] = 1  # 7 rows, 5 columns
    weights = spatial_discount(mask)[0, 0]
    for row in range(12):
        for column in range(14):
            depth = min(row - 2, 8 - row, column - 4, 8 - column)
            assert weights[row, column].item() == pytest.approx(0.9**depth if depth >= 0 else 0)
    assert spatial_discount(torch.ones(1, 1, 4, 4)).isfinite().all()
    assert spatial_discount(torch.zeros(1, 1, 4, 4)).sum() == 0


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
