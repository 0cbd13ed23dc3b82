#!/usr/bin/env bash
# A TIFF whose photometric tag says "white is zero" is inverted by Pillow and OpenCV where it has 8 bits a sample, and is
# not where it has 16: the same picture comes out as its negative. tifffile, which wrote it, leaves both to the caller.
# Versions: Pillow 13.0.0, opencv-python-headless 5.0.0.93, tifffile 2026.3.3, NumPy 2.4.6, Python 3.11.
# Seen: black is read as (8 bits) 0 and 0, (16 bits) 65535 and 65535.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0 opencv-python-headless==5.0.0.93 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import cv2
import numpy as np
import tifffile
from PIL import Image

for dtype, most in ((np.uint8, 255), (np.uint16, 65535)):
    picture = np.zeros((4, 6), dtype)  # black, and one white pixel
    picture[1, 2] = most
    tifffile.imwrite("stored.tif", most - picture, photometric="miniswhite")
    pillow = np.asarray(Image.open("stored.tif")).astype(int)
    opencv = cv2.imread("stored.tif", cv2.IMREAD_UNCHANGED).astype(int)
    print(dtype.__name__, "black is read as", pillow[0, 0], "by Pillow and", opencv[0, 0], "by OpenCV")
    expected = picture if dtype is np.uint8 else most - picture
    assert np.array_equal(pillow, expected) and np.array_equal(opencv, expected), "the behaviour has changed"
PYTHON
