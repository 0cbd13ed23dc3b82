#!/usr/bin/env bash
# At strength 1.0 an inpainting starts from noise alone. Still, a model whose U-Net has 4 channels (any text-to-image model)
# completes from the pixels *under* the hole, too: known latents are pasted at every step, and those around the hole come
# from an autoencoder that saw the whole picture. With 9 channels the hole is blanked first. So 4 channels must be measured on
# pictures whose hole was blanked beforehand, or they see the answer.
# Known since 2022, open: https://github.com/huggingface/diffusers/issues/261.
# Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.13.0 (CPU), NumPy 2.4.6, Pillow 13.0.0, Python 3.11.
# Seen, levels of 255 that other pixels under the hole move the result by (random weights, 4 steps): 9 channels 0.0,
# 4 channels 0.9.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 pillow==13.0.0 diffusers==0.42.1 transformers==5.23.0
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel

torch.set_num_threads(1)


def tiny(channels=9):
    """A pipeline with random weights; words are zeros."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, sample_size=64,
        up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, layers_per_block=1,
    )
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=channels, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16, attention_head_dim=8,
    )
    pipeline = StableDiffusionInpaintPipeline(
        vae=vae, unet=unet, text_encoder=None, tokenizer=None, safety_checker=None, feature_extractor=None,
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1), requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def completed(pipeline, image, mask, generator, **more):
    words = torch.zeros(len(image), 77, 16)
    return pipeline(
        prompt_embeds=words, negative_prompt_embeds=words, image=image, mask_image=mask, height=64, width=64,
        strength=1.0, num_inference_steps=4, generator=generator, output_type="pt", **more,
    ).images


def seeded(seed):
    return torch.Generator().manual_seed(seed)


image, other = torch.rand(2, 1, 3, 64, 64, generator=seeded(0))
mask = torch.zeros(1, 1, 64, 64)
mask[:, :, 16:48, 16:48] = 1
other = torch.where(mask > 0, other, image)
moved = {}
for channels in (9, 4):
    one, two = (completed(tiny(channels), picture, mask, seeded(1)) for picture in (image, other))
    moved[channels] = float((one - two).abs().max()) * 255
    print(f"{channels} channels: other pixels under the hole move the result by {moved[channels]:.2f} levels of 255")
assert moved[9] == 0 < 0.1 < moved[4], "the behaviour has changed"
PYTHON
