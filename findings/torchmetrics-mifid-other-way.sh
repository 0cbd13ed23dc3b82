#!/usr/bin/env bash
# MiFID divides FID by how far *generated* pictures are from the nearest real one, so that a model that repeats its training
# pictures is punished (https://arxiv.org/abs/2106.03062: the mean over the generated set of the minimum over the training
# set). torchmetrics takes the mean over the real pictures of the minimum over the generated ones. A model whose every
# picture is a copy of one of a hundred of the 1,000 real pictures goes free: MiFID is plain FID.
# Cause: torchmetrics/image/mifid.py: `compute` passes the real features first, `_compute_cosine_distance` takes
# `d.min(dim=1)`, the minimum over the second set.
# Versions: torchmetrics 1.9.0, torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: copies of 100 pictures: FID 0.868, MiFID 0.868, though they are 0.000 from real pictures (these 0.176 from them);
# with real and generated pictures swapped 8.7e+13.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 torchmetrics==1.9.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance


class Same(torch.nn.Module):
    """Pictures are their own features."""

    num_features = 16

    def forward(self, pictures):
        return pictures


def distance(metric, real, generated):
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return metric.compute().item()


def cosine(one, other):
    """The mean over one set of the least cosine distance to the other."""
    one, other = (each / each.norm(dim=1, keepdim=True) for each in (one, other))
    return (1 - (one @ other.T).abs()).amin(dim=1).mean().item()


real = 1 + torch.randn(1000, 16, generator=torch.Generator().manual_seed(0)).double()
copies = real[:100].repeat(10, 1)
fid = distance(FrechetInceptionDistance(Same()), real, copies)
mifid = distance(MemorizationInformedFrechetInceptionDistance(Same()), real, copies)
swapped = distance(MemorizationInformedFrechetInceptionDistance(Same()), copies, real)
print(f"from generated to real {cosine(copies, real):.3f}, from real to generated {cosine(real, copies):.3f}")
print(f"FID {fid:.3f}, MiFID {mifid:.3f}, with both sets swapped {swapped:.2g}")
assert cosine(copies, real) < 1e-9 and abs(mifid / fid - 1) < 1e-9 and swapped > 1e9, "the behaviour has changed"
PYTHON
