"""Tiny pipelines of the library diffusers: made in memory by its own classes, with fixed weights, and saved."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from bench import registry
from bench.method import Method

_KEPT = tempfile.TemporaryDirectory(prefix="pipelines-")


@cache
def folder(name: str) -> Path:
    """The folder of a tiny pipeline; do not write into it."""
    path = Path(_KEPT.name) / name
    made(name).save_pretrained(path)
    return path


def made(name: str, seed: int = 0) -> Any:
    """A tiny pipeline in memory."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = MADE[name]()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def loaded(slug: str) -> Method:
    """A method that completes with the user's weights alone, with those of its first tiny pipeline."""
    method = registry.get(slug).load().create("paper", steps=2)
    method.load_folder(folder(next(iter(MADE))))
    return method


def clip_tokenizer() -> Any:
    """Letters are tokens."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{one}</w>" for one in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=77)


def clip(tokenizer: Any, kind: str = "CLIPTextModel", width: int = 16) -> Any:
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=77, projection_dim=width, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return getattr(transformers, kind)(config).eval()


def autoencoder(channels: int = 4, **more: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, latent_channels=channels, layers_per_block=1,
        sample_size=64, **more,
    ).eval()  # fmt: skip


def unet(channels: int, **more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {"cross_attention_dim": 16, "attention_head_dim": 8} | more
    return UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=4, block_out_channels=(16, 32), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8, **settings,
    ).eval()  # fmt: skip


def stable_diffusion(channels: int = 9) -> Any:
    from diffusers import PNDMScheduler, StableDiffusionInpaintPipeline

    tokenizer = clip_tokenizer()
    scheduler = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    )
    return StableDiffusionInpaintPipeline(
        vae=autoencoder(), text_encoder=clip(tokenizer), tokenizer=tokenizer, unet=unet(channels), scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


MADE = {"sd15-inpaint": stable_diffusion, "sd15": lambda: stable_diffusion(4)}
