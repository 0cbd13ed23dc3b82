#!/usr/bin/env bash
# A grey PNG, or one with a palette, that has a transparent value (tRNS) ends `iopaint run` with a TypeError: what the
# file says of itself is copied to the result, which is RGB, and the one value is no colour. The pictures of the folder
# that come after it, in the order of the file system, are not completed. The same pixels in RGB are completed.
# Versions: IOPaint 1.6.0, Pillow 9.5.0 (which it pins), OpenCV 4.11.0.86, Python 3.11.
# Seen: "rgb: exit code 0, a result", "grey: exit code 1, no result", "palette: exit code 1, no result".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q uv  # pip alone takes long to find versions that agree
"$folder/venv/bin/uv" pip install -q --python "$folder/venv/bin/python" iopaint==1.6.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

grey = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)))
mask = np.zeros((64, 64), np.uint8)
mask[20:40, 20:40] = 255
Image.fromarray(mask).save("mask.png")
grey.convert("RGB").save("rgb.png")
grey.save("grey.png", transparency=0)
grey.convert("P").save("palette.png", transparency=bytes([0, 255]))
for name in ("rgb", "grey", "palette"):
    command = f"venv/bin/iopaint run --model cv2 --device cpu --image {name}.png --mask mask.png --output {name}"
    done = subprocess.run(command.split(), capture_output=True, text=True)
    there = any(Path(name).glob("*.png"))
    print(f"{name}: exit code {done.returncode}, {'a' if there else 'no'} result")
    assert there == (name == "rgb") == (done.returncode == 0), "the behaviour has changed"
    assert there or "TypeError" in done.stdout + done.stderr, "the behaviour has changed"
PYTHON
