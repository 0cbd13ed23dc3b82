"""e4e: pSp's encoder, taught to stay near W by growing offsets from one code and by a critic of codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from baselines.psp import PSP, PSPConfig, PSPStage
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.irse import Trunk
from bench.nn.losses import nonsaturating
from bench.nn.psp import LatentDiscriminator, ProgressiveEncoder
from bench.nn.stylegan2_training import Adversary

CARD = Card(
    slug="e4e",
    name="e4e",
    title="Designing an Encoder for StyleGAN Image Manipulation",
    authors="Tov, Alaluf, Nitzan, Patashnik, Cohen-Or",
    year=2021,
    venue="ACM TOG (SIGGRAPH 2021); arXiv 2102.02766",
    url="https://arxiv.org/abs/2102.02766",
    task="prior",
    completes=True,
    resolution=256,
    params={"encoder": 267_136_704, "decoder": 30_370_060, "discriminator": 788_481},
    macs={"encoder": 72.481e9, "decoder": 75.38e9, "discriminator": 0.787e6},
    training="encoder: Ranger 1e-4, critic: Adam 2e-5 (0.9, 0.999), batch 8, 300,000 iterations; L2 1, LPIPS "
    "(AlexNet) 0.8, identity 0.1, adversarial 0.1, offsets 2e-4; offset i joins at 20,000 + 2,000 (i - 1)",
    features="IR-SE50 (ArcFace), AlexNet (LPIPS v0.1)",
    convention="no masks; images in [-1, 1] at 256 px, output pooled to 256 px",
    licence="MIT; the StyleGAN2 weights inside: Nvidia, non-commercial",
    weights="the authors' Google Drive: e4e_ffhq_encode.pt (1024 px): {state_dict: encoder., decoder.; latent_avg}",
    trained_on={"ffhq": "all"},
    requires=("stylegan2",),
    choices={
        "size": "paper: 1024, as released for faces (18 styles); a prior of 256 px reads the first 14. Preset 256: 14",
        "identity": "0.1, as for the released face model; the README's example for cars has 0.5",
        "noise": "fresh in every completion, where the released files have stored maps",
        "pool": "50 codes, as the README's command; 0: the critic sees the first row of every image",
    },
)


class E4EConfig(PSPConfig):
    """Sizes and losses of e4e, beside those of pSp."""

    encoder: Literal["gradual"] = "gradual"
    norm: float = Field(default=0.0, ge=0, le=0)  # a term of pSp alone
    adversarial: float = 0.1
    offsets: float = 2e-4  # of the offsets' length
    start: int | None = 20_000  # iterations with the base code alone; None: all offsets from the beginning
    every: int = 2_000  # iterations between two offsets
    critic_rate: float = 2e-5  # learning rate of the critic
    r1: float = 10.0
    r1_every: int = 16
    pool: int = 50  # codes that the critic remembers, of each kind


class E4E(PSP):
    """pSp with a progressive encoder."""

    card = CARD
    Config = E4EConfig
    config: E4EConfig
    presets = {
        "paper": E4EConfig(),
        "256": E4EConfig(size=256),
        "tiny": E4EConfig(
            size=64, pixels=64, widths=(16, 32, 64, 128), units=(1, 1, 2, 1), dim=64, learning_rate=2e-3,
            start=60, every=20, critic_rate=2e-4,
        ),
    }  # fmt: skip
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def make_encoder(self) -> Trunk:
        c = self.config
        return ProgressiveEncoder(c.styles, c.channels, c.pixels, c.widths, c.units, c.dim)

    def stages(self, features: Source = "official") -> list[Stage]:
        self.check_generator()
        return [E4EStage(self, features)]

    def sample(self, noise: Noise) -> Tensor:
        """Codes (N, dim) that the generator maps from random z."""
        return self.decoder.style(noise.normal(self.config.dim))


class E4EStage(PSPStage):
    """The critic learns codes of W from codes of images; then the encoder learns, with one offset more now and then."""

    method: E4E
    iterations = 300_000
    config: E4EConfig

    def __init__(self, method: E4E, features: Source, config: E4EConfig | None = None):
        super().__init__(method, features, config)
        self.adversary = Adversary(LatentDiscriminator(self.config.dim), self.config.r1, self.config.r1_every)
        self.real, self.fake = (CodePool(self.config.pool, self.config.dim) for _ in range(2))

    def optimisers(self) -> dict[str, Optimizer]:
        critic = Adam(self.adversary.parameters(), self.config.critic_rate)
        return super().optimisers() | {"discriminator": critic}

    def last(self) -> int | None:
        """The last row that has its offset by now; None without progressive training."""
        c = self.config
        if c.start is None:
            return None
        return min(max(0, (int(self.adversary.iteration) - c.start) // c.every + 1), c.styles - 1)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, last, images = self.config, self.last(), self.source(batch)
        losses = self.adversary.improve(*self.examples(images, last, noise), update)
        codes = self.method.codes(images, last=last)
        total, terms = self.loss(*self.pair(codes, batch.image, noise))
        active = codes if last is None else codes[:, : last + 1]
        losses |= terms | {"adversarial": nonsaturating(self.adversary(active.flatten(0, 1)))}
        total = total + c.adversarial * losses["adversarial"]
        if last:
            losses["offsets"] = (active[:, 1:] - active[:, :1]).norm(dim=2).mean(0).sum()
            total = total + c.offsets * losses["offsets"]
        update("encoder", total)
        return losses

    @torch.no_grad()
    def examples(self, images: Tensor, last: int | None, noise: Noise) -> tuple[Tensor, Tensor]:
        """What the critic compares: mapped codes, and one row of every image's codes."""
        real, rows = self.method.sample(noise), self.method.codes(images, last=last)
        if not self.config.pool:
            return real, rows[:, 0]
        active = rows.shape[1] if last is None else last + 1
        chosen = (noise.uniform() * active).long()
        return self.real.exchange(real, noise), self.fake.exchange(rows[torch.arange(len(rows)), chosen], noise)


