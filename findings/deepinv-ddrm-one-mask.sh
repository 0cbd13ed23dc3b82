#!/usr/bin/env bash
# A batch of pictures with a mask for each is what deepinv's Inpainting takes, and DiffPIR completes. DDRM repeats the
# masks once for each picture, so that four masks stand for two pictures, and fails.
# Versions: deepinv 0.5.0, torch 2.14.1 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: DiffPIR (2, 3, 16, 16); DDRM: IndexError, "The shape of the mask [4, 3, 16, 16] at index 0 does not match ...".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q deepinv==0.5.0 torch==2.14.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import deepinv
import torch


class Grey(deepinv.models.Denoiser):
    def forward(self, x, sigma, **options):
        return torch.full_like(x, 0.5)


known = torch.ones(2, 3, 16, 16)
known[0, ..., :8], known[1, ..., 8:] = 0, 0
physics = deepinv.physics.Inpainting(img_size=(3, 16, 16), mask=known)
pictures = physics(torch.full((2, 3, 16, 16), 0.7))
assert pictures[0, 0, 0, 0] == pictures[1, 0, 0, 15] == 0 and pictures[1, 0, 0, 0] > 0.6
sampler = deepinv.sampling.DiffPIR(Grey(), deepinv.optim.data_fidelity.L2(), max_iter=5)
print("DiffPIR:", tuple(sampler(pictures, physics).shape))
try:
    print("DDRM:", tuple(deepinv.sampling.DDRM(Grey())(pictures, physics).shape))
except IndexError as error:
    print("DDRM:", error)
else:
    raise SystemExit("the behaviour has changed")
PYTHON
