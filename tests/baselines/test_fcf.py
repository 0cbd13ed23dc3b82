"""FcF: released names, noise and truncation in tests, losses, augmentation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.fcf import FcF
from baselines.fcf.training import distorted, equalised
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.profile import count_parameters

FOLDER = Path(__file__).parents[1] / "golden"


def released() -> dict[str, Tensor]:
    """The released generator's state dict, constants included."""
    rows = golden.read_keys(FOLDER / "fcf.generator.keys.csv")
    return {key: torch.empty(shape, device="meta") for key, shape, _ in rows}


def create(**options: object) -> FcF:
    torch.manual_seed(0)
    return FcF.create("tiny", **options)


def batch(count: int = 4) -> Batch:
    image = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def test_released_generators_fit() -> None:
    with torch.device("meta"):
        method = FcF.create()
        method.load_official(released())
        pickle = {f"{name}.{key}": value for name in ("G", "G_ema") for key, value in released().items()}
        method.load_official({"D.b4.out.bias": torch.empty(1), **pickle})


def test_a_checkpoint_without_the_mean_code_or_of_another_size_is_refused() -> None:
    state = released()
    with torch.device("meta"), pytest.raises(BenchError, match="set the options size and width"):
        FcF.create("512").load_official(state)
    del state["mapping.w_avg"]
    with torch.device("meta"), pytest.raises(RuntimeError, match=r"style\.mean"):
        FcF.create().load_official(state)


def test_parameters_at_512() -> None:
    with torch.device("meta"):
        method = FcF.create("512")
        assert count_parameters(method) == 85_086_823


def test_widths_that_quadrants_do_not_divide_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 32, not 16"):
        create(width=1024)


def test_the_mean_code_is_followed_in_training_and_is_the_centre_of_truncation() -> None:
    method, data = create(truncation=0), batch(1)
    z = torch.randn(8, 64)
    mapping = method.generator.style.train()
    w = mapping(z)
    torch.testing.assert_close(mapping.mean, 0.005 * w.mean(0))
    method.eval()
    with torch.no_grad():
        assert torch.equal(method.complete(data, Noise([0])), method.complete(data, Noise([1])))


def test_losses_and_their_order() -> None:
    stage, order = create().train().stages("embedded")[0], []
    losses = stage.step(batch(), lambda name, loss: order.append(name), Noise.shared(0, 4))
    assert order == ["discriminator", "discriminator", "generator"]
    assert set(losses) == {"discriminator", "r1", "generator", "l1", "perceptual"}


@pytest.mark.parametrize("coefficient", [0.05, -0.05, 0.0])
def test_distortion_is_that_of_opencv_as_albumentations_calls_it(coefficient: float) -> None:
    size = 64
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))[None]
    image = torch.nn.functional.interpolate(image, size, mode="bicubic").clamp(0, 1)
    drawn = [torch.tensor(0.5 + coefficient / 0.1), torch.tensor(0.0)]  # k, and the image is distorted

    class Given(Noise):
        def uniform(self, *shape: int) -> Tensor:
            return drawn.pop(0).expand(1, *shape)

    ours = distorted(image, Given([0]), 0.05)[0].permute(1, 2, 0).numpy()
    camera = np.array([[size, 0, size / 2], [0, size, size / 2], [0, 0, 1]], np.float32)
    lens = np.array([coefficient, coefficient, 0, 0, 0], np.float32)
    rows, columns = cv2.initUndistortRectifyMap(camera, lens, None, None, (size, size), cv2.CV_32FC1)
    theirs = cv2.remap(image[0].permute(1, 2, 0).numpy(), rows, columns, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT_101)
    assert np.abs(ours - theirs).max() < 0.008  # OpenCV rounds places to 1/32 pixel
    assert np.abs(image[0].permute(1, 2, 0).numpy() - theirs).mean() > 0.01  # k = 0 moves by half a pixel, too


def test_half_of_the_images_are_augmented() -> None:
    images = batch(40).image
    for change in (lambda x: distorted(x, Noise.shared(0, 40), 0.05), lambda x: equalised(x, Noise.shared(0, 40), 4)):
        changed = change(images)
        moved = (changed - images).abs().amax((1, 2, 3)) > 1e-3
        assert 10 < moved.sum() < 30
        assert changed.abs().max() <= 1 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FcF.golden))
def test_golden_files_pass(name: str, shared: Path) -> None:
    """Networks of 40 G multiply-accumulates in double precision: too slow for the other golden tests."""
    result = golden.check(shared / "golden" / f"{name}.npz", shared / "specs", {name: ("fcf", FcF.golden[name])})
    assert result.passed, golden.line(result)
