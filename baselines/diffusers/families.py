"""The inpainting pipelines of the library that are served: their parts by class, and what a call of each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Name = Literal["sd"]


@dataclass(frozen=True)
class Family:
    """One pipeline class of the library, and the folders that hold its parts.

    Parts are named as the library's constructor and the sub-folders name them; their classes stand here, so that
    nothing depends on what a folder says of itself.
    """

    pipeline: str
    networks: Mapping[str, str]  # part -> class, of diffusers or transformers
    tokenizers: Mapping[str, str]
    samplers: tuple[str, ...]  # names in `schedulers`
    folders: tuple[str, ...]  # what model_index.json may say
    constructor: Mapping[str, object] = field(default_factory=dict)  # further arguments of the class
    cell: int = 8  # pixels a side that become one latent
    multiple: int = 8  # that sides of images are multiples of
    channels: tuple[int, ...] = ()  # inputs that its U-Net may have


FAMILIES: Mapping[str, Family] = {
    "sd": Family(
        pipeline="StableDiffusionInpaintPipeline",
        networks={"vae": "AutoencoderKL", "text_encoder": "CLIPTextModel", "unet": "UNet2DConditionModel"},
        tokenizers={"tokenizer": "CLIPTokenizer"},
        samplers=("pndm", "ddim", "euler"),
        folders=("StableDiffusionInpaintPipeline", "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"),
        constructor={"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False},
        channels=(9, 4),
    ),
}


def of_folder(said: str) -> str:
    """The family of what a model_index.json says; empty for a class that is none of theirs."""
    return next((name for name, family in FAMILIES.items() if said in family.folders), "")
