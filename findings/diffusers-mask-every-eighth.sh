#!/usr/bin/env bash
# The mask goes to the U-Net at an eighth of its size, and of each cell of 8 x 8 pixels it is the upper left pixel alone. So
# thin holes are known or not by where they lie: strips of 7 pixels beside that pixel are no hole at all, strips of 1 pixel
# on it are all hole. The picture comes back without a word, the U-Net has kept the pixels of the hole. The maximum of each
# cell is what others take: https://github.com/leejet/stable-diffusion.cpp/pull/1357.
# Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.13.0 (CPU), NumPy 2.4.6, Pillow 13.0.0, Python 3.11.
# Seen: 22 % of the picture is hole, 0 % for the U-Net; 12 % of the picture is hole, 100 % for the U-Net.
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


pipeline, seen = tiny(), []
pipeline.unet.register_forward_pre_hook(lambda module, inputs: seen.append(float(inputs[0][:, 4].mean())))
image = torch.rand(1, 3, 64, 64, generator=seeded(0))
wide, thin = torch.zeros(2, 1, 1, 64, 64)
wide[..., 1:8] = wide[..., 33:40] = 1
thin[..., ::8] = 1
for name, mask, expected in (("strips of 7 pixels", wide, 0), ("strips of 1 pixel", thin, 1)):
    seen.clear()
    completed(pipeline, image, mask, seeded(1))
    print(f"{name}: {float(mask.mean()):.0%} of the picture is hole, {seen[0]:.0%} for the U-Net")
    assert set(seen) == {expected}, "the behaviour has changed"
PYTHON
