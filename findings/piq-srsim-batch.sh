#!/usr/bin/env bash
# SR-SIM of a pair depends on the pairs beside it. piq brings saliency to [0, 1] by the least and the greatest value of the
# whole batch, where the paper's code does so for each picture. One result that is flat, as a method that failed may give,
# is nothing but a peak of saliency, and takes the others' away: they lose 0.38 of 0.94. `reduction="none"` does not help.
# Cause: piq/srsim.py, `_spectral_residual_visual_saliency`: `torch.min(saliency_map[:])` and `torch.max(saliency_map[:])`.
# Versions: piq 0.8.0, torch 2.14.1 (CPU), torchvision 0.29.1, NumPy 2.4.6, Python 3.11.
# Seen: alone 0.942, beside another noisy picture 0.934, beside a flat result 0.565.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile piq==0.8.0 torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import piq
import torch

generator = torch.Generator().manual_seed(0)
spectrum = torch.fft.rfft2(torch.randn(2, 3, 256, 256, generator=generator, dtype=torch.float64))
frequency = torch.hypot(torch.fft.fftfreq(256)[:, None], torch.fft.rfftfreq(256))
pictures = torch.fft.irfft2(spectrum / frequency.clamp_min(1 / 256))  # the amplitudes of photographs fall like this
originals = (0.5 + 0.15 * pictures / pictures.std()).clamp(0, 1)
results = (originals + 0.08 * torch.randn(originals.shape, generator=generator)).clamp(0, 1)
flat = torch.full_like(results[1:], 0.5)
batches = {
    "alone": (results[:1], originals[:1]),
    "beside another": (results, originals),
    "beside a flat result": (torch.cat([results[:1], flat]), originals),
}
found = {name: piq.srsim(x, y, reduction="none")[0].item() for name, (x, y) in batches.items()}
print({name: round(value, 3) for name, value in found.items()})
assert found["alone"] - found["beside a flat result"] > 0.1, "the behaviour has changed"
PYTHON
