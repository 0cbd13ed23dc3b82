#!/usr/bin/env bash
# A PNG may name one value that is transparent (tRNS). With 16 bits OpenCV's IMREAD_UNCHANGED makes an alpha channel of
# it where the file has colours, and drops it without a word where the file is grey. Pillow reports both.
# Versions: opencv-python-headless 5.0.0.93, Pillow 13.0.0, NumPy 2.4.6, Python 3.11.
# Seen: shapes (2, 3, 4) for RGB and (2, 3) for grey; Pillow's info["transparency"] stands for both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


for kind, channels, shape in ((2, 3, (2, 3, 4)), (0, 1, (2, 3))):
    samples = np.arange(6 * channels, dtype=">u2").reshape(2, 3, channels) * 1000
    head = struct.pack(">IIBBBBB", 3, 2, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    parts = (b"IHDR", head), (b"tRNS", samples[0, 0].tobytes()), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    image = Image.open(io.BytesIO(data))
    print("RGB" if channels == 3 else "grey", found.shape, "Pillow:", image.info["transparency"])
    assert found.dtype == np.uint16 and found.shape == shape, "the behaviour has changed"
PYTHON
