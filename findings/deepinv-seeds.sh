#!/usr/bin/env bash
# The samplers of deepinv draw for a whole batch from one stream: with the same seed, a picture that stands second in a
# batch is completed otherwise than alone. And DDRM and DiffPIR take seed=0 for no seed.
# Versions: deepinv 0.5.0, torch 2.14.1 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: all three: second of two against alone, other pixels in the hole (0.07 and more on average, in [0, 1]). The same
# call twice with seed=1: equal for all; with seed=0: equal for DPS, not for DDRM and DiffPIR.
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
    """The posterior mean of pixels drawn from N(0.5, 0.2^2), each by itself."""

    def forward(self, x, sigma, **options):
        return 0.5 + (x - 0.5) * 0.04 / (0.04 + torch.as_tensor(sigma).square())


known = torch.ones(3, 16, 16)
known[..., :8] = 0
physics = deepinv.physics.Inpainting(img_size=(3, 16, 16), mask=known)
pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * known
for name, sampler in {
    "DDRM": deepinv.sampling.DDRM(Grey()),
    "DiffPIR": deepinv.sampling.DiffPIR(Grey(), deepinv.optim.data_fidelity.L2(), max_iter=20),
    "DPS": deepinv.sampling.DPS(Grey(), num_steps=20, rng=torch.Generator()),
}.items():

    def completed(given, seed):
        return sampler(given.clone(), physics, seed=seed)  # DDRM changes what it is given

    beside = (completed(pictures, 1)[1:] - completed(pictures[1:], 1)).abs().mean().item()
    again = [torch.equal(completed(pictures, seed), completed(pictures, seed)) for seed in (1, 0)]
    print(f"{name}: second of two against alone differs by {beside:.3f}; twice with seed 1 and 0 equal: {again}")
    assert beside > 0.01 and again == [True, name == "DPS"], "the behaviour has changed"
PYTHON
