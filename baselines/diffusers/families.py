"""The inpainting pipelines of the library that are served: their parts by class, and what a call of each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Name = Literal["sd", "sdxl", "sd3", "kandinsky22", "flux-fill", "qwen-image-edit", "z-image"]  # of presets


@dataclass(frozen=True, kw_only=True)
class Family:
    """One pipeline class of the library, and the folders that hold its parts.

    Parts are named as the library's constructor and the sub-folders name them; their classes stand here, so that
    nothing depends on what a folder says of itself.
    """

    pipeline: str
    folders: tuple[str, ...]  # what model_index.json may say
    networks: Mapping[str, str]  # part -> class, of diffusers or transformers
    readers: Mapping[str, str]  # tokenizers and processors
    samplers: tuple[str, ...]  # of the part `scheduler`: names in `schedulers`
    schedulers: Mapping[str, str] = field(default_factory=dict)  # other ones: part -> class, with the folder's fields
    constructor: Mapping[str, Any] = field(default_factory=dict)  # further arguments of the class
    channels: tuple[int, ...]  # inputs that its network may have
    blind: tuple[int, ...] = ()  # those without a mask: known latents are pasted after each step
    # what a call takes
    guidance: str = "guidance_scale"  # its argument
    negative: bool = True  # also a negative prompt
    strength: bool = True  # also a strength
    more: Mapping[str, Any] = field(default_factory=dict)
    together: bool = True  # several images at once; else what is known of the first would be all images'
    pictures: Literal["unit", "signed", "pillow"] = "unit"  # [0, 1], [-1, 1] (also what it gives), or 8 bits
    # what its network sees
    cell: int = 8  # pixels a side that become one latent
    sees: Literal["corner", "around", "all"] = "corner"  # of a cell of the mask
    multiple: int = 8  # that sides of images are multiples of
    only: int | None = None  # the one side that it completes
    limit: tuple[str, int] | None = None  # a tokenizer, and how many tokens are read


CLIP, T5 = "CLIPTextModelWithProjection", "T5EncoderModel"
SD = Family(
    pipeline="StableDiffusionInpaintPipeline",
    folders=("StableDiffusionInpaintPipeline", "StableDiffusionPipeline"),
    networks={"vae": "AutoencoderKL", "text_encoder": "CLIPTextModel", "unet": "UNet2DConditionModel"},
    readers={"tokenizer": "CLIPTokenizer"},
    samplers=("pndm", "ddim", "euler"),
    constructor={"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False},
    channels=(9, 4),
    blind=(4,),
    limit=("tokenizer", 77),
)
FAMILIES: Mapping[str, Family] = {
    "sd": SD,
    "controlnet": replace(
        SD,
        pipeline="StableDiffusionControlNetInpaintPipeline",
        folders=("StableDiffusionControlNetInpaintPipeline", "StableDiffusionControlNetPipeline", *SD.folders),
        networks={**SD.networks, "controlnet": "ControlNetModel"},
    ),
    "sdxl": Family(
        pipeline="StableDiffusionXLInpaintPipeline",
        folders=("StableDiffusionXLInpaintPipeline", "StableDiffusionXLPipeline"),
        networks={
            "vae": "AutoencoderKL",
            "text_encoder": "CLIPTextModel",
            "text_encoder_2": CLIP,
            "unet": "UNet2DConditionModel",
        },
        readers={"tokenizer": "CLIPTokenizer", "tokenizer_2": "CLIPTokenizer"},
        samplers=("euler", "ddim"),
        constructor={"add_watermarker": False},
        channels=(9, 4),
        blind=(4,),
        limit=("tokenizer", 77),
    ),
    "sd3": Family(
        pipeline="StableDiffusion3InpaintPipeline",
        folders=("StableDiffusion3InpaintPipeline", "StableDiffusion3Pipeline"),
        networks={
            "vae": "AutoencoderKL",
            "text_encoder": CLIP,
            "text_encoder_2": CLIP,
            "text_encoder_3": T5,
            "transformer": "SD3Transformer2DModel",
        },
        readers={"tokenizer": "CLIPTokenizer", "tokenizer_2": "CLIPTokenizer", "tokenizer_3": "T5TokenizerFast"},
        samplers=("flow",),
        channels=(33, 16),
        blind=(16,),
        more={"max_sequence_length": 256},
        multiple=16,
        limit=("tokenizer_3", 256),
    ),
    "kandinsky22": Family(
        pipeline="KandinskyV22InpaintCombinedPipeline",
        folders=("KandinskyV22InpaintCombinedPipeline",),
        networks={
            "movq": "VQModel",
            "unet": "UNet2DConditionModel",
            "prior_prior": "PriorTransformer",
            "prior_image_encoder": "CLIPVisionModelWithProjection",
            "prior_text_encoder": CLIP,
        },
        readers={"prior_tokenizer": "CLIPTokenizer", "prior_image_processor": "CLIPImageProcessor"},
        samplers=("ddpm",),
        schedulers={"prior_scheduler": "UnCLIPScheduler"},
        channels=(9,),
        strength=False,
        more={"prior_num_inference_steps": 25, "prior_guidance_scale": 4.0},
        together=False,
        pictures="signed",
        sees="around",
        multiple=64,
        limit=("prior_tokenizer", 77),
    ),
    "flux-fill": Family(
        pipeline="FluxFillPipeline",
        folders=("FluxFillPipeline",),
        networks={
            "vae": "AutoencoderKL",
            "text_encoder": "CLIPTextModel",
            "text_encoder_2": T5,
            "transformer": "FluxTransformer2DModel",
        },
        readers={"tokenizer": "CLIPTokenizer", "tokenizer_2": "T5TokenizerFast"},
        samplers=("flow",),
        channels=(384,),
        negative=False,
        more={"max_sequence_length": 512},
        sees="all",
        multiple=16,
        limit=("tokenizer_2", 512),
    ),
    "qwen-image-edit": Family(
        pipeline="QwenImageEditInpaintPipeline",
        folders=("QwenImageEditInpaintPipeline", "QwenImageEditPipeline"),
        networks={
            "vae": "AutoencoderKLQwenImage",
            "text_encoder": "Qwen2_5_VLForConditionalGeneration",
            "transformer": "QwenImageTransformer2DModel",
        },
        readers={"tokenizer": "Qwen2Tokenizer", "processor": "Qwen2VLProcessor"},
        samplers=("flow",),
        channels=(64,),
        blind=(64,),
        guidance="true_cfg_scale",
        more={"max_sequence_length": 512},
        together=False,
        pictures="pillow",
        multiple=16,
        only=1024,
    ),
    "z-image": Family(
        pipeline="ZImageInpaintPipeline",
        folders=("ZImageInpaintPipeline", "ZImagePipeline"),
        networks={"vae": "AutoencoderKL", "text_encoder": "Qwen3Model", "transformer": "ZImageTransformer2DModel"},
        readers={"tokenizer": "Qwen2Tokenizer"},
        samplers=("flow",),
        channels=(16,),
        blind=(16,),
        more={"max_sequence_length": 512},
        multiple=16,
    ),
}


def of_folder(said: str) -> str:
    """The family of what a model_index.json says; empty for a class that is none of theirs."""
    return next((name for name, family in FAMILIES.items() if said in family.folders), "")
