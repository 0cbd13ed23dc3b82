"""MI-GAN: the released names, both forms of the generator, the teacher."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.comodgan import CoModGAN
from baselines.migan import MIGAN
from baselines.migan.training import Teacher, distillation
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Method, Noise
from bench.nn.stylegan2_blocks import upsample

FOLDER = Path(__file__).parents[1] / "golden"


def create(**options: object) -> Method:
    """With a teacher that is not trained."""
    torch.manual_seed(0)
    method = MIGAN.create("tiny", **options)
    method.attach({"comodgan": CoModGAN.create("tiny")})
    return method


def batch(count: int = 2) -> Batch:
    image = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def test_the_released_generator_fits() -> None:
    with torch.device("meta"):
        method = MIGAN.create()
    state = {
        key: torch.empty(shape, device="meta")
        for key, shape, _ in golden.read_keys(FOLDER / "migan.generator.keys.csv")
    }
    method.load_official(state)
    del state["synthesis.b8.conv1.noise_const"]
    with pytest.raises(RuntimeError, match="noise_const"):
        method.load_official(state)


@pytest.mark.parametrize("tensors", [1, 9])
def test_both_forms_complete_the_same(tensors: int) -> None:
    """A method goes into the training form when its stages are made, and back when it is evaluated."""
    method, given, noise = create(tensors=tensors).eval(), batch(), Noise([0, 1])
    with torch.no_grad():
        before = method.complete(given, noise)
        method.train().stages("embedded")
        split = method.complete(given, noise)
        assert len([name for name, _ in method.named_parameters() if "original" in name]) > 0
        after = method.eval().complete(given, noise)
    torch.testing.assert_close(split, before, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)
    create().load_state_dict(method.state_dict())


def test_independent_tensors_start_as_published() -> None:
    """N(0, 1) each: their own parts and the kernel that they share."""
    method = create()
    method.stages("embedded")
    tensors = torch.stack(list(method.generator.encoder.b8.conv1.conv2.parametrizations.weight.parameters())).detach()
    assert float(tensors.mean()) == pytest.approx(0, abs=0.02)
    assert float(tensors.std()) == pytest.approx(1, abs=0.02)


def test_the_teachers_parts_are_its_picture() -> None:
    torch.manual_seed(0)
    comodgan, given = CoModGAN.create("tiny").train(), batch()
    teacher = Teacher(comodgan).train()
    added = teacher(given, Noise([0, 1]))
    picture = torch.zeros(2, 3, 2, 2)
    for side in (4, 8, 16, 32, 64):
        picture = upsample(picture) + added[side]
    torch.testing.assert_close(picture, comodgan.complete(given, Noise([0, 1])), atol=1e-4, rtol=1e-4)


def test_distillation_counts_the_hole_and_the_fine_resolutions() -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    ours, theirs = ({side: torch.full((1, 3, side, side), value) for side in (16, 32, 64)} for value in (0.0, 1.0))
    assert float(distillation(ours, theirs, mask, 32)) == pytest.approx(2 * 0.5)
    outside: dict[int, Tensor] = {side: rgb.clone() for side, rgb in ours.items()}
    outside[64][..., 32:] = 5
    assert float(distillation(outside, theirs, mask, 32)) == pytest.approx(2 * 0.5)


def test_a_teacher_of_another_size_is_refused() -> None:
    with pytest.raises(BenchError, match="64 px cannot learn from a comodgan of 32 px"):
        create().attach({"comodgan": CoModGAN.create("tiny", size=32)})


def test_stages_without_a_teacher_are_refused() -> None:
    with pytest.raises(BenchError, match="teacher"):
        MIGAN.create("tiny").stages("embedded")
    assert MIGAN.create("tiny", distillation=0).stages("embedded")
