#!/usr/bin/env bash
# clip-mmd computes CMMD, a distance of sets of pictures by CLIP's features, and brings pictures to a square of 336 px
# itself. It means to keep their shape and to cut the middle out, as the authors' code does (google-research,
# cmmd/io_util.py), but takes Pillow's (width, height) for height and width: the size that is made is that of a picture
# turned by 90 degrees. So what is twice as wide as high is squeezed to a quarter of its shape: once as much as if it
# were just resized to a square, and then once more. Square pictures are right. A set of portraits has another distance
# than by the paper, and no word is said.
# Where to see it: clip_mmd/data.py, `resizer`: `h, w = img.size`, then `img.resize((w_new, h_new))`.
# Versions: clip-mmd 0.0.2, torch 2.13.0 (CPU), Pillow 13.0.0, NumPy 2.4.6, Python 3.11.
# Seen, width and height of a disc in the picture that goes to CLIP: 512 x 512 px 167 and 167; 512 x 256 px 83 and 333;
# 400 x 300 px 125 and 223. With the middle cut out first, 167 and 167 always.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 pillow==13.0.0
"$folder/venv/bin/pip" install -q --no-compile --no-deps clip-mmd==0.0.2
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import numpy as np
from clip_mmd.data import folder_dataset
from PIL import Image

print(*(f"{name} {version(name)}" for name in ("clip-mmd", "torch", "numpy", "pillow")), sep=", ")


def extent(picture):
    rows, columns = np.nonzero(picture > 0.5)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


for width, height in ((512, 512), (512, 256), (256, 512), (400, 300)):
    rows, columns = np.mgrid[:height, :width]
    disc = np.hypot(rows - height / 2, columns - width / 2) < min(width, height) / 4
    picture = Image.fromarray(disc.astype(np.uint8) * 255)
    folder = Path(f"{width}x{height}")
    folder.mkdir()
    picture.save(folder / "disc.png")
    seen = extent(folder_dataset(str(folder), (336, 336))[0][0].numpy())
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    middle = picture.crop((left, top, left + side, top + side)).resize((336, 336), Image.Resampling.BICUBIC)
    right = extent(np.asarray(middle) / 255)
    print(f"{width} x {height} px: the disc is {seen[0]} x {seen[1]} px for CLIP, "
          f"with the middle cut out {right[0]} x {right[1]} px")
    assert right == (167, 167)
    assert abs(seen[0] / seen[1] / (height / width) ** 2 - 1) < 0.03, "the behaviour has changed"
PYTHON
