#!/usr/bin/env bash
# The Bradley-Terry strengths of crowd-kit are those after two steps of the iteration, whatever `n_iter` and `tol` say.
# After the first step the strengths are kept to compare the next ones with, but not copied: the next step changes both
# in place, the difference is 0, and the loop ends as if it had converged. So methods of unequal strength look alike,
# and where not all pairs were shown to people, which is common in a study of many methods, whoever met weak rivals
# stands above one who met strong ones. The package's own promise is the maximum of the likelihood.
# That its numbers are others than evalica's was seen, and put down to another way to measure convergence:
# https://github.com/dustalov/evalica/issues/7.
# Where to see it: crowdkit/aggregation/pairwise/bradley_terry.py, `fit`: `p_old = p_new`, then `p_new[:] = w`.
# Versions: crowd-kit 1.4.2, NumPy 2.4.6, SciPy 1.17.1, pandas 2.3.3, Python 3.11.
# Seen: of eight methods of which each beats the next one in 30 of 40 votes, the first has 0.228 of the strength, where
# 0.667 is right, and four in the middle have equal strengths. Of four methods, the order is S, A, B, W, where S, B, A,
# W is right. The same for 2 steps and for 10,000.
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
from crowdkit.aggregation import BradleyTerry

print(*(f"{name} {version(name)}" for name in ("crowd-kit", "numpy", "scipy", "pandas")), sep=", ")


def by_crowdkit(wins, steps):
    votes = [("one", winner, loser, winner) for (winner, loser), number in wins.items() for _ in range(number)]
    table = pd.DataFrame(votes, columns=["worker", "left", "right", "label"])
    return BradleyTerry(n_iter=steps, tol=1e-12).fit_predict(table)


def along_a_tree(wins, pairs, names):
    # Where the pairs that were shown form a tree, the likelihood is greatest where each ratio is that of the votes.
    strength = {names[0]: 1.0}
    for known, new in pairs:
        strength[new] = strength[known] * wins[new, known] / wins[known, new]
    return {name: strength[name] / sum(strength.values()) for name in sorted(names)}


def likelihood(strengths, wins):
    return sum(number * np.log(strengths[a] / (strengths[a] + strengths[b])) for (a, b), number in wins.items())


names = "ABCDEFGH"
pairs = list(zip(names, names[1:]))
chain = {pair: 30 for pair in pairs} | {pair[::-1]: 10 for pair in pairs}
weak_and_strong = {("A", "W"): 15, ("W", "A"): 5, ("S", "W"): 36, ("W", "S"): 4, ("B", "S"): 9, ("S", "B"): 11}

for wins, tree, who in ((chain, pairs, names), (weak_and_strong, [("W", "A"), ("W", "S"), ("S", "B")], "WASB")):
    few, many = by_crowdkit(wins, 2), by_crowdkit(wins, 10_000)
    right = along_a_tree(wins, tree, who)
    print("crowd-kit, 2 steps:     ", few.round(3).to_dict())
    print("crowd-kit, 10,000 steps:", many.round(3).to_dict(), f"log-likelihood {likelihood(many, wins):.1f}")
    print("right:                  ", {k: round(v, 3) for k, v in right.items()},
          f"log-likelihood {likelihood(right, wins):.1f}")
    assert np.array_equal(few, many), "the behaviour has changed"
    assert likelihood(right, wins) > likelihood(many, wins) + 0.5, "the behaviour has changed"
    if who == names:
        assert abs(many["A"] - 0.228) < 1e-3 and abs(right["A"] - 0.667) < 1e-3, "the behaviour has changed"
    else:
        assert list(many.sort_values(ascending=False).index) == list("SABW"), "the behaviour has changed"
        assert sorted(right, key=right.get, reverse=True) == list("SBAW")
PYTHON
