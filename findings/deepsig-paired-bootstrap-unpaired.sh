#!/usr/bin/env bash
# deepsig's `bootstrap_test` calls itself a paired bootstrap test, asks for two lists of one length, and draws anew from
# each of them on its own. So it does not know that both methods completed the same pictures: what pictures differ by,
# which is much more than methods do, stays in the difference that it judges. A method that is better on nearly every
# picture is not told from the other one. The paired test draws pictures, and takes the values of both methods there;
# so do its sources (Efron and Tibshirani, 1994; Berg-Kirkpatrick et al., 2012, from where twice the difference is).
# The package's own `permutation_test` exchanges within pairs, and is right.
# Where to see it: deepsig/bootstrap.py, `bootstrap_test`: np.random.choice(scores_a, N), then another one of scores_b.
# Versions: deepsig 1.2.8, NumPy 2.4.6, SciPy 1.17.1, pandas 2.3.3, Python 3.11.
# Seen, PSNR of 200 pictures (standard deviation 4 dB), one method better on 82 % of them, by 0.27 dB on
# average: p = 0.24 whether the second list is in order or shuffled; with the same pictures drawn for both p = 0.000,
# by permutation_test 0.001.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile deepsig==1.2.8 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
from importlib.metadata import version

import numpy as np
from deepsig import bootstrap_test, permutation_test

print(*(f"{name} {version(name)}" for name in ("deepsig", "numpy", "scipy", "pandas")), sep=", ")
rng = np.random.default_rng(0)
worse = rng.normal(25, 4, 200)
better = worse + rng.normal(0.3, 0.3, 200)
difference = better - worse
print(f"better on {np.mean(difference > 0):.0%} of the pictures, by {difference.mean():.2f} dB on average")

ordered = bootstrap_test(better, worse, num_samples=5000, seed=1)
shuffled = bootstrap_test(better, rng.permutation(worse), num_samples=5000, seed=1)
permuted = permutation_test(better, worse, num_samples=1000, seed=1)
drawn = rng.integers(0, 200, (5000, 200))
paired = np.mean(difference[drawn].mean(axis=1) >= 2 * difference.mean())
apart = np.mean(better[drawn].mean(axis=1) - worse[rng.permutation(drawn)].mean(axis=1) >= 2 * difference.mean())
print(f"bootstrap_test: p = {ordered:.3f}, with one list shuffled {shuffled:.3f}; permutation_test {permuted:.3f}")
print(f"by hand: pictures drawn once for both p = {paired:.3f}, for each method on its own {apart:.3f}")
assert permuted < 0.002 and paired < 0.001
assert abs(ordered - apart) < 0.03 and abs(ordered - shuffled) < 0.03 and ordered > 0.1, "the behaviour has changed"
PYTHON
