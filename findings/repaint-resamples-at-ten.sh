#!/usr/bin/env bash
# RePaint's resampling in denoising-diffusion-pytorch is told the wrong time, whatever the step. The paper goes from
# a step t some steps up again, with the noise of these steps, and down again, each step with its own time. Here `t`
# itself is set to `resample_jump`, 10: at t = 950, one small step of noise is added, and then the network is called
# a hundred times as if the picture were almost done. A hole of pure noise is cleaned as if it held the noise of
# step 10, known pixels beside it are all but clean, and the sampling goes on at 949 with a hole that has far less
# noise than the network is told. Two of three calls are so, the last ones before t = 0 too, and holes
# come out too smooth.
# Nothing is said, and the pictures look finished. Without resampling, the same class is right.
# Where to see it: denoising_diffusion_pytorch/repaint.py, `p_sample_loop`: `t = resample_jump`, then `t=t` in
# the loop over `j`. What came before this code (the loop stood after the sampling) was mended in
# https://github.com/lucidrains/denoising-diffusion-pytorch/pull/320; this is not known there.
# Versions: denoising-diffusion-pytorch 2.3.4, torch 2.14.1 (CPU), torchvision 0.29.1, NumPy 2.4.6, Python 3.11.
# Seen: of 3,000 calls, 2,001 are told t = 10, and 1 is without resampling. After t = 950 the hole has a standard
# deviation of 0.99, where a picture of t = 10 has 0.31; at t = 949 it has 0.56, where 0.99 is right. With the exact
# network for pictures whose pixels are independent, with a standard deviation of 0.30, completed holes have 0.30
# without resampling, 0.30 with the paper's, and 0.22 with the package's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 \
    denoising-diffusion-pytorch==2.3.4
cd "$folder"
venv/bin/python - 2>messages.txt <<'PYTHON' || { cat messages.txt; exit 1; }
import importlib.metadata

import torch
from denoising_diffusion_pytorch.repaint import GaussianDiffusion

torch.set_num_threads(1)
torch.manual_seed(0)
SIDE, PICTURES, DEVIATION = 8, 300, 0.3
HOLE = (..., slice(SIDE // 2, None))
for name in ("denoising-diffusion-pytorch", "torch"):
    print(name, importlib.metadata.version(name))


def of_step(t):
    """The standard deviation of a noised picture."""
    a = diffusion.alphas_cumprod[t]
    return (a * DEVIATION**2 + 1 - a).sqrt().item()


class Exact(torch.nn.Module):
    """The mean of the clean picture, given the noised one: pixels are independent and normal."""

    channels = out_dim = 1
    self_condition = False

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x, times, condition=None):
        t = times[0].item()
        self.seen.append((t, x[HOLE].std().item()))
        return diffusion.alphas_cumprod[t].sqrt() * DEVIATION**2 / of_step(t) ** 2 * x


network = Exact()
diffusion = GaussianDiffusion(network, image_size=SIDE, timesteps=1000, objective="pred_x0")
pictures = ((DEVIATION * torch.randn(PICTURES, 1, SIDE, SIDE)).clamp(-1, 1) + 1) / 2
known = torch.ones(PICTURES, 1, SIDE, SIDE)
known[HOLE] = 0


@torch.inference_mode()
def paper(jump=10, times=10, every=50):
    """The same schedule by the paper: `jump` steps up with their own noise, and down with their own times."""
    x = torch.randn(PICTURES, 1, SIDE, SIDE)
    for t in reversed(range(1000)):
        x, _ = diffusion.p_sample(x=x, t=t, gt=pictures, mask=known)
        if t and t % every == 0:
            for _ in range(times):
                for s in range(t, t + jump):
                    beta = diffusion.betas[s]
                    x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn_like(x)
                for s in reversed(range(t, t + jump)):
                    x, _ = diffusion.p_sample(x=x, t=s, gt=pictures, mask=known)
    return diffusion.unnormalize(x)


found = {}
for name, sample in (
    ("no resampling", lambda: diffusion.sample(gt=pictures, mask=known, resample=False)),
    ("the paper's", paper),
    ("the package's", lambda: diffusion.sample(gt=pictures, mask=known)),
):
    network.seen.clear()
    result = sample()
    found[name] = (2 * result[HOLE] - 1).std().item()
    told = [t for t, _ in network.seen].count(10)
    print(f"{name}: {len(network.seen)} calls, {told} are told t = 10; holes have {found[name]:.3f}, right {DEVIATION}")

first = [t for t, _ in network.seen].index(950)
(t, deviation), (later, left) = network.seen[first + 1], network.seen[first + 101]
print(f"after 950: told t = {t} with {deviation:.2f} in the hole, {of_step(t):.2f} is right")
print(f"then t = {later} with {left:.2f}, {of_step(later):.2f} is right")
assert told == 2001 and len(network.seen) == 3000 and (t, later) == (10, 949), "the behaviour has changed"
assert deviation > 3 * of_step(10) and left < 0.6 * of_step(949), "the behaviour has changed"
assert found["the package's"] < 0.25, "the behaviour has changed"
assert abs(found["no resampling"] - DEVIATION) < 0.015 and abs(found["the paper's"] - DEVIATION) < 0.015
PYTHON
