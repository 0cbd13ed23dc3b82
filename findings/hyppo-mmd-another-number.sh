#!/usr/bin/env bash
# `MMD` of hyppo does not give the maximum mean discrepancy that its documentation has the formula of, but a number
# that depends on how many pictures there are. It takes the covariance of kernels with labels to MMD by a factor, which
# is (n + m)^4 / (2 n^2 m^2), and stands upside down; and what it multiplies is no covariance, but a correlation, which
# was divided by the spread of all samples. `Energy` beside it has the factor the right way round, and a covariance. So
# sets of features of different sizes cannot be compared: far from the real pictures with few samples is less than near
# them with many. The p-value needs no factor, but its permutations do not follow `random_state`. And the formula that
# Energy's documentation has, with all pairs, is that of `bias=True`: there a root is taken before the factor.
# Where to see it: hyppo/ksample/mmd.py, `statistic` (against energy.py, `statistic`); hyppo/independence/hsic.py,
# `test`: `random_state=None`; hyppo/independence/dcorr.py, `_dcov`: `np.sqrt`.
# Versions: hyppo 0.5.2, NumPy 2.4.6, SciPy 1.17.1, scikit-learn 1.9.1, Python 3.11.
# Seen, 1,000 real samples of 64 features (by the formula): shifted by 0.1, 1,000 generated 0.00226 (0.0033), 100
# generated 0.00006 (0.0026); shifted by 0.3, 100 generated 0.00083 (0.0339). Energy is within 1 % of its formula
# without bias; with bias 0.77 (0.07) and more. Four calls with one random_state: four p-values of MMD, one of Energy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile hyppo==0.5.2 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
from importlib.metadata import version

import numpy as np
from hyppo.ksample import MMD, Energy
from scipy.spatial.distance import cdist

print(*(f"{name} {version(name)}" for name in ("hyppo", "numpy", "scipy", "scikit-learn")), sep=", ")
GAMMA = 1 / 128


def pairs(values):  # the mean over all pairs of two different samples
    return (values.sum() - np.trace(values)) / (len(values) * (len(values) - 1))


def by_the_formula(x, y, of):
    return pairs(of(x, x)) + pairs(of(y, y)) - 2 * of(x, y).mean()


def kernel(a, b):
    return np.exp(-GAMMA * cdist(a, b, "sqeuclidean"))


rng = np.random.default_rng(0)
seen = {}
for shift, n, m in ((0.1, 1000, 1000), (0.1, 1000, 100), (0.3, 1000, 100)):
    real, generated = rng.normal(size=(n, 64)), rng.normal(size=(m, 64)) + shift
    mmd, right = MMD(gamma=GAMMA).statistic(real, generated), by_the_formula(real, generated, kernel)
    energy, energy_right = Energy().statistic(real, generated), -by_the_formula(real, generated, cdist)
    seen[shift, m] = mmd, right
    all_pairs = 2 * cdist(real, generated).mean() - cdist(real, real).mean() - cdist(generated, generated).mean()
    biased = Energy(bias=True).statistic(real, generated)
    print(f"shifted by {shift}, {n} and {m} samples: MMD {mmd:.5f}, by the formula {right:.5f}; "
          f"Energy {energy:.4f}, by the formula {energy_right:.4f}; "
          f"with bias {biased:.4f}, by the formula {all_pairs:.4f}")
    assert biased > 2 * all_pairs, "the behaviour has changed"
    assert abs(energy / energy_right - 1) < 0.02 and not 0.8 < mmd / right < 1.2, "the behaviour has changed"
(far, far_right), (near, near_right) = seen[0.3, 100], seen[0.1, 1000]
assert far < near and far_right > 5 * near_right, "the behaviour has changed"

few = rng.normal(size=(15, 3)), rng.normal(size=(15, 3)) + 0.3
for name, test, number in (("MMD", MMD, (2, 3, 4)), ("Energy", Energy, (1,))):
    p = [float(test().test(*few, auto=False, reps=500, random_state=1).pvalue) for _ in range(4)]
    print(f"{name}, p of four calls with one random_state:", *(f"{value:.3f}" for value in p))
    assert len(set(p)) in number, "the behaviour has changed"
PYTHON
