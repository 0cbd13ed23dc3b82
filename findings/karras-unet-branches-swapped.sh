#!/usr/bin/env bash
# The network of EDM2, KarrasUnet of denoising-diffusion-pytorch, has its branches the wrong way round. In the paper
# (equation 88; `res_balance` in its authors' code) a block mixes 0.7 of what came in with 0.3 of what it computed,
# t = 0.3, so that what came in goes through many blocks almost unchanged. Here `MPAdd` weights its first argument with
# 1 - t and the second one with t, as in the paper, but every block hands it the computed one first. So 0.3 of what
# came in is mixed in, in each convolution block and each attention, of all three networks (1d, 2d, 3d): after the four
# blocks of a stage, 3 % of it is left where 71 % are right. The magnitudes, which the paper is about, are right all the
# same, so nothing looks odd; and `resnet_mp_add_t=0.7`, which would turn it round, is taken and not used.
# Where to see it: denoising_diffusion_pytorch/karras_unet.py: `self.res_mp_add(x, res)` in Encoder and Decoder,
# `self.mp_add(out, res)` in Attention; `block_kwargs` in KarrasUnet lacks `mp_add_t`.
# Versions: denoising-diffusion-pytorch 2.3.4, torch 2.14.1 (CPU), torchvision 0.29.1, NumPy 2.4.6, Python 3.11.
# Seen, how much of what comes in is in what comes out, with random weights, and what is right (0.7 over the root of
# 0.7^2 + 0.3^2): one block 0.39 (0.92), an attention 0.39 (0.92), four blocks 0.03 (0.71). With t = 0.7 put into each
# of them afterwards: 0.92, 0.92, 0.74. KarrasUnet(resnet_mp_add_t=0.7) still has t = 0.3 in all blocks.
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
from denoising_diffusion_pytorch.karras_unet import Attention, Decoder, Encoder, KarrasUnet, MPAdd

torch.set_num_threads(1)
torch.manual_seed(0)
CHANNELS = 128
for name in ("denoising-diffusion-pytorch", "torch"):
    print(name, importlib.metadata.version(name))
x = torch.randn(4, CHANNELS, 16, 16)
x = x / x.square().mean(1, keepdim=True).sqrt()  # as the paper's pixel norm leaves it
RIGHT = 0.7 / (0.7**2 + 0.3**2) ** 0.5


def kept(network):
    """How much of what came in is in what comes out: the factor of x in the best fit."""
    with torch.no_grad():
        return ((network.eval()(x) * x).mean() / x.square().mean()).item()


for name, network, right in (
    ("an encoder block", Encoder(CHANNELS), RIGHT),
    ("a decoder block", Decoder(CHANNELS), RIGHT),
    ("an attention", Attention(CHANNELS), RIGHT),
    ("four encoder blocks", torch.nn.Sequential(*(Encoder(CHANNELS) for _ in range(4))), RIGHT**4),
):
    found = kept(network)
    sums = [part for part in network.modules() if isinstance(part, MPAdd)]
    assert all(part.t == 0.3 for part in sums)
    for part in sums:
        part.t = 0.7
    turned = kept(network)
    print(f"{name}: {found:.2f}, by the paper {right:.2f}; with t = 0.7 {turned:.2f}")
    assert found < right / 2 and abs(turned - right) < 0.05, "the behaviour has changed"

network = KarrasUnet(image_size=16, dim=8, dim_max=8, num_downsamples=1, attn_res=(), resnet_mp_add_t=0.7)
used = {part.res_mp_add.t for part in network.modules() if isinstance(part, (Encoder, Decoder))}
print("KarrasUnet(resnet_mp_add_t=0.7) uses", used)
assert used == {0.3}, "the behaviour has changed"
PYTHON
