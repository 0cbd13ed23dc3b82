"""DDRM: a diffusion model of whole pictures fills a hole in few steps; what is known is drawn around its value."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from torch import Tensor

from baselines.adm import Sampler, SamplerConfig
from bench.method import Batch, Card, Noise
from bench.nn.ddim import back
from bench.nn.diffusion import Diffusion

CARD = Card(
    slug="ddrm",
    name="DDRM",
    title="Denoising Diffusion Restoration Models",
    authors="Kawar, Elad, Ermon, Song",
    year=2022,
    venue="NeurIPS; arXiv 2201.11793",
    url="https://arxiv.org/abs/2201.11793",
    resolution=256,
    params={"network": 93_563_910},
    macs={"network": 3_879.34e9},
    published={"FFHQ, box of 128 px, 20 calls, as measured by DiffPIR's authors": "FID 37.05, LPIPS 0.119"},
    training="none of its own: 20 steps with eta 0.85 and eta_b 1",
    convention="the measurement is a list of known pixels; no composite at the end",
    licence="MIT (code and weights)",
    weights="ffhq_10m.pt of jychoi118/ilvr_adm (also under `priors`, for adm's preset `paper`)",
    trained_on={"ffhq": "all"},
    requires=("adm",),
    choices={
        "written": "from the paper: deepinv 0.5.0 refuses a mask for each image (findings/deepinv-ddrm-one-mask.sh), "
        "and its noise is a root of 2 too small (findings/deepinv-ddrm-noise.sh)",
        "problem": "the singular values of a mask are 1 (known) and 0 (hole), and pixels are its vectors; nothing is "
        "added to what is known (sigma_y = 0), so two of the three cases of equations 7 and 8 are left",
        "prior": "FFHQ's, with which DiffPIR's authors compare; DDRM's own face model (CelebA-HQ, of SDEdit) has "
        "another network",
        "eta": "0.85, as published; 1 in `tiny`: a network that has learned little leaves its errors in the noise that "
        "is kept. Of new noise alone DDRM is DiffPIR (sigma_n = 0) with its steps equally spaced",
        "steps": "equally spaced from the last of the 1,000 to the first; as released they end at the first, and begin "
        "one interval before the last",
        "clean": "the picture that is told is kept in [-1, 1], as ADM's own sampler does; the released code does not",
    },
    notes="A completion calls the network 20 times in `paper`, 100 times in `tiny`; the multiply-accumulates are those "
    "of all calls.",
)


class DDRMConfig(SamplerConfig):
    """The schedule of DDRM."""

    steps: int = Field(default=20, ge=2, le=1000)  # of the 1,000, equally spaced
    eta: float = Field(default=0.85, ge=0, le=1)  # share of new noise in the hole
    eta_b: float = Field(default=1.0, ge=0, le=1)  # how far known pixels are drawn from what is told to their values


class DDRM(Sampler):
    """DDRM where the measurement is a part of the pixels, for the prior `adm`."""

    card = CARD
    Config = DDRMConfig
    config: DDRMConfig
    presets = {"paper": DDRMConfig(), "tiny": DDRMConfig(size=64, steps=100, eta=1.0)}

    @property
    def calls(self) -> int:
        return self.config.steps

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """Equations 7 and 8. In the hole x keeps a part of its noise; where pixels are known, all of it is new."""
        c, shape = self.config, batch.image.shape[1:]
        diffusion = Diffusion.linear().respaced(c.steps)
        x = diffusion.noised(batch.masked, c.steps - 1, noise.normal(*shape))
        for k in reversed(range(c.steps)):
            clean = diffusion.reverse(x, k, self.prior.predict(x, int(diffusion.times[k]))).clean
            known, z = clean.lerp(batch.image, c.eta_b), noise.normal(*shape)
            hole, around = back(diffusion, clean, x, k, c.eta, z), back(diffusion, known, x, k, 1, z)
            x = batch.mask * hole + (1 - batch.mask) * around
            yield clean if k else x
