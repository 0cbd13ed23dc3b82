#!/usr/bin/env bash
# DDRM of deepinv divides all its noise by the root of 2, but tells the denoiser the whole: the equations 7 and 8 of its
# paper and the authors' code have no such factor.
# Versions: deepinv 0.5.0, torch 2.14.1 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: known pixels reach the denoiser with 0.71 of the noise that it is told, at every step.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q deepinv==0.5.0 torch==2.14.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import deepinv
import numpy as np
import torch

ratios = []


class Watching(deepinv.models.Denoiser):
    def forward(self, x, sigma, **options):
        if sigma > 0:
            ratios.append(((x - picture)[known.expand_as(x) == 1].std() / sigma).item())
        return picture


picture = torch.full((16, 3, 32, 32), 0.5)
known = torch.ones(1, 3, 32, 32)
known[..., :16] = 0
physics = deepinv.physics.Inpainting(
    img_size=(3, 32, 32), mask=known[0], noise_model=deepinv.physics.GaussianNoise(sigma=1e-6)
)
deepinv.sampling.DDRM(Watching(), sigmas=np.linspace(1, 0, 10))(picture * known, physics, seed=1)
print("noise in known pixels as a share of what the denoiser is told:", [round(ratio, 3) for ratio in ratios])
assert len(ratios) == 9 and all(abs(ratio - 0.5**0.5) < 0.01 for ratio in ratios), "the behaviour has changed"
PYTHON
