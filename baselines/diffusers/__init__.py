"""Inpainting pipelines of the library diffusers, from a folder that the user has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Generator, Tensor

from baselines.diffusers import folder as folders
from baselines.diffusers.cells import seen, widened
from baselines.diffusers.families import FAMILIES, Family, Name
from baselines.diffusers.linear import ImageByImage
from bench.errors import BenchError
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source
from bench.nn.iterative import some

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
    published={
        "parameters": "Stable Diffusion 1.5: U-Net 859,535,364, autoencoder 83,653,863, text encoder 123,060,480",
        "MACs": "Stable Diffusion 1.5 at 512 px: 401.696 G a pass of the U-Net; guidance doubles the passes",
    },
    training="none here: the models complete as they were published",
    convention="1 = hole; images in [0, 1]; known pixels pass the autoencoder and change; latents of 8 x 8 pixels",
    licence="library: Apache-2.0; weights: see there",
    weights="a folder as the library saves it, safetensors only: `facebench weights fetch sd15-inpaint` (or another "
    "preset) says where it lies, how large it is, and its licence; kandinsky22-inpaint: both of its folders in one, as "
    "KandinskyV22InpaintCombinedPipeline saves it",
    choices={
        "cells": "corner: what the library does. The network sees the upper left pixel of each cell of 8 x 8 pixels of "
        "a mask, so that it takes thin parts of a hole for known; maximum: a cell with a pixel of the hole is hole",
        "prompt": "of the thesis, and its negative prompt; a sentence of the condition takes its place",
        "scheduler": "pndm: that of Stable Diffusion 1.5's folder, 51 passes for 50 steps; the thesis states none",
        "steps": "and guidance: the library's defaults for each pipeline; the thesis states none",
        "strength": "1: the library's defaults lie between 0.6 and 1, and below 1 it starts from the grey of the hole",
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
    strength: float = Field(default=1.0, gt=0, le=1)  # 1: from noise alone
    scheduler: Literal["pndm", "ddim", "euler", "flow", "ddpm"] = "pndm"
    cells: Literal["corner", "maximum"] = "corner"  # which pixels of a cell of the mask are the network's
    precision: Literal["float32", "bfloat16"] = "float32"  # of all networks

    @model_validator(mode="after")
    def _check(self) -> DiffusersConfig:
        family = self.served
        if int(self.steps * self.strength) < 1:
            raise ValueError(f"{self.steps} steps at strength {self.strength} leave none: raise one of them")
        if self.scheduler not in family.samplers:
            raise ValueError(f"{self.family} takes the schedulers {', '.join(family.samplers)}")
        if self.strength < 1 and not family.strength:
            raise ValueError(f"{self.family} takes no strength")
        if self.negative_prompt and not family.negative:
            raise ValueError(f'{self.family} takes no negative prompt: set negative_prompt: ""')
        return self

    @property
    def served(self) -> Family:
        return FAMILIES[self.family]

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(self.served.multiple, only=self.served.only)

    def read(self, weights: Path) -> list[Path]:
        return folders.files(weights, self.served)


SD = DiffusersConfig()


class Diffusers(Method):
    """A pipeline behind the contract of the benchmark; its networks are those of the folder that it loads."""

    card = CARD
    Config: ClassVar[type[DiffusersConfig]] = DiffusersConfig
    config: DiffusersConfig
    presets = {
        "paper": SD,
        "sd15-inpaint": SD,
        "sd15": SD,
        "sd2-inpaint": SD,
        "sdxl-inpaint": DiffusersConfig(family="sdxl", scheduler="euler"),
        "sd3": DiffusersConfig(family="sd3", scheduler="flow", guidance=7.0),
        "kandinsky22-inpaint": DiffusersConfig(family="kandinsky22", scheduler="ddpm", steps=100, guidance=4.0),
        "flux-fill": DiffusersConfig(family="flux-fill", scheduler="flow", guidance=30.0, negative_prompt=""),
        "qwen-image-edit": DiffusersConfig(family="qwen-image-edit", scheduler="flow", guidance=4.0),
        "z-image": DiffusersConfig(family="z-image", scheduler="flow", guidance=5.0),
    }

    def __init__(self, config: DiffusersConfig):
        super().__init__(config)
        self.pipeline: Any = None  # no module: its networks stand beside it as sub-modules
        self.channels = 0  # inputs of its U-Net or transformer
        self.holes: dict[str, list[float]] = {}  # image -> pixels of its hole; of these, taken for known; added
        self.more: dict[str, Any] = {}  # further arguments of every call
        self.cut = False  # a prompt was longer than the text encoder reads

    def load_folder(self, folder: Path) -> None:
        family = self.config.served
        parts = folders.parts(folder, family, self.config.scheduler, getattr(torch, self.config.precision))
        name = "unet" if "unet" in parts else "transformer"
        self.channels = parts[name].config.in_channels
        if self.channels not in family.channels:
            wanted = " or ".join(map(str, family.channels))
            raise BenchError(f"{folder / name} takes {self.channels} channels: {family.pipeline} gives it {wanted}")
        with folders.quiet():
            self.pipeline = folders.library(family.pipeline)(**parts, **family.constructor)
        self.pipeline.set_progress_bar_config(disable=True)
        if family.together:
            self.pipeline.vae.enable_slicing()  # pictures one by one: the same bits whatever the batch
        side = getattr(self.pipeline, "vae_scale_factor", None) or self.pipeline.decoder_pipe.movq_scale_factor
        if side != family.cell:
            raise BenchError(
                f"{folder}: its autoencoder makes a latent of {side} x {side} pixels, not of {family.cell}"
            )
        for part in family.networks:
            setattr(self, part, parts[part])  # parameters, devices and saving go by sub-modules

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self._completed(batch, noise)

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """Pictures of the latents after some of the steps. The library makes them: at the end of a call of one step,
        it is given these latents in the place of its own."""
        kept: list[Tensor] = []

        def keep(pipeline: Any, step: int, time: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            kept.append(tensors["latents"])
            return {}

        last = self._completed(batch, noise, callback_on_step_end=keep)
        family = self.config.served
        count = len(kept) // (1 if family.together else len(batch))
        found, short = [], {"num_inference_steps": 1, **({"strength": 1.0} if family.strength else {})}
        for latents in some([torch.cat(kept[step::count]) for step in range(count)], count)[:-1]:
            parts = iter([latents] if family.together else latents.split(1))
            found.append(
                self._completed(batch, noise, **short, callback_on_step_end=lambda *_, p=parts: {"latents": next(p)})
            )
        return [*found, last]

    def hole(self, mask: Tensor) -> Tensor:
        """The mask of a call (N, 1, H, W)."""
        return widened(mask, self.config.served.cell) if self.config.cells == "maximum" else mask

    def words(self, texts: list[str], like: Tensor) -> dict[str, Any]:
        """The arguments of a call that say what to draw, for each image. `like`: a tensor of the call."""
        negative = [self.config.negative_prompt] * len(texts)
        return {"prompt": texts, **({"negative_prompt": negative} if self.config.served.negative else {})}

    def controls(self, batch: Batch, mask: Tensor) -> dict[str, Tensor]:
        """Further arguments of a call, for each image. `mask`: that of the call."""
        return {}

    def _completed(self, batch: Batch, noise: Noise, **changed: Any) -> Tensor:
        """The completions in [-1, 1]. `changed`: arguments of the library's call that are others this time."""
        config = self.config
        if self.pipeline is None:
            raise BenchError(
                f"{self.card.slug} has no networks of its own: say the folder of a pipeline as weights: DIR "
                f"(--weights DIR); {folders.HOW}"
            )
        config.sizes().check(batch.image, self.card.slug)
        mask, texts = self.hole(batch.mask), list(batch.text or [config.prompt] * len(batch))
        self._note(batch, mask, texts)
        each = {"image": batch.masked, "mask_image": mask, **self.words(texts, mask), **self.controls(batch, mask)}
        # of training and of measuring, one for all images; the library takes no other number of them
        generators = noise.generators * (len(batch) // len(noise.generators))
        with folders.quiet(), ImageByImage(len(batch) if config.served.together else 1):
            return torch.cat(list(self._calls(each, generators, changed)))

    def _calls(
        self, each: Mapping[str, Any], generators: list[Generator], changed: Mapping[str, Any]
    ) -> Iterator[Tensor]:
        """The completions in [-1, 1], of one call or of one an image. `each`: arguments that every image has."""
        config, family = self.config, self.config.served
        count, _, height, width = each["image"].shape
        said: dict[str, Any] = {
            # a size, or the library resizes to one of its own
            **({} if family.only else {"height": height, "width": width}),
            **({"strength": config.strength} if family.strength else {}),
            **family.more,
            **self.more,
            family.guidance: config.guidance,
            "num_inference_steps": config.steps,
            "output_type": "pt",
            **changed,
        }
        for first in [0] if family.together else range(count):
            cut = slice(None) if family.together else slice(first, first + 1)
            own = {name: value[cut] for name, value in each.items()}
            masked = own["image"]
            own["image"] = _pictures(masked, family.pictures)
            # one generator an image: a single one would tie each image to those beside it
            generator = generators if family.together else generators[first]
            given = self.pipeline(**own, **said, generator=generator).images.to(masked)
            yield given if family.pictures == "signed" else given * 2 - 1

    def remarks(self) -> list[str]:
        """What the network saw of the holes, and what else it did that others do not."""
        family, found = self.config.served, []
        counts = torch.tensor([[0.0] * 3, *self.holes.values()], dtype=torch.float64)
        hole, lost, added = counts.sum(0).tolist()
        side = f"{family.cell} x {family.cell}"
        if hole and self.config.cells == "maximum":
            found.append(f"its network completed whole cells of {side} pixels: {1 + added / hole:.2f} times the holes")
        elif hole and family.sees != "all":
            found.append(
                f"its network sees one pixel of each cell of {side} of a mask: {lost / hole:.1%} of the holes' pixels "
                "lay in cells that it took for known"
            )
        if self.channels in family.blind:
            found.append("its network sees no mask: the grey of the hole is blended in at the rim")
        if self.config.strength < 1:
            found.append(f"strength {self.config.strength:g}: it starts from the grey of the hole")
        if self.cut:
            found.append("a prompt was longer than its text encoder reads: the end was cut off")
        return found

    def _note(self, batch: Batch, mask: Tensor, texts: list[str]) -> None:
        """Remember what the network sees of these holes and sentences."""
        family = self.config.served
        hole, taken = batch.mask.double(), seen(mask, family.cell, family.sees).double()
        counts = torch.stack([hole, hole * (1 - taken), taken * (1 - hole)]).sum((2, 3, 4)).T.tolist()
        self.holes |= dict(zip(batch.ids or map(str, range(len(batch))), counts, strict=True))
        if family.limit:
            part, most = family.limit
            with folders.quiet():
                tokens = getattr(self.pipeline, part)([*texts, self.config.negative_prompt]).input_ids
            self.cut |= max(map(len, tokens)) > most


def _pictures(masked: Tensor, kind: str) -> Any:
    """Images in [-1, 1] as a pipeline takes them. In [0, 1] where it can be chosen: of those that may be in both
    ranges, the library guesses by the darkest pixel of all."""
    if kind == "signed":
        return masked
    if kind == "unit":
        return ((masked + 1) / 2).clamp(0, 1)
    levels = ((masked + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu()
    return [Image.fromarray(one.numpy()) for one in levels]
