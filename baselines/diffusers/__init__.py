"""Inpainting pipelines of the library diffusers, from a folder that the user has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from baselines.diffusers import folder as folders
from baselines.diffusers.families import FAMILIES, Family, Name
from bench.errors import BenchError
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source

CARD = Card(
    slug="diffusers",
    name="Diffusers",
    title="Inpainting pipelines of the library diffusers",
    authors="the authors of the library and of each model",
    year=2022,
    venue="-",
    url="https://github.com/huggingface/diffusers",
    takes=("text",),
    from_folder=True,
    published={"parameters": "Stable Diffusion 1.5: U-Net 859,535,364, autoencoder 83,653,863, text 123,060,480"},
    training="none here: the models are completed with as they were published",
    convention="1 = hole; images in [0, 1]; known pixels pass the autoencoder and change; latents of 8 x 8 pixels",
    licence="library: Apache-2.0; weights: see there",
    weights="a folder as the library saves it, safetensors only. sd15-inpaint: "
    "stable-diffusion-v1-5/stable-diffusion-inpainting (4.3 GB in float32; CreativeML OpenRAIL-M); sd15, with the "
    "U-Net of 4 channels: stable-diffusion-v1-5/stable-diffusion-v1-5 (the same); sd2-inpaint: "
    "stabilityai/stable-diffusion-2-inpainting (OpenRAIL++-M)",
    choices={
        "cells": "corner: what the library does. The network sees the upper left pixel of each cell of 8 x 8 pixels of "
        "a mask, so that it takes thin parts of a hole for known; maximum: a cell with a pixel of the hole is hole",
        "prompt": "of the thesis, and its negative prompt; a sentence of the condition takes its place",
        "scheduler": "pndm: that of the published folder, 51 passes for 50 steps; the thesis states none",
        "steps": "50, guidance 7.5: the library's; the thesis states none",
    },
    notes="weights name the folder: {method: diffusers, preset: sd15-inpaint, weights: DIR, at: 512}; the safety "
    "checker is left out: it returns black pictures",
)
THESIS = "best quality, extremely detailed, real human face, human face, high fidelity face, high-quality face"
AVOIDED = "bad anatomy, bad hands, missing fingers, extra digit, fewer digits, cropped, worst quality, low quality"


class DiffusersConfig(Config):
    """One pipeline, and all that a call of it says."""

    family: Name = "sd"  # pipeline class and its parts
    prompt: str = THESIS  # for all images; the guide `text` takes its place
    negative_prompt: str = AVOIDED
    steps: int = Field(default=50, ge=1)  # of the scheduler
    guidance: float = 7.5  # weight of the prompt against the negative one
    strength: float = Field(default=1.0, gt=0, le=1)  # below 1, it starts from the grey of the hole
    scheduler: Literal["pndm", "ddim", "euler"] = "pndm"
    cells: Literal["corner", "maximum"] = "corner"  # which pixel of a cell of the mask the network sees
    precision: Literal["float32", "bfloat16"] = "float32"  # of all networks

    @model_validator(mode="after")
    def _check(self) -> DiffusersConfig:
        if int(self.steps * self.strength) < 1:
            raise ValueError(f"{self.steps} steps at strength {self.strength} leave none: raise one of them")
        if self.scheduler not in self.served.samplers:
            raise ValueError(f"{self.family} takes the schedulers {', '.join(self.served.samplers)}")
        return self

    @property
    def served(self) -> Family:
        return FAMILIES[self.family]

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(self.served.multiple)

    def read(self, weights: Path) -> list[Path]:
        return folders.files(weights, self.served)


class Diffusers(Method):
    """A pipeline behind the contract of the benchmark; its networks are those of the folder that it loads."""

    card = CARD
    Config = DiffusersConfig
    config: DiffusersConfig
    presets = {
        "paper": DiffusersConfig(),
        "sd15-inpaint": DiffusersConfig(),
        "sd15": DiffusersConfig(),
        "sd2-inpaint": DiffusersConfig(scheduler="ddim"),
    }

    def __init__(self, config: DiffusersConfig):
        super().__init__(config)
        self.pipeline: Any = None  # no module: its networks stand beside it as sub-modules
        self.seen: dict[str, tuple[float, float, float]] = {}  # image -> shares, see `_shares`
        self.cut = False  # a prompt was longer than the text encoder reads

    def load_folder(self, folder: Path) -> None:
        family = self.config.served
        parts = folders.parts(folder, family, self.config.scheduler, getattr(torch, self.config.precision))
        inputs = parts["unet"].config.in_channels
        if inputs not in family.channels:
            raise BenchError(f"{folder}/unet takes {inputs} channels: inpainting takes 9, or 4 without a mask")
        with folders.quiet():
            self.pipeline = folders.library(family.pipeline)(**parts, **family.constructor)
        if self.pipeline.vae_scale_factor != family.cell:
            raise BenchError(
                f"{folder}/vae makes a latent of {self.pipeline.vae_scale_factor} pixels, not {family.cell}"
            )
        self.pipeline.set_progress_bar_config(disable=True)
        for name in family.networks:
            setattr(self, name, parts[name])  # parameters, devices and saving go by sub-modules

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        if self.pipeline is None:
            raise BenchError(
                "diffusers has no networks of its own: say the folder of a pipeline as weights: DIR (--weights DIR); "
                f"{folders.HOW}"
            )
        config, size = self.config, batch.image.shape[2:]
        config.sizes().check(batch.image, "diffusers")
        texts = list(batch.text or [config.prompt] * len(batch))
        mask = widened(batch.mask, config.served.cell) if config.cells == "maximum" else batch.mask
        self._note(batch, mask, texts)
        with folders.quiet():
            pictures = self.pipeline(
                prompt=texts,
                negative_prompt=[config.negative_prompt] * len(batch),
                # in [0, 1] and of their own size: the library guesses ranges from the darkest pixel of a batch, and
                # resizes to its own size what is given without one
                image=((batch.masked + 1) / 2).clamp(0, 1),
                mask_image=mask,
                height=size[0],
                width=size[1],
                strength=config.strength,
                num_inference_steps=config.steps,
                guidance_scale=config.guidance,
                generator=noise.generators,  # one an image: a single one would tie each image to those beside it
                output_type="pt",
            ).images
        return pictures.to(batch.image) * 2 - 1

    def remarks(self) -> list[str]:
        found = []
        if self.seen:
            hole, lost, added = (sum(shares) for shares in zip(*self.seen.values(), strict=True))
            cell = self.config.served.cell
            if self.config.cells == "corner":
                found.append(
                    f"its network sees one pixel of each cell of {cell} x {cell} of a mask: {lost / hole:.1%} of the "
                    "holes' pixels lay in cells that it took for known"
                )
            else:
                times = f"{1 + added / hole:.2f} times the holes"
                found.append(f"its network completed whole cells of {cell} x {cell} pixels: {times}")
        if self.pipeline is not None and self.pipeline.unet.config.in_channels == 4:
            found.append("its U-Net sees no mask: the grey of the hole is blended in at the rim")
        if self.config.strength < 1:
            found.append(f"strength {self.config.strength:g}: it starts from the grey of the hole")
        if self.cut:
            found.append("a prompt was longer than its text encoder reads: the end was cut off")
        return found

    def _note(self, batch: Batch, mask: Tensor, texts: list[str]) -> None:
        """Remember what the network sees of these holes and sentences."""
        cell = self.config.served.cell
        hole, taken = batch.mask.double(), F.interpolate(mask[:, :, ::cell, ::cell].double(), scale_factor=cell)
        shares = torch.stack([hole, hole * (1 - taken), taken * (1 - hole)]).sum((2, 3, 4)).T.tolist()
        self.seen |= dict(zip(batch.ids or map(str, range(len(batch))), map(tuple, shares), strict=True))
        tokenizer = self.pipeline.tokenizer
        with folders.quiet():
            longest = max(len(tokens) for tokens in tokenizer([*texts, self.config.negative_prompt]).input_ids)
        self.cut |= longest > tokenizer.model_max_length


def widened(mask: Tensor, cell: int) -> Tensor:
    """A mask (N, 1, H, W) with every cell that holds a pixel of the hole as hole. H and W are multiples of `cell`."""
    return F.interpolate(F.max_pool2d(mask, cell), scale_factor=cell)
