#!/usr/bin/env bash
# NoisyBradleyTerry of crowd-kit fits strengths of methods and, for each person who votes, how skilled they are and how
# much they lean to the left picture. Its derivatives for persons stand one place too far to the front, and each vote
# overwrites the one before it instead of being added. So what is minimised and its derivatives do not belong
# together: the skill of the last person never moves from the random number that it began with, and a person who always
# takes the left picture has a skill like the others'. Those whose votes are to be left out are not found, and their
# votes count. There is no error and no warning.
# Where to see it: crowdkit/aggregation/pairwise/noisy_bt.py, `_compute_gradient`: `gradient[labels + worker_idx] =`
# and `gradient[labels + workers + worker_idx] =`; the parameters themselves lie at 1 + labels + worker_idx and
# 1 + labels + workers + worker_idx.
# Versions: crowd-kit 1.4.2, NumPy 2.4.6, SciPy 1.17.1, pandas 2.3.3, Python 3.11.
# Seen, three persons, of whom one may always take the left picture: the last one's skill is 0.629 if this is the last
# one, if it is another, and if all are careful. Where it is the last one, the other two have 0.57 and 0.69, so the
# careless one stands above a careful one. The same model, with derivatives taken by SciPy: above 0.9 for who is
# careful, 0.00 for who is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile crowd-kit==1.4.2 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
from importlib.metadata import version

import numpy as np
import pandas as pd
from crowdkit.aggregation import NoisyBradleyTerry
from scipy.optimize import minimize
from scipy.special import expit

print(*(f"{name} {version(name)}" for name in ("crowd-kit", "numpy", "scipy", "pandas")), sep=", ")
METHODS = {"A": 2.0, "B": 1.0, "C": 0.0, "D": -1.0, "E": -2.0}
PERSONS = ["a", "b", "c"]  # c comes last


def votes(careless):
    rng = np.random.default_rng(0)
    rows = []
    for person in PERSONS:
        for _ in range(300):
            left, right = rng.choice(list(METHODS), 2, replace=False).tolist()
            left_wins = rng.random() < expit(METHODS[left] - METHODS[right])
            rows.append((person, left, right, left if left_wins or person == careless else right))
    return pd.DataFrame(rows, columns=["worker", "left", "right", "label"])


def fitted_by_scipy(table):
    # A vote is by strength with the person's skill as its chance, and otherwise to the left with the person's bias.
    left, right = (table[side].map(list(METHODS).index).to_numpy() for side in ("left", "right"))
    person = table["worker"].map(PERSONS.index).to_numpy()
    sign = np.where(table["label"] == table["left"], 1, -1)

    def loss(x):
        strength, bias, skill = x[:5], x[5:8], x[8:]
        by_strength = expit(sign * (strength[left] - strength[right]))
        chance = expit(skill[person]) * by_strength + expit(-skill[person]) * expit(sign * bias[person])
        return -np.log(chance).sum() + 1e-2 * (x**2).sum()

    return dict(zip(PERSONS, expit(minimize(loss, np.full(11, 0.1)).x[8:]).round(3).tolist()))


last = []
for careless in (None, "c", "a"):
    table = votes(careless)
    fit = NoisyBradleyTerry(n_iter=1000, tol=1e-9).fit(table)
    skills, right = fit.skills_.round(3).to_dict(), fitted_by_scipy(table)
    print(f"always left: {careless}; skills by crowd-kit {skills}, by SciPy {right}")
    last.append(fit.skills_["c"])
    if careless:
        assert skills[careless] > 0.5, "the behaviour has changed"
    assert all(value < 0.05 if name == careless else value > 0.8 for name, value in right.items())
assert np.ptp(last) == 0 and abs(last[0] - 0.629) < 1e-3, "the behaviour has changed"
PYTHON
