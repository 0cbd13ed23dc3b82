#!/usr/bin/env bash
# Inpainting by imagen-pytorch gives its networks other noise than it tells them. Both of its classes follow RePaint:
# after a step, noise is added to come back to the step's level, and the step is done again (inpaint_resample_times,
# 5 by default). But standard deviations are subtracted where variances have to be: from s up to s + ds, the noise to
# add is the root of 2 s ds, and ds is nearly nothing beside it. So each repetition only takes more noise away, and
# with the exact network holes lose a third of their texture. Not repeated, they are right.
# `ElucidatedImagen` has a second fault: known pixels get the small noise that a step stirs in (S_churn), and not that
# of the level. They come clean or with 0.71 of the noise beside a hole that has all of it, a picture that no network
# saw in training. `Imagen` noises them as it should.
# Where to see it: imagen_pytorch/imagen_pytorch.py, `q_sample_from_to`: `sigma_to * alpha - sigma * alpha_to`;
# imagen_pytorch/elucidated_imagen.py, `one_unet_sample`: `(sigma - sigma_next) * repaint_noise` and
# `inpaint_images + added_noise`. dalle2-pytorch 1.15.6 has the same `q_sample_from_to`, and hands the formula on:
# https://github.com/lucidrains/denoising-diffusion-pytorch/issues/290.
# Versions: imagen-pytorch 2.1.0, transformers 5.24.0, torch 2.14.1 (CPU), torchvision 0.29.1, NumPy 2.4.6, Python 3.11.
# Seen, median of what is there over what is told (hole, known), and the texture of the hole at the end, 0.30 is right:
# Imagen, 1 time 1.00, 1.00, 0.29; 5 times 0.74, 1.00, 0.21. ElucidatedImagen, 1 time 1.01, 0.71, 0.32; 5 times 0.87,
# 0.71, 0.25; without churn 1 time 1.01, 0.10 (the picture alone), 0.31; 5 times 0.39, 0.10, 0.14.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 transformers==5.24.0 \
    imagen-pytorch==2.1.0
cd "$folder"
venv/bin/python - 2>messages.txt <<'PYTHON' || { cat messages.txt; exit 1; }
import importlib.metadata
import statistics

import torch
from transformers import T5Config

# The package asks for the size of a text encoder when it is imported. There is no text here.
T5Config.from_pretrained = classmethod(lambda cls, name: T5Config(d_model=768))
from imagen_pytorch import ElucidatedImagen, Imagen, Unet  # noqa: E402

torch.set_num_threads(1)
torch.manual_seed(0)
SIDE, PICTURES, TEXTURE = 32, 16, 0.3
for name in ("imagen-pytorch", "torch"):
    print(name, importlib.metadata.version(name))
known = torch.ones(SIDE, SIDE, dtype=bool)
known[:, SIDE // 2 :] = False
pictures = (TEXTURE * torch.randn(PICTURES, 3, SIDE, SIDE) + 1) / 2


class Exact(Unet):
    """The mean of the clean picture, given the noised one: pixels are independent and normal. Notes what it is given.

    What a noised picture should have: `scale` of the clean one, and noise of the deviation `sigma`.
    """

    self_cond = lowres_cond = False

    def __init__(self, elucidated):
        torch.nn.Module.__init__(self)
        self.device_is = torch.nn.Parameter(torch.zeros(1))
        self.elucidated, self.seen = elucidated, []

    def cast_model_parameters(self, **kwargs):
        return self

    def forward_with_cond_scale(self, x, condition, **kwargs):
        if self.elucidated:  # condition: log(sigma) / 4; the picture comes divided by the root of sigma^2 + 0.5^2
            scale, sigma = torch.ones(()), (4 * condition[0]).exp()
            x = x * (sigma**2 + 0.25).sqrt()
        else:  # condition: the logarithm of the ratio of signal and noise
            scale, sigma = condition[0].sigmoid().sqrt(), (-condition[0]).sigmoid().sqrt()
        right = (scale**2 * TEXTURE**2 + sigma**2).sqrt()
        self.seen.append([(x[..., where].std() / right).item() for where in (~known, known)])
        clean = scale * TEXTURE**2 / right**2 * x
        if self.elucidated:  # what the class's own preconditioning turns into `clean`
            return (clean - 0.25 / (sigma**2 + 0.25) * x) * (sigma**2 + 0.25).sqrt() / (0.5 * sigma)
        return clean


def completed(kind, times, **options):
    network = Exact(kind is ElucidatedImagen)
    model = kind(
        network, image_sizes=SIDE, condition_on_text=False, text_embed_dim=8, dynamic_thresholding=False, **options
    )
    result = model.sample(
        batch_size=PICTURES, inpaint_images=pictures, inpaint_masks=known.expand(PICTURES, -1, -1),
        inpaint_resample_times=times, use_tqdm=False,
    )
    hole, beside = (statistics.median(column) for column in zip(*network.seen))
    texture = (2 * result[..., ~known] - 1).std().item()
    print(f"{kind.__name__} {options}, {times} times: hole {hole:.2f}, known {beside:.2f}, texture {texture:.2f}")
    return hole, beside, texture


def near(found, *wanted):
    return all(abs(a - b) < 0.03 for a, b in zip(found, wanted, strict=True))


steps = {"timesteps": 250, "pred_objectives": "x_start"}
assert near(completed(Imagen, 1, **steps), 1, 1, TEXTURE), "the behaviour has changed"
assert near(completed(Imagen, 5, **steps), 0.74, 1, 0.21), "the behaviour has changed"
assert near(completed(ElucidatedImagen, 1), 1, 0.71, 0.31), "the behaviour has changed"
assert near(completed(ElucidatedImagen, 5), 0.87, 0.71, 0.25), "the behaviour has changed"
assert near(completed(ElucidatedImagen, 1, S_churn=0.0), 1, 0.10, TEXTURE), "the behaviour has changed"
assert near(completed(ElucidatedImagen, 5, S_churn=0.0), 0.39, 0.10, 0.14), "the behaviour has changed"
PYTHON
