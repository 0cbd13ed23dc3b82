#!/usr/bin/env bash
# UQI of a picture with itself is 1. In torchmetrics it is anything where the picture is flat, as a plain background or a
# filled hole is: there both variances are 0, and what rounding leaves of the covariance is divided by the machine's epsilon.
# In [0, 255] the mean of all windows comes to billions, and another precision gives another number. So the
# value tells how much of a picture is flat. The authors' definition has a case for flat windows: there the means alone count.
# The epsilon came in against NaN (https://github.com/Lightning-AI/torchmetrics/issues/2221).
# Cause: torchmetrics/functional/image/uqi.py, `_uqi_compute`: the variances are clamped at 0, the covariance is not, and
# `(mu_pred_sq + mu_target_sq) * lower + eps` is the divisor.
# Versions: torchmetrics 1.9.0, torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen, a picture with itself, three quarters of it flat patches: [0, 1] -0.43 in float32, 0.13 in float64; [0, 255] -2.6e9
# and -3.4e9. Noise all over: 1.00, always.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 torchmetrics==1.9.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torchmetrics.functional.image import universal_image_quality_index

noise = torch.randint(0, 256, (1, 3, 256, 256), generator=torch.Generator().manual_seed(0)).double()
levels = torch.arange(64).double().reshape(8, 8) * 4
framed = levels.repeat_interleave(32, 0).repeat_interleave(32, 1).expand_as(noise).clone()  # patches of 32 x 32 pixels
framed[..., 64:192, 64:192] = noise[..., 64:192, 64:192]


def with_itself(picture):
    return universal_image_quality_index(picture, picture).item()


for name, picture in {"noise": noise, "noise, flat patches around it": framed}.items():
    ways = {
        "[0, 1], float32": (picture / 255).float(), "[0, 1], float64": picture / 255,
        "[0, 255], float32": picture.float(), "[0, 255], float64": picture,
    }
    values = [with_itself(given) for given in ways.values()]
    print(name, {way: float(f"{value:.3g}") for way, value in zip(ways, values)})
    if picture is noise:
        assert all(abs(value - 1) < 1e-3 for value in values), "noise has no flat parts"
assert min(abs(value - 1) for value in values[:2]) > 0.05 and max(map(abs, values)) > 1000, "the behaviour has changed"
PYTHON
