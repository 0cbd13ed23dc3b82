#!/usr/bin/env bash
# A list of generators, one for each picture, makes an inpainting independent of the pictures beside it only if the pictures
# are given as a list, too. With num_images_per_prompt, the answer that is given to those who ask for seeds of several
# completions (https://github.com/huggingface/diffusers/issues/3158), only the first one agrees with the same seed alone:
# the latent of the known pixels is *sampled*, once for all, by the first generator. With one generator for a batch not even
# the first agrees, since the noise of all pictures is drawn before that.
# Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.13.0 (CPU), NumPy 2.4.6, Pillow 13.0.0, Python 3.11.
# Seen, levels of 255 from the same seeds alone (random weights, 4 steps): pictures as a list 0.0, 0.0;
# num_images_per_prompt 0.0 and tens; one generator tens for the first, too.
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


pipeline = tiny()
image = torch.rand(1, 3, 64, 64, generator=seeded(0)).expand(2, -1, -1, -1)
mask = torch.zeros(2, 1, 64, 64)
mask[:, :, 16:48, 16:48] = 1
alone = torch.cat([completed(pipeline, image[:1], mask[:1], seeded(seed)) for seed in (1, 2)])
ways = {
    "pictures as a list": completed(pipeline, image, mask, [seeded(1), seeded(2)]),
    "num_images_per_prompt": completed(
        pipeline, image[:1], mask[:1], [seeded(1), seeded(2)], num_images_per_prompt=2
    ),
    "one generator": completed(pipeline, image, mask, seeded(1)),
}
far = {}
for name, found in ways.items():
    far[name] = ((found - alone).abs().amax((1, 2, 3)) * 255).tolist()
    print(f"{name}: {far[name][0]:.1f}, {far[name][1]:.1f} levels of 255 from the same seeds alone")
same = [[x < 0.1 for x in levels] for levels in far.values()]
assert same == [[True, True], [True, False], [False, False]], "the behaviour has changed"
PYTHON
