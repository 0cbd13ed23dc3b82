#!/usr/bin/env bash
# `posthoc_quade` of scikit-posthocs compares methods in pairs over blocks (the same pictures, data sets or people for
# all methods), and with dist="normal" it finds differences where there are none: of pairs that do not differ, a fifth
# to a third have p < 0.05. The difference of two weighted mean ranks has the variance k (k + 1) (2 b + 1) /
# (9 b (b + 1)) for k methods and b blocks. What stands there is k (k + 1) (2 n + 1) (k - 1) / (18 n (n + 1)) with the
# number of all values, n = b k, so that about a quarter (k = 2) to a half (k large) of the variance is left. With the
# default, dist="t", it is right. R's PMCMRplus has the same formula (quadeAllPairsTest.R), so a comparison of the two
# shows nothing.
# Where to see it: scikit_posthocs/_posthocs.py, `posthoc_quade`: `n = b * k` and the `denom` below it, twice.
# Versions: scikit-posthocs 0.17.1, NumPy 2.4.6, SciPy 1.17.1, pandas 2.3.3, Python 3.11.
# Seen, 40 blocks of random values, share of pairs with p < 0.05: two methods 0.37, three 0.25, five 0.22, ten 0.19;
# with dist="t", and by hand with the variance above, 0.05 to 0.06.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile scikit-posthocs==0.17.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
from importlib.metadata import version

import numpy as np
from scikit_posthocs import posthoc_quade
from scipy.stats import norm, rankdata

print(*(f"{name} {version(name)}" for name in ("scikit-posthocs", "numpy", "scipy", "pandas")), sep=", ")
BLOCKS, TIMES = 40, 600


def by_hand(values):
    b, k = values.shape
    weights = rankdata(np.ptp(values, axis=1))[:, None]
    means = (rankdata(values, axis=1) * weights).sum(axis=0) / weights.sum()
    spread = np.sqrt(k * (k + 1) * (2 * b + 1) / (9 * b * (b + 1)))
    return 2 * norm.sf(np.abs(means[:, None] - means) / spread)


rng = np.random.default_rng(0)
for k in (2, 3, 5, 10):
    found = {"normal": [], "t": [], "by hand": []}
    pairs = np.triu_indices(k, 1)
    for _ in range(TIMES):
        values = rng.normal(size=(BLOCKS, k))
        for dist in ("normal", "t"):
            found[dist].append(posthoc_quade(values, dist=dist).to_numpy()[pairs] < 0.05)
        found["by hand"].append(by_hand(values)[pairs] < 0.05)
    share = {name: float(np.mean(below)) for name, below in found.items()}
    print(f"{k} methods that do not differ, share of pairs with p < 0.05:",
          ", ".join(f"{name} {value:.3f}" for name, value in share.items()))
    assert share["normal"] > 0.15, "the behaviour has changed"
    assert 0.03 < share["t"] < 0.08 and 0.03 < share["by hand"] < 0.08, "the behaviour has changed"
PYTHON
