#!/usr/bin/env bash
# deepsig tells from several runs of each method whether one is better than another (almost stochastic order), and its
# correction for many comparisons fades the more methods are compared. Bonferroni divides the chance of an error, 5 %,
# by the number of comparisons: 0.95 becomes 1 - 0.05 / k. deepsig adds 0.05 / k to 0.95. Both are the same for k = 2
# only. With ten methods, 45 comparisons, the level is 0.951 where 0.9989 is right: hardly any correction, although
# `multi_aso` makes it by default. With two methods, one comparison, where nothing is to be corrected, the level is 1:
# the bound of `multi_aso` is 1 both ways, however much better one of them is, or nan if it is better in every run.
# Where to see it: deepsig/aso.py, `aso` and `multi_aso`: `confidence_level += (1 - confidence_level) /
# num_comparisons`; `aso` does it from two comparisons on, `multi_aso` from one.
# Versions: deepsig 1.2.8, NumPy 2.4.6, SciPy 1.17.1, pandas 2.3.3, Python 3.11.
# Seen: two methods that lie 2 standard deviations apart, 10 runs each: by aso 0.00, by multi_aso 1.00 both ways. Ten
# methods: 40 pairs below 0.5, that is, one is called better, with the correction and without it, 30 by Bonferroni; one
# of these pairs has 0.45 without, 0.45 with, and 0.76 by Bonferroni.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile deepsig==1.2.8 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
from importlib.metadata import version

import numpy as np
from deepsig import aso, multi_aso

print(*(f"{name} {version(name)}" for name in ("deepsig", "numpy", "scipy", "pandas")), sep=", ")
FEW = {"num_bootstrap_iterations": 100, "dt": 0.02, "seed": 1, "show_progress": False}
rng = np.random.default_rng(0)

worse = rng.normal(20, 1, 10)
for name, better in (("better", rng.normal(22, 1, 10)), ("better in every run", worse + 9)):
    single = aso(better, worse, **FEW)
    both = multi_aso({"better": better, "worse": worse}, **FEW)
    print(f"two methods, one {name}: aso {single:.2f}, multi_aso {both[0, 1]:.2f} and {both[1, 0]:.2f}")
    assert single < 0.1, "the behaviour has changed"
    assert both[0, 1] == both[1, 0] == 1 if name == "better" else np.isnan(both[0, 1]), "the behaviour has changed"

methods = {f"method {i}": rng.normal(20 + 0.4 * i, 1, 10) for i in range(10)}
comparisons = 10 * 9 / 2
default = multi_aso(methods, **FEW)
without = multi_aso(methods, use_bonferroni=False, **FEW)
by_hand = multi_aso(methods, use_bonferroni=False, confidence_level=1 - 0.05 / comparisons, **FEW)
faded = multi_aso(methods, use_bonferroni=False, confidence_level=0.95 + 0.05 / comparisons, **FEW)
others = ~np.eye(10, dtype=bool)
called = {name: int((bound[others] < 0.5).sum())
          for name, bound in (("none", without), ("deepsig", default), ("Bonferroni", by_hand))}
print("pairs below 0.5, by correction:", called)
i, j = np.unravel_index(np.argmax(np.where(default < 0.5, by_hand, 0)), default.shape)
print(f"one pair: none {without[i, j]:.2f}, deepsig {default[i, j]:.2f}, Bonferroni {by_hand[i, j]:.2f}")
assert np.array_equal(default, faded), "the behaviour has changed"
assert np.abs(default - without)[others].max() < 0.02, "the behaviour has changed"
assert default[i, j] < 0.5 < by_hand[i, j] and called["Bonferroni"] < called["deepsig"], "the behaviour has changed"
PYTHON
