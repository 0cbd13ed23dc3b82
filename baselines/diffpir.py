"""DiffPIR: each picture that a diffusion model tells is drawn to what is known, then noised again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field
from torch import Tensor

from baselines.adm import Sampler, SamplerConfig
from bench.method import Batch, Card, Noise
from bench.nn.ddim import back
from bench.nn.diffusion import STEPS, Diffusion

CARD = Card(
    slug="diffpir",
    name="DiffPIR",
    title="Denoising Diffusion Models for Plug-and-Play Image Restoration",
    authors="Zhu, Zhang, Liang, Cao, Wen, Timofte, Van Gool",
    year=2023,
    venue="CVPR Workshops; arXiv 2305.08995",
    url="https://arxiv.org/abs/2305.08995",
    resolution=256,
    params={"network": 93_563_910},
    macs={"network": 19_396.7e9},
    published={
        "FFHQ, box of 128 px, 100 calls": "FID 25.64, LPIPS 0.107",
        "FFHQ, box of 128 px, 20 calls": "FID 35.72, LPIPS 0.117",
    },
    training="none of its own: 100 steps, lambda 1, zeta 1, sigma_n 0.001",
    convention="the authors' mask is 1 = known; no composite at the end",
    licence="MIT (code and weights)",
    weights="ffhq_10m.pt of jychoi118/ilvr_adm (also under `priors`, for adm's preset `paper`)",
    trained_on={"ffhq": "all"},
    requires=("adm",),
    choices={
        "written": "from the paper: deepinv 0.5.0 has one random stream for a batch, so that a picture's result "
        "depends on those beside it (findings/deepinv-seeds.sh)",
        "steps": "100, the better row of its tables; the released configuration has 20. lambda, zeta and sigma_n are "
        "the configuration's (without noise it takes sigma_n = 0.001)",
        "spacing": "as released: the square of a step's place is what is equally spaced, so steps are finer where "
        "there is little noise",
        "last": "the completion is the picture that the last call tells, drawn to what is known (x_0 of Algorithm 1); "
        "the released code gives x_1, which still has a little noise, and does not use its last call",
    },
    notes="A completion calls the network 100 times in `paper` and in `tiny`; the multiply-accumulates are those of "
    "all calls.",
)


class DiffPIRConfig(SamplerConfig):
    """The schedule of DiffPIR and its trust in what is known."""

    steps: int = Field(default=100, ge=2, le=400)  # of the 1,000, finer where there is little noise
    weight: float = Field(default=1.0, ge=0)  # lambda: of what the network tells
    sigma: float = Field(default=0.001, ge=0)  # sigma_n: deviation of noise in what is known
    zeta: float = Field(default=1.0, ge=0, le=1)  # share of new noise, in the variance


class DiffPIR(Sampler):
    """DiffPIR for inpainting, for the prior `adm`."""

    card = CARD
    Config = DiffPIRConfig
    config: DiffPIRConfig
    presets = {"paper": DiffPIRConfig(), "tiny": DiffPIRConfig(size=64)}

    @property
    def calls(self) -> int:
        return self.config.steps

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """Algorithm 1. What is known, its weight rho against that of what is told, has a solution in closed form."""
        c, shape = self.config, batch.image.shape[1:]
        diffusion, x = spaced(c.steps), noise.normal(*shape)
        for k in reversed(range(c.steps)):
            clean = diffusion.reverse(x, k, self.prior.predict(x, int(diffusion.times[k]))).clean
            abar = float(diffusion.abar[k])
            rho = c.weight * c.sigma**2 * abar / (1 - abar)
            clean = clean.lerp(batch.image, (1 - batch.mask) / (1 + rho))
            yield clean
            x = back(diffusion, clean, x, k, c.zeta**0.5, noise.normal(*shape))


def spaced(count: int) -> Diffusion:
    """`count` of the 1,000 steps, the first and the last among them, finer towards the first."""
    passed = np.sqrt(np.linspace(0, STEPS**2, count)).astype(int).clip(max=STEPS - 1)  # on the way back
    full, kept = Diffusion.linear(), (STEPS - 1 - passed)[::-1]
    return Diffusion(full.times[kept], full.abar[kept])
