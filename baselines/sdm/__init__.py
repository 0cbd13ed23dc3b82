"""SDM: a diffusion model draws a face from a label map, which the norms of its network see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from baselines.sdm.networks import condition, unet
from baselines.sdm.training import SDMStage
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Noise, Source, Stage
from bench.nn.celebamask import relabelled
from bench.nn.denoising import LINEAR, GuidedConfig, times
from bench.nn.iterative import Iterative

CARD = Card(
    slug="sdm",
    name="SDM",
    title="Semantic Image Synthesis via Diffusion Models",
    authors="Wang et al.",
    year=2022,
    venue="arXiv 2207.00050",
    url="https://arxiv.org/abs/2207.00050",
    task="editing",
    resolution=256,
    params={"network": 653_062_918},
    macs={"network": 3_442_996.0e9},
    published={"CelebA-HQ": "FID 27.61, U-IDS 0 %, LPIPS 0.4995 (thesis, table 6.5)"},
    training="AdamW 2e-5 without decay, batch 32, EMA 0.9999: squared error of the noise and the variational bound; "
    "then the same with 20 % of the label maps empty; crops of 0.8 to 1 of the sides",
    convention="no masks, no picture: the whole picture is drawn from labels; labels in CelebAMask-HQ's own order",
    licence="none stated; its base, guided-diffusion: MIT",
    weights="the authors' CelebAMask-HQ model (Google Drive): ema_0.9999_best.pt, a plain state",
    trained_on={"celeba-hq": ""},
    needs=("semantics",),
    takes=("layout",),
    choices={
        "steps": "1,000, as released: two passes each, one without labels",
        "iterations": "no end is stated, and none of either stage: ours are P2's number, and halves (`tuned`)",
        "mirrored": "with the labels of left and right exchanged; the authors leave them",
        "local edits": "none of its own: the harness pastes the picture around the mask",
        "predicts": "noise: as released. velocity (Salimans and Ho, ICLR 2022): ours, for the short training of `tiny`",
        "variances": "learned: as released. least: those of a step whose end is known, ours for `tiny`",
        "zeros": "true: as released. false, ours for `tiny`: layers that end blocks begin with a tenth of PyTorch's "
        "own values",
    },
    notes="All sides that are multiples of 32 are drawn. The multiply-accumulates are those of a whole completion: "
    "1,000 steps of two passes. `tiny` takes 16 steps.",
)


class SDMConfig(GuidedConfig):
    """Sizes, losses and schedule of SDM."""

    hidden: int = 128  # channels of what a norm's scales and shifts are made of
    batch_size: int = 32
    guidance: float = 1.5  # how far the noise goes from that without labels to that with them, and beyond
    untold: float = 0.2  # share of empty label maps in the second stage
    tuned: float = Field(default=0.5, ge=0, lt=1)  # the second stage's share of the training
    crop: float = Field(default=0.8, gt=0, le=1)  # least part of the sides that training sees


class SDM(Iterative):
    """SDM as released."""

    card = CARD
    Config = SDMConfig
    config: SDMConfig
    presets = {
        "paper": SDMConfig(),
        "tiny": SDMConfig(
            width=24, multipliers=(1, 1, 2, 4), blocks=1, attention=(3,), head=24, groups=8, hidden=8, batch_size=8,
            learning_rate=1e-3, left=0.02, predicts="velocity", variances="least", zeros=False, ema=0.995, steps=16,
            tuned=0.25, crop=1,
        ),
    }  # fmt: skip

    def __init__(self, config: SDMConfig):
        super().__init__(config)
        self.network = config.started(unet(config.hidden, **config.layers))

    @property
    def calls(self) -> int:
        return self.config.steps

    def predict(self, x: Tensor, k: int | Tensor, told: Tensor) -> Tensor:
        """(noise, v) (N, 6, H, W) of pictures x_k, of all or (N,), by conditions (N, 20, H, W); zeros: by none."""
        return self.config.noise_and_v(self.network(x, times(k, x), told), x, k)

    def guided(self, x: Tensor, k: int, told: Tensor) -> Tensor:
        """The same, with the noise moved away from that without a condition; v is that with it."""
        scale = self.config.guidance
        if scale <= 1:
            return self.predict(x, k, told)
        found, free = self.predict(x.repeat(2, 1, 1, 1), k, torch.cat([told, 0 * told])).chunk(2)
        noise, v = found.chunk(2, dim=1)
        without = free[:, :3]
        return torch.cat([without + scale * (noise - without), v], dim=1)

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """A face of the labels `batch.layout`; without them, of the picture's own."""
        c, shape = self.config, batch.image.shape[1:]
        _, wanted = relabelled(batch)
        told, diffusion, x = condition(wanted), LINEAR.respaced(c.steps), noise.normal(*shape)
        for k in reversed(range(c.steps)):
            step = diffusion.reverse(x, k, self.guided(x, int(diffusion.times[k]), told))
            x = step.drawn(noise.normal(*shape)) if k else step.mean
            yield step.clean if k else x

    def stages(self, features: Source = "official") -> list[Stage]:
        c = self.config
        first: list[Stage] = [SDMStage(self, "labels", 1 - c.tuned)]
        return [*first, SDMStage(self, "guidance", c.tuned, c.untold)] if c.tuned else first

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take a state dict of the release's layout."""
        self.network.load_state_dict(state)


def _run(method: SDM, inputs: Inputs) -> dict[str, Tensor]:
    x = 0.5 * inputs.latent(1, 3, 64, 64) + 0.5 * inputs.image(64)
    labels = ((inputs.image(64, channels=1, offset=5) + 1) / 2 * (19 - 1e-9)).floor().clamp(0, 18)[:, 0]
    told = condition(F.one_hot(labels.long(), 19).permute(0, 3, 1, 2).to(x))
    step = LINEAR.reverse(x, 500, method.guided(x, 500, told))
    return {
        "eps_and_v": method.predict(x, 500, told),
        "eps_free": method.predict(x, 500, 0 * told)[:, :3],
        "pred_xstart": step.clean,
        "mean": step.mean,
        "log_variance": step.log_variance,
    }


def _golden(sides: tuple[int, ...], **options: int) -> Golden:
    def once(side: int) -> Any:
        return lambda method: method.predict(torch.empty(1, 3, side, side), 500, torch.empty(1, 20, side, side))

    return Golden(
        build=lambda: SDM.create(**options),
        load=SDM.load_official,
        run=_run,
        parts=lambda method: {"total": method.network},
        costs={str(side): once(side) for side in sides},
    )


SDM.golden = {"sdm.unet": _golden((64,)), "sdm.unet64": _golden((64, 256), width=64)}
