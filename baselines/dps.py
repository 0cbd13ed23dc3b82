"""DPS: each step back of a diffusion model is moved towards what is known, by the gradient through its network."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import Field
from torch import Tensor

from baselines.adm import Sampler, SamplerConfig
from bench.method import Batch, Card, Noise
from bench.nn.diffusion import Diffusion, Reverse

CARD = Card(
    slug="dps",
    name="DPS",
    title="Diffusion Posterior Sampling for General Noisy Inverse Problems",
    authors="Chung, Kim, McCann, Klasky, Ye",
    year=2023,
    venue="ICLR; arXiv 2209.14687",
    url="https://arxiv.org/abs/2209.14687",
    resolution=256,
    params={"network": 93_563_910},
    macs={"network": 193_967.0e9},
    published={"FFHQ, box of 128 px, as measured by DiffPIR's authors": "FID 43.49, LPIPS 0.145"},
    training="none of its own: 1,000 steps, each with a gradient through the network",
    convention="the authors' mask is 1 = known; no composite at the end",
    licence="none stated (code); MIT (weights)",
    weights="ffhq_10m.pt of jychoi118/ilvr_adm (also under `priors`, for adm's preset `paper`)",
    trained_on={"ffhq": "all"},
    requires=("adm",),
    choices={
        "written": "from the paper: deepinv 0.5.0 has one random stream for a batch, so that a picture's result "
        "depends on those beside it (findings/deepinv-seeds.sh), and shortens each move by the beta of its step",
        "zeta": "0.5, as the released configuration for inpainting faces, of the gradient of the distance itself. The "
        "paper prints the gradient of its square over the distance, which is twice that. 3 in `tiny`, whose steps are "
        "a tenth as many",
        "distance": "of each image by itself; the released code takes that of the whole batch, and is run on one image",
        "noise": "none is added to what is known; the paper adds 0.05",
    },
    notes="A completion calls the network 1,000 times in `paper`, 100 times in `tiny`; the multiply-accumulates are "
    "those of all calls forward. The way back through the network costs about twice as much again.",
)


class DPSConfig(SamplerConfig):
    """The schedule of DPS."""

    steps: int = Field(default=1000, ge=2, le=1000)  # of the 1,000, equally spaced
    zeta: float = Field(default=0.5, ge=0)  # length of a move, times the gradient of the distance


class DPS(Sampler):
    """DPS for Gaussian noise (Algorithm 1) where a part of the pixels is known, for the prior `adm`."""

    card = CARD
    Config = DPSConfig
    config: DPSConfig
    presets = {"paper": DPSConfig(), "tiny": DPSConfig(size=64, steps=100, zeta=3.0)}

    @property
    def calls(self) -> int:
        return self.config.steps

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """Algorithm 1: an ancestral step back, then a move down the gradient at the place it came from."""
        c, shape = self.config, batch.image.shape[1:]
        diffusion, x = Diffusion.linear().respaced(c.steps), noise.normal(*shape)
        for k in reversed(range(c.steps)):
            told, gradient = self.told(diffusion, x, k, batch)
            x = (told.drawn(noise.normal(*shape)) if k else told.mean) - c.zeta * gradient
            yield told.clean if k else x

    def told(self, diffusion: Diffusion, x: Tensor, k: int, batch: Batch) -> tuple[Reverse, Tensor]:
        """What the network tells, and the gradient by x of each image's distance from it to the known pixels."""
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone().requires_grad_()
            told = diffusion.reverse(x, k, self.prior.predict(x, int(diffusion.times[k])))
            missing = (1 - batch.mask) * (batch.image - told.clean)
            (gradient,) = torch.autograd.grad(torch.linalg.vector_norm(missing, dim=(1, 2, 3)).sum(), x)
        return Reverse(*(part.detach() for part in told)), gradient
