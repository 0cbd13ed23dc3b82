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
    method.load_folder(folder("controlnet" if slug.startswith("controlnet") else "sd15-inpaint"))
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


def official_size() -> Any:
    """Stable Diffusion 1.5 for inpainting in its published sizes, half precision, with made-up values."""
    import diffusers
    import transformers

    tokenizer = clip_tokenizer()
    text = transformers.CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        max_position_embeddings=77, hidden_act="quick_gelu", projection_dim=768,
    )  # fmt: skip
    widths = (128, 256, 512, 512)
    vae = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    networks = {
        "unet": diffusers.UNet2DConditionModel(
            sample_size=64, in_channels=9, cross_attention_dim=768, attention_head_dim=8
        ),
        "vae": diffusers.AutoencoderKL(**vae, block_out_channels=widths, layers_per_block=2, sample_size=512),
        "text_encoder": transformers.CLIPTextModel(text),
    }
    return diffusers.StableDiffusionInpaintPipeline(
        **{name: network.half() for name, network in networks.items()}, tokenizer=tokenizer,
        scheduler=diffusers.PNDMScheduler(**NOISE, skip_prk_steps=True, steps_offset=1), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl(channels: int = 9) -> Any:
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLInpaintPipeline

    one, two = clip_tokenizer(), clip_tokenizer()
    return StableDiffusionXLInpaintPipeline(
        vae=autoencoder(), text_encoder=clip(one), text_encoder_2=clip(two, "CLIPTextModelWithProjection"),
        tokenizer=one, tokenizer_2=two, add_watermarker=False,
        scheduler=EulerDiscreteScheduler(**NOISE, timestep_spacing="leading", steps_offset=1),
        unet=unet(channels, cross_attention_dim=32, addition_embed_type="text_time", addition_time_embed_dim=8,
                  projection_class_embeddings_input_dim=6 * 8 + 16),
    )  # fmt: skip


def stable_diffusion_3() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3InpaintPipeline

    one, two, three = clip_tokenizer(), clip_tokenizer(), t5_tokenizer()
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, num_layers=1, attention_head_dim=8, num_attention_heads=4,
        joint_attention_dim=32, caption_projection_dim=32, pooled_projection_dim=32, pos_embed_max_size=16,
    )  # fmt: skip
    return StableDiffusion3InpaintPipeline(
        vae=autoencoder(16, shift_factor=0.06), text_encoder=clip(one, "CLIPTextModelWithProjection"),
        text_encoder_2=clip(two, "CLIPTextModelWithProjection"), text_encoder_3=t5(three), tokenizer=one,
        tokenizer_2=two, tokenizer_3=three, transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip


def flux_fill() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxFillPipeline, FluxTransformer2DModel

    one, two = clip_tokenizer(), t5_tokenizer()
    transformer = FluxTransformer2DModel(
        in_channels=4 * (16 + 16 + 64), out_channels=4 * 16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=16, axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )  # fmt: skip
    return FluxFillPipeline(
        vae=autoencoder(16, shift_factor=0.1), text_encoder=clip(one), text_encoder_2=t5(two), tokenizer=one,
        tokenizer_2=two, transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )  # fmt: skip


def z_image() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImageInpaintPipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = qwen_tokenizer()
    transformer = ZImageTransformer2DModel(
        dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=16, axes_dims=[4, 4, 8]
    )
    text = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=512,
    )  # fmt: skip
    return ZImageInpaintPipeline(
        vae=autoencoder(16, shift_factor=0.1), text_encoder=Qwen3Model(text).eval(), tokenizer=tokenizer,
        transformer=transformer.eval(), scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip


def qwen_image_edit() -> Any:
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageEditInpaintPipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = qwen_tokenizer()
    side = 56 * 56
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(min_pixels=side, max_pixels=side), tokenizer, Qwen2VLVideoProcessor()
    )
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    )  # fmt: skip
    transformer = QwenImageTransformer2DModel(
        in_channels=64, out_channels=16, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    vae = AutoencoderKLQwenImage(base_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    return QwenImageEditInpaintPipeline(
        vae=vae.eval(), text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(), tokenizer=tokenizer,
        processor=processor, transformer=transformer.eval(), scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip


def kandinsky() -> Any:
    import diffusers
    import transformers

    tokenizer = clip_tokenizer()
    vision = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16,
        projection_dim=16,
    )  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        in_channels=9, out_channels=8, sample_size=8, block_out_channels=(16, 32), layers_per_block=1,
        addition_embed_type="image", down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), attention_head_dim=8,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", encoder_hid_dim=16, encoder_hid_dim_type="image_proj",
        cross_attention_dim=16, resnet_time_scale_shift="scale_shift", norm_num_groups=8,
    )  # fmt: skip
    movq = diffusers.VQModel(
        block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, latent_channels=4,
        up_block_types=("UpDecoderBlock2D",) * 4, num_vq_embeddings=12, norm_type="spatial",
        vq_embed_dim=4,
    )  # fmt: skip
    prior = diffusers.PriorTransformer(num_attention_heads=2, attention_head_dim=8, num_layers=1, embedding_dim=16)
    return diffusers.KandinskyV22InpaintCombinedPipeline(
        unet=unet.eval(), movq=movq.eval(), prior_prior=prior.eval(),
        scheduler=diffusers.DDPMScheduler(**NOISE, variance_type="learned_range"),
        prior_image_encoder=transformers.CLIPVisionModelWithProjection(vision).eval(),
        prior_text_encoder=clip(tokenizer, "CLIPTextModelWithProjection"), prior_tokenizer=tokenizer,
        prior_scheduler=diffusers.UnCLIPScheduler(prediction_type="sample", clip_sample_range=5.0),
        prior_image_processor=transformers.CLIPImageProcessor(size=32, crop_size=32),
    )  # fmt: skip


def controlnet(channels: int) -> Any:
    from diffusers import ControlNetModel, StableDiffusionControlNetInpaintPipeline

    parts = dict(stable_diffusion(channels).components)
    network = ControlNetModel.from_unet(unet(4), conditioning_embedding_out_channels=(8,) * 4).eval()
    for zero in [network.controlnet_mid_block, *network.controlnet_down_blocks]:
        torch.nn.init.normal_(zero.weight, std=0.2)  # made, it adds nothing
    torch.nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight, std=0.2)
    return StableDiffusionControlNetInpaintPipeline(**parts, controlnet=network, requires_safety_checker=False)


def t5_tokenizer() -> Any:
    """Letters are tokens."""
    from transformers import T5TokenizerFast

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5TokenizerFast(
        vocab=[*special, *((chr(code), -1.0) for code in (0x2581, *range(33, 127)))], model_max_length=77
    )


def t5(tokenizer: Any) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4)
    return T5EncoderModel(config).eval()


def qwen_tokenizer() -> Any:
    """Bytes are tokens."""
    from transformers import Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
               "<|video_pad|>"]  # fmt: skip
    vocabulary = {token: i for i, token in enumerate([*letters, *special])}
    made = Qwen2Tokenizer(vocab=vocabulary, merges=[], model_max_length=512, extra_special_tokens=special[1:])
    made.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    return made


NOISE: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
MADE = {
    "sd15-inpaint": stable_diffusion,
    "sd15": lambda: stable_diffusion(4),
    "sdxl-inpaint": stable_diffusion_xl,
    "sd3": stable_diffusion_3,
    "kandinsky22-inpaint": kandinsky,
    "flux-fill": flux_fill,
    "qwen-image-edit": qwen_image_edit,
    "z-image": z_image,
    "controlnet": lambda: controlnet(4),
    "controlnet-9": lambda: controlnet(9),
}
