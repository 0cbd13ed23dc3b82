"""DINOv2 against its equations, written down a second time; the same network in small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision import transforms

from bench import weights
from bench.errors import BenchError
from bench.metrics import extractors, measure
from bench.nn import dinov2
from tests.bench.metrics.conftest import pictures

WIDTH, HEADS, DEPTH = 384, 6, 12  # ViT-S/14: ViT-L/14 has 1024, 16, 24


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Tensor]:
    """Made-up weights under Meta's names, for pictures of 518 pixels as Meta's are."""
    import timm

    monkeypatch.setattr(dinov2, "ARCHITECTURE", "vit_small_patch14_dinov2")
    made = timm.create_model(dinov2.ARCHITECTURE, num_classes=0).state_dict()
    generator = torch.Generator().manual_seed(0)
    for name, value in made.items():
        spread = 0.3 if "gamma" in name or "embed" in name or "token" in name else (1 / value[0].numel()) ** 0.5
        value.normal_(0, spread if value.ndim > 1 or "gamma" in name else 0.1, generator=generator)
    made["norm.weight"] += 1
    torch.save(made | {"mask_token": torch.zeros(1, WIDTH)}, tmp_path / "dinov2.pth")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "dinov2.pth")
    return made


def cubic(side: int, have: int) -> np.ndarray:
    """What each of `side` places takes of `have`: Keys' cubic convolution with a = -0.75, borders repeated."""

    def weight(x: float) -> float:
        x, a = abs(x), -0.75
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    matrix = np.zeros((side, have))
    for i in range(side):
        centre = (i + 0.5) * have / (side + 0.1) - 0.5
        for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
            matrix[i, min(max(tap, 0), have - 1)] += weight(centre - tap)
    return matrix


def as_the_paper_has_it(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """The class token of images (N, 3, 224, 224), layer by layer, in float64."""
    w = {name: value.double() for name, value in state.items()}

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    patches = images.double().unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).reshape(-1, 256, 3 * 196)
    x = patches @ w["patch_embed.proj.weight"].flatten(1).T + w["patch_embed.proj.bias"]
    x = torch.cat([w["cls_token"].expand(len(x), 1, WIDTH), x], dim=1)
    down = torch.from_numpy(cubic(16, 37))
    grid = torch.einsum("ia,jb,abd->ijd", down, down, w["pos_embed"][0, 1:].reshape(37, 37, WIDTH))
    x = x + torch.cat([w["pos_embed"][0, :1], grid.reshape(256, WIDTH)])
    for i in range(DEPTH):
        block = f"blocks.{i}"
        q, k, v = (
            part.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for part in linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").chunk(3, dim=2)
        )
        attention = (q @ k.transpose(2, 3) / (WIDTH / HEADS) ** 0.5).softmax(dim=3) @ v
        x = x + w[f"{block}.ls1.gamma"] * linear(attention.transpose(1, 2).flatten(2), f"{block}.attn.proj")
        hidden = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        x = x + w[f"{block}.ls2.gamma"] * linear(hidden, f"{block}.mlp.fc2")
    return norm(x, "norm")[:, 0]


def test_features_are_those_of_the_definition(state):
    """From uint8 pictures: dgm-eval's transform, then the network."""
    images = pictures(2, 96)[0]
    look = transforms.Compose(
        [
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    seen = torch.stack([look(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in images])
    expected = as_the_paper_has_it(state, seen)
    extractor = extractors.load("dinov2")
    found = extractors.extract(extractor, images, batch=2)["features"]
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.abs().max()
    assert extractor.fingerprint.startswith("dinov2-vitl14-pil224-float32-")


def test_the_distance_is_that_of_these_features(state):
    completed, truth, _ = pictures(4, 32)
    extractor = extractors.load("dinov2")
    a, b = (extractors.extract(extractor, images, batch=4)["features"].double() for images in (completed, truth))
    means = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    a, b = ((x - x.mean(dim=0)) / 3**0.5 for x in (a, b))
    expected = means + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    row = measure(completed, truth, None, ["fd@dinov2-pil224"]).rows[0]
    assert row["value"] == pytest.approx(expected.item(), rel=1e-4) and row["value"] > 0


def test_what_does_not_fit_is_refused(state, tmp_path):
    torch.save({"cls_token": torch.zeros(1, 1, 8)}, tmp_path / "dinov2.pth")
    with pytest.raises(BenchError, match=r"dinov2\.pth does not fit DINOv2's ViT-L/14"):
        extractors.load("dinov2")
