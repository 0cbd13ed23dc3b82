"""Networks beside those of spandrel, which others wrote after the same papers: one made-up checkpoint, one picture.

spandrel 0.4.2 has GFP-GAN (clean) and RestoreFormer, spandrel-extra-arches 0.2.0 CodeFormer and MAT. What is called are
its networks, not its wrappers, which give some of them pictures of another range and size (docs/traps.md). GFP-GAN is
compared in float64. The others cast to float32 on their way; their tolerances are three times what was seen.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import golden, registry
from bench.batch import Batch, Noise
from bench.method import Method

FOLDER = Path(__file__).parents[1] / "golden"


def theirs(package: str, module: str, network: str, **options: Any) -> nn.Module:
    """A network of the library with made-up parameters, none of them at its start."""
    torch.manual_seed(0)
    made = getattr(importlib.import_module(f"{package}.architectures.{module}"), network)(**options).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return made.requires_grad_(False)


def ours(network: nn.Module, slug: str, preset: str, **options: Any) -> Method:
    """Our method with the same checkpoint."""
    made = registry.get(slug).load().create(preset, **options).eval().requires_grad_(False)
    made.load_official(network.state_dict())
    return made.to(next(network.parameters()))


def picture(side: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(1, 3, side, side, dtype=dtype, generator=torch.Generator().manual_seed(1)) * 2 - 1


def restored(method: Method, degraded: Tensor) -> Tensor:
    batch = Batch(torch.zeros_like(degraded), torch.ones_like(degraded[:, :1]), {"degraded": degraded})
    return method.complete(batch, Noise.shared(0, len(degraded), "cpu"))


def together(first: Tensor, second: Tensor, most: float) -> None:
    assert second.std() > 0.05 and (second.abs() < 1).double().mean() > 0.2  # not grey, not all cut off
    assert (first - second).abs().max() < most


def test_gfpgan() -> None:
    """64 px, with the noise of the file."""
    network = theirs("spandrel", "GFPGAN.__arch.gfpganv1_clean_arch", "GFPGANv1Clean", out_size=64).double()
    method = ours(network, "gfpgan", "clean", size=64, noise="stored")
    degraded = picture(64, torch.float64)
    together(restored(method, degraded), network(degraded, randomize_noise=False)[0].clamp(-1, 1), 1e-12)


def test_restoreformer() -> None:
    """64 px: two by two codes."""
    network = theirs("spandrel", "RestoreFormer.__arch.restoreformer_arch", "RestoreFormer")
    method = ours(network, "restoreformer", "paper")
    together(restored(method, picture(64)), network(picture(64))[0].clamp(-1, 1), 2e-5)


@pytest.mark.slow  # one layout, that of 512 px
def test_codeformer() -> None:
    network = theirs("spandrel_extra_arches", "CodeFormer.__arch.codeformer", "CodeFormer")
    method = ours(network, "codeformer", "paper")
    together(restored(method, picture(512)), network(picture(512))[0].clamp(-1, 1), 6.5e-4)


def test_mat(monkeypatch: pytest.MonkeyPatch) -> None:
    """256 px, our preset `paper`; the library draws which features its codes replace as it goes."""
    sizes = {"z_dim": 512, "c_dim": 0, "w_dim": 512, "img_resolution": 256, "img_channels": 3}
    network = theirs("spandrel_extra_arches", "MAT.__arch.MAT", "Generator", **sizes)
    method = registry.get("mat").load().create("paper").eval().requires_grad_(False)
    rows = golden.read_keys(FOLDER / "mat.generator.keys.csv")  # the library leaves out noise, which tests do not add
    silent = {key: torch.zeros(shape) for key, shape, _ in rows if ".noise_" in key}
    method.load_official(network.state_dict() | silent)
    generator = method.get_submodule("generator")
    code = torch.randn(1, 512, generator=torch.Generator().manual_seed(2))
    codes = network.mapping(code, torch.zeros(1, 0))
    together(generator.get_submodule("mapping")(code)[:, None].expand_as(codes), codes, 1e-5)
    dropout, kept = F.dropout, list[Tensor]()

    def drawn(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        found = dropout(x, p, training, inplace)
        if training:
            kept.append(found > 0)
        return found

    monkeypatch.setattr(F, "dropout", drawn)
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., 80:200, 60:180] = 1
    expected = network.synthesis(picture(256) * (1 - mask), 1 - mask, codes)
    assert len(kept) == 2
    kept[0] = kept[0].transpose(1, 2).unflatten(2, (16, 16))  # of tokens
    final, _ = generator(picture(256) * (1 - mask), mask, codes, kept)
    together(final, expected, 1.2e-4)
