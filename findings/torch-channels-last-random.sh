#!/usr/bin/env bash
# Random numbers that torch makes for a map follow its order in memory (dropout, rand_like), or come from another routine
# for another order (normal_). So a seeded call gives other values at the same positions once maps are put into channels
# last: a switch that is made for speed alone changes every seeded training with dropout or noise. The gradient of F.glu, on the other hand, comes back in the
# ordinary order, whatever the map has, so what follows it in the backward pass leaves channels last without a word.
# Versions: torch 2.14.1 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: dropout keeps other elements (half of them differ at p = 0.5), rand_like has the same numbers in the order of
# memory, normal_ has other numbers; F.glu's gradient has ordinary strides.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.14.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torch.nn import functional as F

plain = torch.ones(2, 8, 16, 16)
last = plain.contiguous(memory_format=torch.channels_last)
for name, make in {
    "dropout": lambda x: F.dropout(x, 0.5),
    "rand_like": torch.rand_like,
    "normal_": lambda x: torch.empty_like(x).normal_(),
}.items():
    found = []
    for x in (plain, last):
        torch.manual_seed(0)
        found.append(make(x))
    differ = (found[0] != found[1]).float().mean().item()
    in_order = torch.equal(found[0].flatten(), found[1].permute(0, 2, 3, 1).flatten())
    print(f"{name}: {differ:.0%} of the elements differ; the same numbers in the order of memory: {in_order}")
    assert differ > 0.4 and in_order == (name != "normal_"), "the behaviour has changed"

x = last.clone(memory_format=torch.channels_last).requires_grad_()
y = F.glu(x, dim=1)
(gradient,) = torch.autograd.grad(y.square().sum(), x)
kept = [t.is_contiguous(memory_format=torch.channels_last) for t in (x, y, gradient)]
print("channels last: map, F.glu of it, its gradient:", kept)
assert kept == [True, False, False] or kept == [True, True, False], "the behaviour has changed"
PYTHON
