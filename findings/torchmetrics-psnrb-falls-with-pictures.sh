#!/usr/bin/env bash
# PSNR-B of torchmetrics falls with the number of pictures, however they are batched: the squared error is divided by the
# number of all pixels, but the block effect, which is added to it, is the sum over all pictures. Hundred copies of one pair
# have another value than the pair, so two methods that are measured on different numbers of pictures cannot be compared.
# Cause: torchmetrics/functional/image/psnrb.py, `_compute_bef` sums over the batch and divides by the pixels of one picture;
# torchmetrics/image/psnrb.py, `self.bef += bef`, which `compute` does not divide.
# Versions: torchmetrics 1.9.0, torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: one pair 23.99 dB; 10 copies of it in one batch or one by one 16.80 dB, 100 copies 7.22 dB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 torchmetrics==1.9.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torch.nn import functional as F
from torchmetrics.functional.image import peak_signal_noise_ratio_with_blocked_effect
from torchmetrics.image import PeakSignalNoiseRatioWithBlockedEffect

generator = torch.Generator().manual_seed(0)
original = F.interpolate(torch.rand(1, 1, 64, 64, generator=generator), size=(256, 256), mode="bilinear")
blocks = F.interpolate(F.avg_pool2d(original, 8), scale_factor=8)
result = 0.7 * original + 0.3 * blocks  # as a strong JPEG compression leaves it


def at_once(copies):
    shape = (copies, -1, -1, -1)
    return peak_signal_noise_ratio_with_blocked_effect(result.expand(shape), original.expand(shape), 1.0).item()


def one_by_one(copies):
    metric = PeakSignalNoiseRatioWithBlockedEffect(data_range=1.0)
    for _ in range(copies):
        metric.update(result, original)
    return metric.compute().item()


found = {copies: (at_once(copies), one_by_one(copies)) for copies in (1, 10, 100)}
for copies, (together, apart) in found.items():
    print(f"{copies} copies of one pair: {together:.2f} dB in one batch, {apart:.2f} dB one by one")
    assert abs(together - apart) < 0.01, "the behaviour has changed"
assert found[1][0] - found[10][0] > 3 and found[10][0] - found[100][0] > 5, "the behaviour has changed"
PYTHON
