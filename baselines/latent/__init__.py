"""Latent diffusion in the form of Stable Diffusion's inpainting, trained here: a baseline of this project."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from baselines.diffusers import Diffusers, DiffusersConfig
from baselines.diffusers.families import FAMILIES, Family
from baselines.diffusers.folder import library, quiet
from baselines.diffusers.schedulers import SAMPLERS, trained
from baselines.latent.networks import INPUTS, autoencoder, denoiser
from baselines.latent.training import AutoencoderStage, DenoiserStage
from baselines.latent.words import LENGTHS, reader, token
from bench.method import Card, Sizes, Source, Stage
from bench.nn.diffusion import STEPS
from bench.nn.iterative import said
from bench.nn.text import fingerprint

CARD = Card(
    slug="latent",
    name="Latent diffusion",
    title="High-Resolution Image Synthesis with Latent Diffusion Models, as an inpainting baseline",
    authors="Rombach, Blattmann, Lorenz, Esser, Ommer; baseline: this project",
    year=2022,
    venue="CVPR; arXiv 2112.10752",
    url="https://arxiv.org/abs/2112.10752",
    resolution=256,
    takes=("text",),
    params={"vae": 55_325_927, "unet": 414_727_716},
    macs={"vae": 508.023e9, "unet": 6_594.934e9},
    training="autoencoder: Adam 4.5e-6 a picture, batch 8, L1 + LPIPS + 1e-6 KL, from 50,000 iterations on + 0.5 times "
    "a discriminator's hinge loss, balanced by gradients; denoiser: AdamW 2e-6 a picture, batch 42; EMA 0.9999",
    features="LPIPS (VGG-16)",
    licence="this project's own; networks and samplers are those of the library diffusers: Apache-2.0",
    weights="none",
    choices={
        "baseline": "Stable Diffusion's inpainting (9 inputs: noisy latents, mask, latents of the known pixels) in the "
        "sizes of the authors' model of FFHQ, trained here from nothing. Their own inpainting has no text",
        "autoencoder": "KL, factor 4, as the authors' kl-f4 but with 4 latent channels in place of 3: the library's "
        "pipeline takes no other. Latents are brought to mean 0 and deviation 1 in each channel by those of one "
        "batch; the authors divide by one deviation",
        "multipliers": "the authors' 1, 2, 3, 4 and attention at 32, 16 and 8 latents a side; the library's layers "
        "with attention also look at the text, so that there are more parameters",
        "text": "one vector of CLIP ViT-B/32 as a sequence of one token; Stable Diffusion reads 77 of CLIP ViT-L/14. "
        "Trained on vectors of pictures with noise, not of sentences, so that pictures without words serve (LAFITE, "
        "Zhou et al., CVPR 2022)",
        "guidance": "1: a step calls the denoiser once. Above 1, twice, which only texts are a reason for",
        "eta": "0: as the library samples unless told. 1: ours, for `tiny`: its denoiser has learned little, and noise "
        "on the way lets later steps mend what earlier ones left",
        "cells": "maximum: what becomes one latent is hole where one of its pixels is, in training and in completing",
        "autoencoder_ema": "ours: the authors' autoencoder has no averaged copy",
        "adversarial_start": "the discriminator learns before, too; it is EdgeConnect's, with spectral norm",
        "iterations": "ours, and the budget's halves for the two stages",
        "predicts": "noise: as published. velocity (Salimans and Ho, ICLR 2022): ours, for `tiny`",
    },
    notes="Needs the extra: pip install 'face-inpaint-bench[diffusion]'. A completion calls the denoiser 50 times in "
    "`paper`, 20 times in `tiny`, the autoencoder's halves once each; the multiply-accumulates are those of all calls.",
)


class LatentConfig(DiffusersConfig):
    """Sizes of both networks, their training, and all that a call of the pipeline says."""

    family: Literal["sd"] = "sd"
    precision: Literal["float32"] = "float32"
    prompt: str = ""  # for all images, in words that the text network knows; empty: a vector of zeros
    negative_prompt: str = ""
    guidance: float = 1.0  # of a text; above 1, each step calls the denoiser once more
    scheduler: Literal["pndm", "ddim", "euler"] = "ddim"
    eta: float = Field(default=0.0, ge=0, le=1)  # of DDIM's equation 16; 0: no noise on the way, 1: as much as DDPM has
    cells: Literal["corner", "maximum"] = "maximum"
    text: Source = "official"  # network that makes vectors of texts, and in training of pictures
    # autoencoder: channels at the whole size, multiples of them (sides halve from one to the next), blocks, norms
    autoencoder_width: int = 128
    autoencoder_multipliers: tuple[int, ...] = (1, 2, 4)
    autoencoder_blocks: int = 2
    autoencoder_groups: int = 32
    # denoiser: the same at the size of the latents; levels with attention, counted from 0; channels of a head
    width: int = 224
    multipliers: tuple[int, ...] = (1, 2, 3, 4)
    blocks: int = 2
    groups: int = 32
    attention: tuple[int, ...] = (1, 2, 3)
    head: int = 32
    # noise of the latents
    beta_start: float = 0.0015  # of the 1,000 steps; their roots are equally spaced
    beta_end: float = 0.0195
    predicts: Literal["noise", "velocity"] = "noise"  # what the denoiser gives and its loss measures
    # training
    autoencoder_rate: float = 4.5e-6 * 8
    autoencoder_batch: int = 8
    autoencoder_share: float = Field(default=0.5, gt=0, lt=1)  # of the budget
    autoencoder_ema: float = 0.9999
    perceptual: float = 1.0  # weight of LPIPS
    kl: float = 1e-6
    adversarial: float = 0.5  # weight of the discriminator; 0: there is none
    adversarial_start: int = 50_000  # iterations before the decoder hears of it
    learning_rate: float = 8.4e-5
    batch_size: int = 42
    ema: float = 0.9999
    told: float = 0.9  # share of the pictures whose vector the denoiser is shown
    masks: str = "irregular"  # training draw

    @property
    def cell(self) -> int:
        """Pixels a side that become one latent."""
        return 2 ** (len(self.autoencoder_multipliers) - 1)

    @property
    def served(self) -> Family:
        multiple = math.lcm(8, self.cell * 2 ** (len(self.multipliers) - 1))  # 8: the library's own
        return replace(FAMILIES["sd"], cell=self.cell, multiple=multiple, channels=(INPUTS,), limit=None)

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(self.served.multiple)

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        if self.text == "official" or "text" not in guides:
            return []
        return [f"texts are read by {fingerprint()}; the preset `paper` takes CLIP"]


class Latent(Diffusers):
    """Denoises the latents of a picture, beside those of its known pixels and the mask."""

    card = CARD
    Config = LatentConfig
    config: LatentConfig
    vae: Any  # of the library, which mypy knows nothing of
    unet: Any
    presets = {
        "paper": LatentConfig(),
        "tiny": LatentConfig(
            text="embedded", autoencoder_width=16, autoencoder_multipliers=(1, 2), autoencoder_blocks=1,
            autoencoder_groups=8, width=48, multipliers=(1, 2, 3), blocks=1, groups=8, attention=(2,), head=48,
            predicts="velocity", steps=20, eta=1, autoencoder_rate=1e-3, autoencoder_batch=4, autoencoder_share=0.2,
            autoencoder_ema=0.99, perceptual=0.2, kl=1e-3, adversarial=0, learning_rate=1e-3, batch_size=4, ema=0.998,
            told=0.3,
        ),
    }  # fmt: skip

    def __init__(self, config: LatentConfig):
        super().__init__(config)
        self.vae = autoencoder(config)
        self.unet = denoiser(config)
        self.channels = INPUTS
        self.more = {"eta": config.eta}
        with torch.device("cpu"), quiet():  # on the meta device, its schedule would have no values
            noise = {"num_train_timesteps": STEPS, "beta_schedule": "scaled_linear"}
            noise |= {"beta_start": config.beta_start, "beta_end": config.beta_end}
            noise["prediction_type"] = {"noise": "epsilon", "velocity": "v_prediction"}[config.predicts]
            name, declared = SAMPLERS[config.scheduler]
            self.pipeline = library(config.served.pipeline)(
                vae=self.vae, unet=self.unet, scheduler=library(name)(**trained(noise, name), **(declared or {})),
                text_encoder=None, tokenizer=None, **config.served.constructor,
            )  # fmt: skip
        self.pipeline.set_progress_bar_config(disable=True)

    def latents(self, pictures: Tensor, normal: Tensor) -> Tensor:
        """Latents (N, 4, H / cell, W / cell) of pictures (N, 3, H, W), drawn by normal values of their shape."""
        found = self.vae.encode(pictures).latent_dist
        return found.mean + found.std * normal

    def vectors(self, texts: list[str], like: Tensor) -> Tensor:
        """One token for each text (N, 1, D); a text that is empty has zeros."""
        found = like.new_zeros(len(texts), 1, LENGTHS[self.config.text])
        if told := [i for i, one in enumerate(texts) if one]:
            found[told] = token(reader(self.config.text, like.device).texts([texts[i] for i in told])).to(found)
        return found

    def words(self, texts: list[str], like: Tensor) -> dict[str, Any]:
        negative = [self.config.negative_prompt] * len(texts)
        return {
            "prompt_embeds": self.vectors(texts, like),
            "negative_prompt_embeds": self.vectors(negative, like),
        }

    def remarks(self) -> list[str]:
        return [*super().remarks(), said(len(self.pipeline.scheduler.timesteps))]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [AutoencoderStage(self, features), DenoiserStage(self)]
