#!/usr/bin/env bash
# OpenCV's Telea inpainting takes pictures of one channel in 32-bit floats, and is of no use for [0, 1]: to the weighted
# mean of the known pixels it adds a step of up to 1.41, whatever the range is. By the paper's equation each known pixel
# gives its value plus its gradient times the distance, so a picture that is scaled is completed alike. OpenCV divides
# the sum of these gradient terms by its own length, which leaves a direction, sine plus cosine, without any unit. In
# [0, 255] that is a level or so; of a picture in [0, 1], an alpha matte or a depth map in metres it is more than the
# whole range. INPAINT_NS does not do this. That floats come out wrong was reported once, of which a rounding by 0.5 was
# mended: https://github.com/opencv/opencv/issues/25404.
# Where to see it: modules/photo/src/inpaint.cpp, `icvTeleaInpaintFMM`: `(Jx+Jy)/(sqrt(Jx*Jx+Jy*Jy)+1.0e-20f)`.
# Versions: opencv-python-headless 5.0.0.93, NumPy 2.4.6, Python 3.11.
# Seen, a smooth ramp from 0 to 1 with a hole of a tenth: Telea in [0, 1] is up to 1.41 off, its values go from -1.05 to
# 1.96; the same picture times 255, completed and divided again, is up to 0.10 off; NS is up to 0.07 and 0.08 off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
cat >run.py <<'PYTHON'
import cv2
import numpy as np

print("OpenCV", cv2.__version__, "NumPy", np.__version__)
ramp = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
hole = np.zeros((32, 32), np.uint8)
hole[10:20, 10:20] = 255
error = {}
for name, method in (("Telea", cv2.INPAINT_TELEA), ("NS", cv2.INPAINT_NS)):
    for scale in (1, 255, 65535):
        completed = cv2.inpaint(ramp * np.float32(scale), hole, 3, method) / scale
        error[name, scale] = abs(completed - ramp)[hole > 0].max()
        print(f"{name}, [0, {scale}]: from {completed.min():.2f} to {completed.max():.2f} of the range,", end=" ")
        print(f"up to {error[name, scale]:.2f} off")
assert error["Telea", 1] > 1 and error["Telea", 255] < 0.15, "the behaviour has changed"
assert error["NS", 1] < 0.15 and error["NS", 255] < 0.15, "the behaviour has changed"
PYTHON
venv/bin/python run.py
