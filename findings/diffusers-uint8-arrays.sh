#!/usr/bin/env bash
# NumPy arrays and tensors of 8 bits are not divided by 255; PIL images are. As a mask, every value from 1 counts as hole, so
# that a soft rim of 1 of 255 is cut out; as a picture, white goes to the network as 509 where 1 is white. No error, no
# warning. Give floats in [0, 1], masks of 0 and 1.
# Versions: diffusers 0.42.1, torch 2.13.0 (CPU), NumPy 2.4.6, Pillow 13.0.0, Python 3.11.
# Seen: a hole of 25 % of the picture with a rim of 1 of 255 is 56 % as an array, and 25 % as floats and as a PIL image.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 pillow==13.0.0 diffusers==0.42.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

mask = np.zeros((64, 64), np.uint8)
mask[8:56, 8:56] = 1  # a rim that no one sees
mask[16:48, 16:48] = 255
read = VaeImageProcessor(do_normalize=False, do_binarize=True, do_convert_grayscale=True).preprocess
forms = {"PIL image": Image.fromarray(mask), "floats": mask[None, :, :, None] / np.float32(255)}
forms["array of 8 bits"] = mask[None, :, :, None]
share = {name: round(float(read(form).float().mean()), 4) for name, form in forms.items()}
for name, value in share.items():
    print(f"{name}: {value:.0%} of the picture is hole")
assert share == {"PIL image": 0.25, "floats": 0.25, "array of 8 bits": 0.5625}, "the behaviour has changed"

read = VaeImageProcessor().preprocess
white = np.full((1, 64, 64, 3), 255, np.uint8)
given = {"PIL image": Image.fromarray(white[0]), "array": white, "tensor": torch.from_numpy(white).permute(0, 3, 1, 2)}
found = {name: float(read(form).max()) for name, form in given.items()}
print("white, as the network gets it:", found)
assert found == {"PIL image": 1, "array": 509, "tensor": 509}, "the behaviour has changed"
PYTHON