class CodePool(nn.Module):
    """Codes of earlier iterations (Shrivastava et al., 2017): a code that comes leaves, half the time, an older one."""

    codes: Tensor
    count: Tensor

    def __init__(self, size: int, dim: int):
        super().__init__()
        self.register_buffer("codes", torch.zeros(size, dim))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def exchange(self, codes: Tensor, noise: Noise) -> Tensor:
        """As many codes (N, dim) as are given: themselves while the pool fills, later some of the pool's."""
        codes = across.whole(codes)
        given, size = codes.clone(), len(self.codes)
        for i, (swap, place) in enumerate(across.whole(noise.uniform(2)).tolist()):
            if self.count < size:
                self.codes[int(self.count)] = codes[i]
                self.count += 1
            elif swap < 0.5:
                place = int(place * size)
                given[i] = self.codes[place]
                self.codes[place] = codes[i]
        return across.part(given)


def _run_encoder(network: ProgressiveEncoder, inputs: Inputs) -> dict[str, Tensor]:
    image = inputs.image()
    return {"codes": network(image), "codes_stage0": network(image, 0), "codes_stage4": network(image, 4)}


def _encoder(name: str, styles: int) -> Golden:
    return Golden(
        build=lambda: ProgressiveEncoder(styles),
        run=_run_encoder,
        parts=lambda network: {name: network},
        costs={name: lambda network: network(torch.empty(1, 3, 256, 256))},
    )


E4E.golden = {
    "e4e.encoder": _encoder("e4e.encoder", 18),
    "e4e.encoder256": _encoder("e4e.encoder256", 14),
    "e4e.latent_discriminator": Golden(
        build=LatentDiscriminator,
        run=lambda network, inputs: {"logits": network(inputs.latent(8, 512))},
        parts=lambda network: {"e4e.latent_discriminator": network},
        costs={"e4e.latent_discriminator": lambda network: network(torch.empty(1, 512))},
    ),
}
