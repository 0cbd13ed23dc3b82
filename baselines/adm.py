"""ADM: an unconditional diffusion model of faces, the prior that RePaint and ILVR draw from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.adm import UNet
from bench.nn.denoising import DenoiserConfig, DenoiserStage, learned, times
from bench.nn.diffusion import Diffusion
from bench.nn.iterative import Iterative

CARD = Card(
    slug="adm",
    name="ADM",
    title="Diffusion Models Beat GANs on Image Synthesis",
    authors="Dhariwal, Nichol",
    year=2021,
    venue="NeurIPS; arXiv 2105.05233",
    url="https://arxiv.org/abs/2105.05233",
    task="prior",
    resolution=256,
    params={"network": 93_563_910},
    macs={"network": 193.967e9},
    training="AdamW 2e-5 without decay, batch 8, 10 million pictures, EMA 0.9999; squared error of the noise, weighted "
    "by 1 / (1 + SNR) (P2, Choi et al., CVPR 2022), and the variational bound for the variances",
    convention="no mask, no image input; 256 px in [-1, 1]",
    licence="MIT (OpenAI's and P2's code); RePaint's weights: CC BY-NC-SA 4.0",
    weights="ffhq_10m.pt of jychoi118/ilvr_adm for `paper`; celeba256_250000.pt of andreas128/RePaint for `repaint`",
    trained_on={"ffhq": "all", "celeba-hq": ""},
    choices={
        "width": "128, one block a level, attention at 16 px: P2's model of FFHQ, which ILVR's code takes. The preset "
        "`repaint` is ADM's own unconditional 256 px network (256, two blocks, attention at 32, 16 and 8 px)",
        "gamma": "1: P2's command. 0: ADM's loss, of which RePaint's models came; their learning rate and batch are "
        "not stated, and those here are P2's",
        "predicts": "noise: as released. velocity, of which the noise is computed (Salimans and Ho, ICLR 2022): ours, "
        "for the short training of `tiny`",
        "variances": "learned: as released. least: those of a step whose end is known, ours for `tiny`; a network that "
        "has learned little takes its errors for variance, and noise stays in its pictures",
    },
    notes="`repaint` has 552,814,086 parameters and 1119.833 G multiply-accumulates a pass.",
)


class ADMConfig(DenoiserConfig):
    """Sizes and losses of ADM."""

    size: int = 256  # of the images
    width: int = 128
    blocks: int = 1
    attention: tuple[int, ...] = (4,)
    gamma: float = 1.0

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(only=self.size, option="size")


class ADM(Method):
    """ADM's U-Net, in the sizes that were released for faces of 256 px."""

    card = CARD
    Config = ADMConfig
    config: ADMConfig
    presets = {
        "paper": ADMConfig(),
        "repaint": ADMConfig(width=256, blocks=2, attention=(3, 4, 5), gamma=0, iterations=250_000),
        "tiny": ADMConfig(
            size=64, width=24, multipliers=(1, 1, 2, 4), attention=(3,), head=24, groups=8, learning_rate=1e-3,
            predicts="velocity", variances="least", gamma=0, ema=0.995,
        ),
    }  # fmt: skip

    def __init__(self, config: ADMConfig):
        super().__init__(config)
        c = config
        if c.size % 2 ** (len(c.multipliers) - 1):
            raise BenchError(f"adm: options.size: {c.size} cannot be halved {len(c.multipliers) - 1} times")
        self.network = UNet(**c.layers)

    def predict(self, x: Tensor, k: int | Tensor) -> Tensor:
        """(noise, v) (N, 6, H, W) of pictures x_k, k = 0 .. 999: of all, or (N,)."""
        return self.config.noise_and_v(self.network(x, times(k, x)), x, k)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        raise BenchError("adm draws new faces and completes none: name it under `priors`, not under `methods`")

    def stages(self, features: Source = "official") -> list[Stage]:
        return [ADMStage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take a state dict of guided-diffusion's layout."""
        self.network.load_state_dict(state)


class ADMStage(DenoiserStage):
    """Learns the noise and, by the variational bound, the variances; the masks of the batch are not used."""

    method: ADM

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        seen = learned(self.method.config, self.method.predict, batch.image, noise)
        update("network", seen.loss)
        return seen.losses


class SamplerConfig(Config):
    """What all methods that draw from the prior share."""

    size: int = 256  # of the images; the prior's
    steps: int = 100  # of the 1,000, equally spaced

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(only=self.size, option="size")


class Sampler(Iterative):
    """Completes images by ADM, which is left as it is. A subclass says how, in `pictures`."""

    config: SamplerConfig
    prior: ADM
    complete_weights = True
    official: ClassVar[str] = "paper"  # preset of the prior that the released checkpoint fits

    def attach(self, priors: Mapping[str, Method]) -> None:
        prior = priors["adm"]
        assert isinstance(prior, ADM)
        slug, size = self.card.slug, self.config.size
        if prior.config.size != size:
            raise BenchError(
                f"{slug} is for images of {size} px, its prior adm makes {prior.config.size} px: set the option `size` "
                "of both"
            )
        self.prior = prior.requires_grad_(False)

    def networks(self) -> dict[str, nn.Module]:
        return {"network": self.prior.network} if hasattr(self, "prior") else {}

    def ready(self, batch: Batch) -> None:
        super().ready(batch)
        if not hasattr(self, "prior"):
            raise BenchError(f"{self.card.slug} has no diffusion model: attach the prior adm, or load official weights")

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the checkpoint of the prior that the authors drew from."""
        if not hasattr(self, "prior"):
            self.attach({"adm": ADM.create(self.official)})
        self.prior.load_official(state)


def _run(method: ADM, inputs: Inputs) -> dict[str, Tensor]:
    x, diffusion = 0.5 * inputs.latent(1, 3, 256, 256) + 0.5 * inputs.image(), Diffusion.linear().respaced(100)
    told = diffusion.reverse(x, 50, method.predict(x, int(diffusion.times[50])))
    found = {"mean": told.mean, "log_variance": told.log_variance, "pred_xstart": told.clean}
    found["eps_and_v"] = method.predict(x, 500)
    return {name: value[..., ::2, ::2] for name, value in found.items()}


ADM.golden = {
    "ilvr.unet": Golden(
        build=ADM.create,
        load=ADM.load_official,
        run=_run,
        parts=lambda method: {"total": method.network},
        costs={"256": lambda method: method.predict(torch.empty(1, 3, 256, 256), 500)},
    ),
}
