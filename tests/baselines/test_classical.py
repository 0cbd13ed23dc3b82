"""Classical restorers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench import registry
from bench.batch import Batch, Noise
from bench.data import synthfaces
from bench.errors import BenchError


def restored(images: torch.Tensor, **options: float) -> torch.Tensor:
    mask = torch.ones_like(images[:, :1])
    batch = Batch(torch.zeros_like(images), mask, guides={"degraded": images})
    return (
        registry.get("bicubic-denoised").load().create(**options).complete(batch, Noise.shared(0, len(images), "cpu"))
    )


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    return synthfaces.render(range(4), 96, 0).images


def test_it_is_pillows_bicubic_filter_around_scipys_gaussian(faces: torch.Tensor) -> None:
    """Two other libraries' filters, channel by channel in floats; SciPy's `mirror` is the edge without its pixel."""
    expected = faces.clone()
    for plane in expected.flatten(0, 1):
        small = np.asarray(Image.fromarray(plane.numpy()).resize((48, 48), Image.Resampling.BICUBIC))
        smooth = gaussian_filter(small, 0.7, mode="mirror", radius=3)
        plane.copy_(torch.from_numpy(np.array(Image.fromarray(smooth).resize((96, 96), Image.Resampling.BICUBIC))))
    assert (restored(faces, sigma=0.7) - expected.clamp(-1, 1)).abs().max() < 1e-5


def test_it_averages_noise_out_and_cannot_sharpen(faces: torch.Tensor) -> None:
    noisy = faces + 0.1 * torch.randn(faces.shape, generator=torch.Generator().manual_seed(0))
    kept = restored(faces)
    assert (restored(noisy) - kept).square().mean() < 0.15 * (noisy - faces).square().mean()
    steps = [images.diff(dim=3).abs().mean() for images in (faces, kept, restored(faces, factor=4, sigma=1))]
    assert steps[0] > steps[1] > steps[2]


@pytest.mark.parametrize(("height", "width", "factor", "sigma"), [(32, 32, 32, 16), (33, 47, 2, 0.5), (64, 48, 1, 3)])
def test_sizes_and_strengths_at_the_ends(height: int, width: int, factor: float, sigma: float) -> None:
    flat = torch.full((2, 3, height, width), 0.25)
    assert torch.allclose(restored(flat, factor=factor, sigma=sigma), flat, atol=1e-6)


def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"factor": 0.5}, {"sigma": 0}):
        with pytest.raises(BenchError, match="bicubic-denoised: options"):
            registry.get("bicubic-denoised").load().create(**options)


@pytest.mark.parametrize("slug", ["mean", "telea", "navier-stokes", "biharmonic"])
def test_pixels_under_a_hole_at_the_edge_change_nothing(slug: str, faces: torch.Tensor) -> None:
    """OpenCV's inpainting reads them within two pixels of an edge."""
    mask = torch.zeros_like(faces[:, :1])
    mask[..., :40, 20:70] = 1
    given = [Batch(torch.where(mask > 0, hidden, faces), mask) for hidden in (faces, -faces, torch.ones_like(faces))]
    method, noise = registry.get(slug).load().create(), Noise.shared(0, len(faces), "cpu")
    first, *others = (method.complete(batch, noise) for batch in given)
    assert first[mask.expand_as(first) > 0].std() > 0.01
    assert all(torch.equal(first, other) for other in others)
