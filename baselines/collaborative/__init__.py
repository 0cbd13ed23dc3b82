"""Collaborative Diffusion: diffusion models of label maps and of texts draw latents, each followed where it knows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.collaborative import training
from baselines.collaborative.autoencoder import Autoencoder
from baselines.collaborative.networks import LabelTokens, influence, mixed, scheduled, unet
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Noise, Sizes, Source, Stage
from bench.nn import text
from bench.nn.adm import UNet
from bench.nn.celebamask import relabelled
from bench.nn.ddim import back
from bench.nn.denoising import times, woken
from bench.nn.diffusion import Diffusion, at
from bench.nn.iterative import Iterative, some
from bench.nn.vqgan import begin_with_shortcuts

CARD = Card(
    slug="collaborative",
    name="Collaborative Diffusion",
    title="Collaborative Diffusion for Multi-Modal Face Generation and Editing",
    authors="Huang, Chan, Jiang, Liu",
    year=2023,
    venue="CVPR; arXiv 2304.10530",
    url="https://github.com/ziqihuangg/Collaborative-Diffusion",
    task="editing",
    resolution=256,
    params={
        "label_denoiser": 403_623_939,
        "text_denoiser": 403_623_939,
        "label_diffuser": 13_136_321,
        "text_diffuser": 13_136_321,
    },
    macs={
        "label_denoiser": 5_286.2e9,
        "text_denoiser": 5_286.2e9,
        "label_diffuser": 188.4e9,
        "text_diffuser": 188.4e9,
    },
    published={
        "CelebA-HQ, semantics": "FID 30.22, U-IDS 0 %, LPIPS 0.5280 (thesis, table 6.5; called ColDiffusion)",
        "FFHQ, semantics": "FID 76.73, U-IDS 0 %, LPIPS 0.5937 (likewise)",
        "CelebA-HQ, semantics and text": "FID 26.87, U-IDS 0 %, LPIPS 0.5283 (thesis, table 6.1)",
    },
    training="autoencoder: Adam 4.5e-6 a picture, batch 64 (512 px: 16), L1 + LPIPS + 1e-6 KL, from 50,001 iterations "
    "on + 0.5 times a discriminator's hinge loss; denoisers, then dynamic diffusers: AdamW 2e-6 a picture (the "
    "denoiser of labels at 512 px: 1e-6), batch 32, squared error of the noise; no EMA",
    features="LPIPS (VGG-16); CLIP",
    convention="no masks, no picture: the whole picture is drawn; labels in CelebAMask-HQ's own order, at 32 x 32",
    licence="S-Lab License 1.0 (non-commercial); its base, latent-diffusion: MIT",
    weights="the authors' 256_codiff_mask_text.ckpt and others (Google Drive): they need the classes of old libraries, "
    "and are not read here; pictures made by them can be given to the method `external`",
    needs=("semantics",),
    takes=("layout", "text"),
    choices={
        "text": "one vector of CLIP ViT-B/32, which a layer makes one token. The authors' is a transformer of 32 "
        "layers that learns 77 word pieces from captions; trained on vectors of pictures with noise (LAFITE, Zhou et "
        "al., CVPR 2022), pictures without words serve",
        "without text": "the denoiser of labels draws alone",
        "scheduled": "true: as the released sampler, the influence of the labels falls to 0 at the end, and counts "
        "twice. false: as the paper prints and as the dynamic diffusers are trained",
        "steps": "50: 1, 21, .. 981 of 1,000, DDIM with as much noise as DDPM has, as released; nothing is left "
        "of it at the last one",
        "deviation": "of the latents, which are divided by it: that of one batch; the authors multiply by 0.058 "
        "(512 px: 0.141)",
        "iterations": "not stated: ours",
        "batches": "8 pictures on a GPU, as released; of the autoencoder 8 (512 px: 2), twice before a step. 4 GPUs, "
        "as the released commands for 512 px say; ours for 256 px, for which there are none",
        "autoencoder": "with attention in its middle, as all of its family",
        "predicts": "noise: as released. velocity (Salimans and Ho, ICLR 2022): ours, for the short training of `tiny`",
        "zeros": "true: as released. false, ours for `tiny`: layers that end blocks begin with a tenth of PyTorch's "
        "own values",
        "shortcuts": "false: as released. true, ours for `tiny`: colours pass the new autoencoder at once",
    },
    notes="Editing of a given picture by fine-tuning (Imagic) is not covered. The multiply-accumulates are those of 50 "
    "steps with 77 tokens of text and 19 of labels, as recorded; the autoencoder and readers of text are not counted.",
)


class CollaborativeConfig(Config):
    """Sizes of all networks, their training, and the schedule."""

    # autoencoder: channels at the whole size, multiples of them (sides halve from one to the next), blocks, latents
    autoencoder_width: int = 128
    autoencoder_multipliers: tuple[int, ...] = (1, 2, 4)
    autoencoder_blocks: int = 2
    latents: int = 3
    # denoisers: the same at the size of the latents; levels that look at the context, from 0; the middle does, too
    width: int = 192
    multipliers: tuple[int, ...] = (1, 2, 3, 5)
    blocks: int = 2
    attention: tuple[int, ...] = (1, 2, 3)
    heads: int = 32
    diffuser_width: int = 32  # of the dynamic diffusers, which are as deep
    context: int = 640  # values of a token
    groups: int = 32  # of all norms
    text: Source = "official"  # network that makes vectors of texts, and in training of pictures
    # sampling
    steps: int = Field(default=50, ge=2, le=500)
    eta: float = Field(default=1.0, ge=0, le=1)  # of DDIM's equation 16
    scheduled: bool = True  # the labels' influence falls
    predicts: Literal["noise", "velocity"] = "noise"  # what a denoiser gives
    zeros: bool = True  # the layers that end blocks and networks begin at 0
    shortcuts: bool = False  # the autoencoder begins with little but its shortcuts
    # training
    iterations: tuple[int, int, int, int] = (500_000, 500_000, 500_000, 100_000)  # of the stages
    autoencoder_batch: int = 64
    batch_size: int = 32  # of the other stages
    autoencoder_rate: float = 4.5e-6 * 64
    learning_rate: float = 2e-6 * 32
    label_rate: float | None = None  # learning rate of the denoiser of labels, where it is another
    left: float = Field(default=1.0, ge=0, le=1)  # of it at the end of each stage, to which it falls by half a cosine
    perceptual: float = 1.0  # weight of LPIPS
    kl: float = 1e-6
    adversarial: float = 0.5  # weight of the discriminator; 0: there is none
    start: float = 0.1  # share of the autoencoder's training before it joins
    ema: float = 0.0  # moving average of the networks of each stage; as released: none

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2 ** (len(self.autoencoder_multipliers) + len(self.multipliers) - 2))

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        if self.text == "official" or "text" not in guides:
            return []
        return [f"texts are read by {text.fingerprint()}; the preset `paper` takes CLIP"]

    def unet(self, width: int, outputs: int) -> UNet:
        """A denoiser or a dynamic diffuser."""
        c = self
        network = unet(
            width, c.multipliers, c.blocks, c.attention, c.groups, c.context, c.heads, c.latents, outputs
        )  # fmt: skip
        return network if c.zeros else woken(network)


LENGTHS = {"official": 512, "embedded": text.WIDTH}  # of the vectors of texts


@lru_cache
def reader(source: Source, device: torch.device) -> text.TextImage:
    """The network that reads texts; it is no part of a method, and not saved with it."""
    return text.load(source).to(device)


class Collaborative(Iterative):
    """Collaborative Diffusion of labels and text."""

    card = CARD
    Config = CollaborativeConfig
    config: CollaborativeConfig
    presets = {
        "paper": CollaborativeConfig(),
        "512": CollaborativeConfig(
            autoencoder_multipliers=(1, 2, 4, 4), autoencoder_batch=16, autoencoder_rate=4.5e-6 * 16,
            label_rate=1e-6 * 32,
        ),
        "tiny": CollaborativeConfig(
            autoencoder_width=16, autoencoder_multipliers=(1, 2, 2), autoencoder_blocks=1, latents=8, width=64,
            multipliers=(1, 2), blocks=1, attention=(0, 1), heads=4, diffuser_width=16, context=64, groups=8,
            text="embedded", steps=20, predicts="velocity", zeros=False, shortcuts=True, iterations=(4, 10, 5, 1),
            autoencoder_batch=8, batch_size=8, autoencoder_rate=1e-3, learning_rate=7e-4, left=0.02, perceptual=0.2,
            kl=1e-3, adversarial=0, ema=0.995,
        ),
    }  # fmt: skip

    def __init__(self, config: CollaborativeConfig):
        super().__init__(config)
        c = config
        widths = [c.autoencoder_width * m for m in c.autoencoder_multipliers]
        self.autoencoder = Autoencoder(widths, c.latents, c.autoencoder_blocks, c.groups)
        if c.shortcuts:
            begin_with_shortcuts(self.autoencoder)
        self.label_tokens = LabelTokens(c.context)
        self.text_tokens = nn.Linear(LENGTHS[c.text], c.context)
        self.label_denoiser, self.text_denoiser = (c.unet(c.width, c.latents) for _ in range(2))
        self.label_diffuser, self.text_diffuser = (c.unet(c.diffuser_width, 1) for _ in range(2))
        self.diffusion = Diffusion.rooted(0.0015, 0.0195)

    @property
    def calls(self) -> int:
        return self.config.steps

    def reader(self, device: torch.device) -> text.TextImage:
        """The network that reads texts."""
        return reader(self.config.text, device)

    def read(self, vectors: Tensor) -> Tensor:
        """Tokens (N, 1, context) of vectors of texts (N, D) of length 1."""
        return self.text_tokens(vectors * vectors.shape[1] ** 0.5)[:, None]

    def predict(self, denoiser: nn.Module, x: Tensor, k: int | Tensor, tokens: Tensor) -> Tensor:
        """The noise (N, latents, h, w) that a denoiser sees in x_k, of all or (N,), by tokens (N, M, context)."""
        found = denoiser(x, times(k, x), tokens)
        if self.config.predicts == "noise":
            return found
        abar = self.diffusion.abar
        return at((1 - abar) ** 0.5, k, x) * x + at(abar**0.5, k, x) * found

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """A face of the labels `batch.layout`, or else of the picture's own, and of a text where there is one."""
        self.ready(batch)
        *_, last = self.clean(batch, noise)
        return self.picture(last)

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        self.ready(batch)
        return [self.picture(z) for z in some(self.clean(batch, noise), self.calls)]

    def picture(self, z: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] of latents as the denoisers see them."""
        return self.autoencoder.decode(z * self.autoencoder.deviation).clamp(-1, 1)

    def clean(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """The latents as the denoisers see them at each of their calls."""
        c = self.config
        cell = 2 ** (len(c.autoencoder_multipliers) - 1)
        shape = (c.latents, *(side // cell for side in batch.image.shape[2:]))
        _, wanted = relabelled(batch)
        labels = self.label_tokens(wanted)
        words = None if batch.text is None else self.words(batch.text, batch.image)
        diffusion, x = self.diffusion.strided(c.steps), noise.normal(*shape)
        for step in reversed(range(c.steps)):
            k = int(diffusion.times[step])
            abar, beta = float(diffusion.abar[step]), float(diffusion.beta[step])
            seen = self.collaborated(x, k, labels, words)
            z = (x - (1 - abar) ** 0.5 * seen) / abar**0.5
            fresh = c.eta * (beta / (1 - abar)) ** 0.5
            x = back(diffusion, z, x, step, fresh, noise.normal(*shape))
            yield z

    def collaborated(self, x: Tensor, k: int, labels: Tensor, words: Tensor | None) -> Tensor:
        """The noise in x_k that both denoisers see together; that of the labels where there is no text."""
        by_labels = self.predict(self.label_denoiser, x, k, labels)
        if words is None:
            return by_labels
        by_text = self.predict(self.text_denoiser, x, k, words)
        told = times(k, x)
        share = influence(self.label_diffuser(x, told, labels), self.text_diffuser(x, told, words))
        return mixed(scheduled(share, k) if self.config.scheduled else share, by_labels, by_text)

    def words(self, texts: tuple[str, ...], like: Tensor) -> Tensor:
        """Tokens of texts; an empty one is a vector of zeros."""
        vectors = like.new_zeros(len(texts), LENGTHS[self.config.text])
        if told := [i for i, one in enumerate(texts) if one]:
            vectors[told] = self.reader(like.device).texts([texts[i] for i in told]).to(vectors)
        return self.read(vectors)

    def stages(self, features: Source = "official") -> list[Stage]:
        later = (training.LabelStage, training.TextStage, training.DiffuserStage)
        return [training.AutoencoderStage(self, features), *(kind(self) for kind in later)]


def _built() -> nn.Module:
    config = CollaborativeConfig()
    return nn.ModuleDict({"unet": config.unet(64, 3), "diffuser": config.unet(32, 1)})


def _load(networks: nn.Module, state: Mapping[str, Tensor]) -> None:
    networks.load_state_dict({key.replace("diffusion_model.", "", 1): value for key, value in state.items()})


def _run(networks: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    x, k = 0.5 * inputs.latent(1, 3, 64, 64) + 0.5 * inputs.image(64), torch.tensor([500])
    labels, words = inputs.latent(1, 19, 640, offset=1), inputs.latent(1, 77, 640, offset=2)
    by_labels, by_text = (networks.get_submodule("unet")(x, k, tokens) for tokens in (labels, words))
    share = influence(*(networks.get_submodule("diffuser")(x, k, tokens) for tokens in (labels, words)))
    return {
        "eps_mask": by_labels,
        "eps_text": by_text,
        "influence_mask": share,
        "combined": mixed(share, by_labels, by_text),
        "combined_default": mixed(scheduled(share, 500), by_labels, by_text),
    }


def _once(network: str) -> Any:
    def run(networks: nn.Module) -> Tensor:
        x, words = torch.empty(1, 3, 64, 64), torch.empty(1, 77, 640)
        return networks.get_submodule(network)(x, torch.tensor([500]), words)

    return run


Collaborative.golden = {
    "collaborative.small": Golden(
        build=_built,
        load=_load,
        run=_run,
        parts=lambda networks: {"unet64": networks["unet"], "diffuser": networks["diffuser"]},
        costs={"unet64": _once("unet"), "diffuser": _once("diffuser")},
        keys={"unet.": "collaborative.unet64", "diffuser.": "collaborative.diffuser"},
    )
}
