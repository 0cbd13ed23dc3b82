#!/usr/bin/env bash
# A TIFF of 16-bit RGB whose colours lie in planes of their own (planar configuration 2) is read by OpenCV without an
# error and scrambled: each row of a plane is taken for pixels of three colours. With 8 bits, and by tifffile, it is right.
# Versions: opencv-python-headless 5.0.0.93, tifffile 2026.3.3, NumPy 2.4.6, Python 3.11.
# Seen: of 24 pixels all are right with 8 bits; with 16 bits the first has the first three values of the red plane.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q opencv-python-headless==5.0.0.93 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import cv2
import numpy as np
import tifffile

small = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
for picture in (small, small.astype(np.uint16) * 257):
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1))
    tifffile.imwrite("stored.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(tifffile.imread("stored.tif"), planes)
    found = cv2.imread("stored.tif", cv2.IMREAD_UNCHANGED)[..., ::-1]
    right = int((found == picture).all(axis=2).sum())
    print(picture.dtype, right, "of 24 pixels are right; the first is", found[0, 0].tolist())
    if picture.dtype == np.uint8:
        assert right == 24, "the behaviour has changed"
    else:
        assert found[0, 0].tolist() == planes[0, 0, :3].tolist() and right < 24, "the behaviour has changed"
PYTHON
