#!/usr/bin/env bash
# Tensors of pictures may lie in [0, 1] or in [-1, 1]: diffusers guesses which, from the darkest pixel of the whole batch. A
# picture in [-1, 1] without a value below 0 is stretched once more, without a word; beside a dark one it is read right. So
# a result depends on the pictures beside it, and a bright face whose hole is 0 is just this case. Pictures in [0, 1] are
# read alike in every batch.
# The warning on [-1, 1] is known (https://github.com/huggingface/diffusers/issues/6574); that it comes with a guess is not
# said there.
# Versions: diffusers 0.42.1, torch 2.13.0 (CPU), NumPy 2.4.6, Pillow 13.0.0, Python 3.11.
# Seen: the same picture is read as [-1, 1] alone and as [0, 1] beside a dark one: up to 1.00 apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 pillow==13.0.0 diffusers==0.42.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from diffusers.image_processor import VaeImageProcessor

read = VaeImageProcessor().preprocess
dark = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
bright = dark.abs()  # in [-1, 1], as the dark one
alone, beside = read(bright), read(torch.cat([bright, dark]))[:1]
for name, x in {"alone": alone, "beside a dark picture": beside}.items():
    print(f"{name}: the network gets {float(x.min()):.2f} to {float(x.max()):.2f}")
print(f"apart by up to {float((alone - beside).abs().max()):.2f}")
assert torch.equal(alone, 2 * bright - 1) and torch.equal(beside, bright), "the behaviour has changed"
unit = [(x + 1) / 2 for x in (bright, torch.cat([bright, dark]))]
assert torch.equal(read(unit[0]), read(unit[1])[:1]), "the behaviour has changed"
PYTHON
