"""LaMa: the networks against the authors' outputs, any size, the losses on numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from baselines.lama import ClippedAdam, LaMa, discriminator_losses, pad_to_multiple
from bench import golden, weights
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.dilated_resnet import DilatedResNet50, SegmentationLoss


def create(**options: object) -> LaMa:
    torch.manual_seed(0)
    return LaMa.create("tiny", **options)


def batch(height: int = 64, width: int = 64, count: int = 2) -> Batch:
    image = F.interpolate(
        torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0)), (height, width), mode="bilinear"
    )
    mask = torch.zeros(count, 1, height, width)
    mask[:, :, height // 4 : height // 2, width // 3 :] = 1
    return Batch(image * 2 - 1, mask)


@pytest.mark.parametrize(("preset", "blocks"), [("paper", 9), ("big", 18)])
def test_official_names_and_shapes(preset: str, blocks: int, shared: Path) -> None:
    with torch.device("meta"):
        state = LaMa.create(preset).state_dict()
    rows = golden.read_keys(shared / "specs" / f"lama.{'fourier' if blocks == 9 else 'big'}.keys.csv")
    assert {name: tuple(value.shape) for name, value in state.items()} == {name: shape for name, shape, _ in rows}


@pytest.mark.parametrize(("height", "width"), [(64, 64), (61, 70), (40, 57)])
def test_any_size(height: int, width: int) -> None:
    """Sides are padded to multiples of 8; 57 gives 64, 70 gives 72: feature maps of odd size."""
    method, data = create().eval(), batch(height, width)
    with torch.no_grad():
        out = method.complete(data, Noise([0, 1]))
    assert out.shape == data.image.shape
    assert out.abs().max() <= 1


def test_padding_mirrors_the_edge() -> None:
    x = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 3, 5)
    padded = pad_to_multiple(x, 4)
    assert padded.shape == (1, 1, 4, 8)
    assert padded[0, 0, 3].tolist() == [0, 1, 2, 3, 4, 4, 3, 2]
    assert torch.equal(pad_to_multiple(padded, 4), padded)


def test_lightning_checkpoint() -> None:
    source, target = create(), LaMa.create("tiny")
    state = source.state_dict() | {"discriminator.model0.0.weight": torch.zeros(1), "loss_resnet_pl.x": torch.zeros(1)}
    target.load_official({"state_dict": state, "epoch": 39})
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())
    with pytest.raises(BenchError, match="generator"):
        target.load_official({"state_dict": {"model.weight": torch.zeros(1)}})
    state.pop(next(iter(state)))
    with pytest.raises(RuntimeError, match="Missing"):
        target.load_official(state)


def test_only_patches_at_the_hole_count_as_fake() -> None:
    data = batch()
    logits = {"real": torch.full((2, 1, 9, 9), 0.3), "fake": torch.full((2, 1, 9, 9), -0.7)}

    class Judge(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
            kind = "real" if x.requires_grad else "fake"
            return logits[kind] + 0 * x.sum(), []

    soft = lambda v: F.softplus(torch.tensor(v)).item()  # noqa: E731
    for mask, fake in ((torch.ones_like(data.mask), soft(-0.7)), (torch.zeros_like(data.mask), soft(0.7))):
        loss, penalty = discriminator_losses(Judge(), data.image, data.image, mask)
        assert loss.item() == pytest.approx(soft(-0.3) + fake, rel=1e-5)
        assert penalty.item() == 0


def test_reconstruction_counts_known_pixels_alone() -> None:
    method, data = create(), batch()
    stage = method.stages("embedded")[0]
    real = (data.image + 1) / 2
    method.predict = lambda given: real + given.mask  # type: ignore[method-assign]
    assert stage.generator_losses(data, real)["l1"].item() == pytest.approx(0, abs=1e-6)
    method.predict = lambda given: real + (1 - given.mask)  # type: ignore[method-assign]
    assert stage.generator_losses(data, real)["l1"].item() == pytest.approx((1 - data.mask).mean().item(), rel=1e-5)


def test_perceptual_layers_are_summed_or_averaged() -> None:
    found = {}
    for reduction in ("sum", "mean"):
        stage = create(perceptual_layers=reduction).stages("embedded")[0]
        found[reduction] = stage.generator_losses(batch(), (batch().image + 1) / 2)["perceptual"].item()
    assert found["sum"] == pytest.approx(5 * found["mean"], rel=1e-4)  # the embedded network has five maps


def test_perceptual_network_leaves_the_classifier_out(monkeypatch: pytest.MonkeyPatch) -> None:
    source = DilatedResNet50()
    state = source.state_dict() | {"fc.weight": torch.zeros(1000, 2048)}
    monkeypatch.setattr(weights, "load", lambda name: state)
    loss = SegmentationLoss("official")
    image = torch.rand(1, 3, 32, 32)
    assert loss(image, image).tolist() == [0, 0, 0, 0]
    assert not any(p.requires_grad for p in loss.parameters())
    assert not loss.train().network.training


def test_gradients_are_clipped_to_one_norm() -> None:
    a, b = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    a.grad, b.grad = torch.tensor([30.0]), torch.tensor([40.0])
    ClippedAdam([a, b], 0.1, clip=1.0).step()
    assert a.grad.item() == pytest.approx(0.6, rel=1e-3) and b.grad.item() == pytest.approx(0.8, rel=1e-3)
