#!/usr/bin/env bash
# VIF models a viewer whose eye adds noise of variance 2, on a scale from 0 to 255. torchmetrics and sewar add the same 2 to
# pictures in [0, 1], where no argument tells the range and nothing is said: the viewer sees nothing else, and noise in a
# picture hardly counts. Which of two results is better turns round. piq scales by its `data_range`. In sewar, floats are
# taken to lie in [0, 1] by `psnr` and `ssim`, and not by `vifp`.
# Cause: `sigma_n_sq = 2.0` in torchmetrics/functional/image/vif.py, `sigma_nsq=2` in sewar/full_ref.py, used on any range.
# Versions: torchmetrics 1.9.0, sewar 0.4.10, torch 2.13.0 (CPU), NumPy 2.4.6, SciPy 1.17.1, Python 3.11.
# Seen, both packages: in [0, 255] noise 0.277 and blur 0.357, in [0, 1] noise 0.986 and blur 0.408.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 scipy==1.17.1 torchmetrics==1.9.0 sewar==0.4.10
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import sewar
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import visual_information_fidelity

rng = np.random.default_rng(0)
spectrum = np.fft.rfft2(rng.normal(size=(256, 256)))
frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256))
spectrum /= np.maximum(frequency, 1 / 256)  # the amplitudes of photographs fall like this
original = np.fft.irfft2(spectrum)
original = np.clip(128 + 40 * original / original.std(), 0, 255).round()
results = {
    "noise": np.clip(original + rng.normal(0, 20, original.shape), 0, 255).round(),
    "blur": gaussian_filter(original, 0.9).round(),
}


def torchmetrics_vif(result, truth):
    result, truth = (torch.tensor(each)[None, None] for each in (result, truth))
    return visual_information_fidelity(result, truth).item()


def sewar_vif(result, truth):
    return sewar.vifp(truth, result)


for name, vif in {"torchmetrics": torchmetrics_vif, "sewar": sewar_vif}.items():
    bytes_ = {kind: vif(result, original) for kind, result in results.items()}
    unit = {kind: vif(result / 255, original / 255) for kind, result in results.items()}
    for top, found in ((255, bytes_), (1, unit)):
        print(f"{name}, [0, {top}]:", {kind: round(float(value), 3) for kind, value in found.items()})
    assert bytes_["noise"] < bytes_["blur"] and unit["noise"] > unit["blur"], "the behaviour has changed"
PYTHON
