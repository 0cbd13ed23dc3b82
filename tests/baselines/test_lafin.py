"""LaFIn: where its landmarks come from, how they are drawn, and what each phase trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.lafin import LaFIn
from baselines.lafin.networks import landmark_map
from bench.batch import Batch, Noise
from bench.errors import BenchError


def create(**options) -> LaFIn:
    torch.manual_seed(0)
    return LaFIn.create("tiny", **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes, and landmarks anywhere."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(size, 3, 8, 8, generator=generator), (64, 64), mode="bilinear") * 2 - 1
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask, {"landmarks": 64 * torch.rand(size, 68, 2, generator=generator)})


def completed(method: LaFIn, given: Batch) -> Tensor:
    with torch.no_grad():
        return method.eval().complete(given, Noise([0, 1]))


def test_each_landmark_is_one_pixel_and_none_is_lost() -> None:
    points = torch.tensor([[[3.9, 1.0], [-2.5, 0.4], [100.0, 5.0]]])
    drawn = landmark_map(points, torch.zeros(1, 3, 8, 12))
    assert drawn.shape == (1, 1, 8, 12)
    assert drawn.nonzero()[:, 2:].tolist() == [[0, 0], [1, 3], [5, 11]]  # (y, x)


def test_given_landmarks_guide_and_may_be_refused() -> None:
    method, given = create(), batch()
    alone = given.guided(landmarks=None)
    assert not torch.equal(completed(method, given), completed(method, alone))
    method = create(guided=False)
    assert torch.equal(completed(method, given), completed(method, alone))
    with torch.no_grad():
        predicted = method.predict(alone)
    assert torch.equal(completed(create(), given.guided(landmarks=predicted)), completed(method, alone))


def test_the_predictor_sees_its_own_size() -> None:
    method, seen = create(landmark_size=32).eval(), []
    method.predictor.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    wide = Batch(torch.zeros(1, 3, 40, 80), torch.ones(1, 1, 40, 80))
    with torch.no_grad():
        points = method.predict(wide)
        shares = method.predictor(torch.ones(1, 3, 32, 32))  # all of it is a hole, which is white
    assert seen[0].shape == (1, 3, 32, 32)
    torch.testing.assert_close(points, shares * torch.tensor([80.0, 40.0]))


def test_the_steps_are_landmarks_and_completion() -> None:
    method, given = create().eval(), batch()
    with torch.no_grad():
        marked, last = method.steps(given, Noise([0, 1]))
    assert torch.equal(last, completed(method, given))
    dots = landmark_map(given.landmarks, given.image).expand_as(marked) > 0
    assert (marked[dots] == -1).all()
    known = ~dots & (given.mask == 0)
    torch.testing.assert_close(marked[known], given.image[known])


@pytest.mark.parametrize(("phase", "expected"), [(0, {"predictor"}), (1, {"inpainter"})])
def test_each_phase_trains_its_network(phase: int, expected: set[str]) -> None:
    method = create().train()
    before = {name: value.clone() for name, value in method.named_parameters()}
    stage = method.stages("embedded")[phase]
    optimisers = stage.optimisers()

    def update(name: str, loss: Tensor) -> None:
        parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
        ):
            parameter.grad = gradient
        optimisers[name].step()

    stage.step(batch(), update, Noise.shared(0, 2))
    assert {n.split(".")[0] for n, value in method.named_parameters() if not torch.equal(value, before[n])} == expected


def test_augmented_pictures_keep_their_range() -> None:
    images = batch(8).image
    changed = create().stages("embedded")[0].augment(images, Noise.shared(0, 8))
    assert changed.min() >= -1 and changed.max() <= 1
    assert not torch.equal(changed, images)


def test_official_checkpoints_are_two_files(tmp_path: Path) -> None:
    source = create()
    torch.save({"detector": source.predictor.state_dict(), "iteration": 3}, tmp_path / "landmark_detector.pth")
    state = source.inpainter.state_dict()
    twice = {  # the authors' attention names its convolutions a second time
        name.replace("model.conv1.", "model.model.1.")
        .replace("model.conv2.", "model.model.3.")
        .replace("model.bypass.", "model.shortcut.0."): value
        for name, value in state.items()
    }
    content = {"generator": {f"module.{name}": value for name, value in (state | twice).items()}}
    with pytest.raises(BenchError, match="landmark_weights"):
        create().load_official(content)
    target = LaFIn.create("tiny", landmark_weights=tmp_path / "landmark_detector.pth")
    assert target.config.files() == [tmp_path / "landmark_detector.pth"]
    target.load_official(content)
    ours = target.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in source.state_dict().items())
