"""KID against torchmetrics, CMMD against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.image.kid import poly_mmd

from bench import weights
from bench.metrics import extractors, kernel, measure
from bench.metrics.score import Pair
from bench.nn import text

from .conftest import pictures


def sets(n, m, d=24):
    g = torch.Generator().manual_seed(n + m)
    return torch.randn(n, d, generator=g) * 1.2 + 0.1, torch.randn(m, d, generator=g)


def test_equals_torchmetrics_with_one_subset_of_all_images():
    a, b = sets(90, 90)
    assert kernel.score(Pair(a, b)).value == pytest.approx(poly_mmd(b.double(), a.double()).item(), rel=1e-10)


def test_other_sizes_by_the_definition(monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", 16)
    a, b = (x.double() for x in sets(40, 70))
    k = lambda x, y: (x @ y.T / 24 + 1) ** 3  # noqa: E731
    within = [(k(x, x).sum() - k(x, x).diagonal().sum()) / (len(x) * (len(x) - 1)) for x in (a, b)]
    expected = within[0] + within[1] - 2 * k(a, b).mean()
    score = kernel.score(Pair(a, b, paired=False))
    assert score.value == pytest.approx(expected.item(), rel=1e-10)
    assert score.contributions.shape == (40,)
    assert score.contributions.mean().item() == pytest.approx(score.value, rel=1e-8)


def test_unbiased_for_equal_distributions():
    g = torch.Generator().manual_seed(0)
    draws = [Pair(torch.randn(30, 8, generator=g), torch.randn(30, 8, generator=g)) for _ in range(200)]
    values = torch.tensor([kernel.score(pair).value for pair in draws])
    assert abs(values.mean()) < 3 * values.std() / 200**0.5
    assert (values < 0).any()


def test_cmmd_equals_its_definition(monkeypatch):
    """As distance.py of google-research/cmmd has it: whole matrices, the diagonal counts, sigma 10, times 1,000."""
    monkeypatch.setattr(kernel, "CHUNK", 16)
    a, b = (x / x.norm(dim=1, keepdim=True) for x in sets(40, 55))

    def mean(x: torch.Tensor, y: torch.Tensor) -> float:
        distances = torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist")
        return torch.exp(-distances.square() / 200).mean().item()

    expected = 1000 * (mean(a, a) + mean(b, b) - 2 * mean(a, b))
    found = kernel.cmmd(Pair(a, b, paired=False))
    assert found.value == pytest.approx(expected, rel=1e-6) and expected > 0.1
    assert found.contributions.mean().item() == pytest.approx(found.value, rel=1e-8)
    assert kernel.cmmd(Pair(3 * a, b / 7, paired=False)).value == pytest.approx(expected, rel=1e-6)  # lengths go
    assert kernel.cmmd(Pair(a, a)).value == pytest.approx(0, abs=1e-9)


def test_cmmd_from_pictures(monkeypatch, tmp_path):
    """CLIP in small: PIL's bicubic filter to 336 pixels, CLIP's colours, open_clip's own vectors of length 1."""
    open_clip = pytest.importorskip("open_clip")
    sizes = text.VIT_L_14_336 | {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 336, "patch_size": 14, "width": 64, "layers": 2},
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 64, "heads": 1, "layers": 1},
    }
    monkeypatch.setattr(text, "VIT_L_14_336", sizes)
    torch.manual_seed(0)
    network = open_clip.CLIP(**sizes, quick_gelu=True).eval()
    for value in network.visual.parameters():
        if value.ndim > 1:  # so that pictures tell: the first values are small
            torch.nn.init.normal_(value, std=value[0].numel() ** -0.5)
    torch.save(network.state_dict(), tmp_path / "clip.pt")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "clip.pt")
    mean, deviation = np.array(open_clip.OPENAI_DATASET_MEAN), np.array(open_clip.OPENAI_DATASET_STD)

    def vectors(images: torch.Tensor) -> torch.Tensor:
        looks = [Image.fromarray(image.permute(1, 2, 0).numpy()).resize((336, 336), Image.BICUBIC) for image in images]
        seen = np.stack([(np.asarray(look) / 255 - mean) / deviation for look in looks])
        with torch.no_grad():
            return network.encode_image(torch.from_numpy(seen).float().permute(0, 3, 1, 2), normalize=True).double()

    completed, truth, _ = pictures(5, 96)
    a, b = vectors(completed), vectors(truth)
    within = [torch.exp(-(x[:, None] - x[None]).square().sum(dim=2) / 200).mean() for x in (a, b)]
    across = torch.exp(-(a[:, None] - b[None]).square().sum(dim=2) / 200).mean()
    expected = 1000 * (within[0] + within[1] - 2 * across).item()
    found = measure(completed, truth, None, ["cmmd"], batch=5)
    assert found.value("cmmd") == pytest.approx(expected, rel=1e-4) and expected > 1e-3
    assert found.rows[0]["extractor"].startswith("clip-vitl14-336-float32-")
    assert extractors.load("clip-l14-336").name == "clip-l14-336"
