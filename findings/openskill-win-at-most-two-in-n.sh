#!/usr/bin/env bash
# `predict_win` of openskill gives the chance of each method to be the best of n, and no method can have more than
# 2 / n. It takes the mean of a method's chances against each of the others, and divides by the sum of all means, which
# is n / 2. So a method that is surely the best has 1.00 against one rival, 0.67 when a second rival comes in that is
# sure to lose, and 0.20 among ten. `predict_rank` gives the same chances. The model itself says another thing: a
# performance is normal, with the variance of the rating plus beta^2, and the greatest one wins.
# And the ranks that `rate` is given are cut to whole numbers inside, although they are asked for as floats, where the
# lower one wins: LPIPS of 0.11, 0.34 and 0.52 given as ranks is a draw of three for PlackettLuce; 1, 2, 3, and the
# same values given as `scores`, are not.
# Where to see it: openskill/models/weng_lin/plackett_luce.py, the end of `predict_win` (in all five models), and
# `int(ranks[index])` in `_calculate_team_ratings`.
# Versions: openskill 6.2.0, NumPy 2.4.6, Python 3.11.
# Seen, ratings 60 and 25 (sigma 1): chance of the first 1.000, 0.667, 0.200 among 2, 3, 10; by simulation 1.000 each.
# Ranks 0.11, 0.34, 0.52: all stay at 25.000. Ranks 1, 2, 3: 27.869, 25.717, 21.414.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile openskill==6.2.0 numpy==2.4.6
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
from importlib.metadata import version

import numpy as np
from openskill.models import (
    BradleyTerryFull,
    BradleyTerryPart,
    PlackettLuce,
    ThurstoneMostellerFull,
    ThurstoneMostellerPart,
)

print(*(f"{name} {version(name)}" for name in ("openskill", "numpy")), sep=", ")
rng = np.random.default_rng(0)
for kind in (PlackettLuce, BradleyTerryFull, BradleyTerryPart, ThurstoneMostellerFull, ThurstoneMostellerPart):
    model = kind()
    for n in (2, 3, 10):
        means = np.array([60.0] + [25.0] * (n - 1))
        methods = [[model.rating(mu=float(mean), sigma=1.0)] for mean in means]
        told, ranked = model.predict_win(methods)[0], model.predict_rank(methods)[0][1]
        performances = rng.normal(means, np.sqrt(1 + model.beta**2), (50_000, n))
        right = (performances.argmax(axis=1) == 0).mean()
        print(f"{kind.__name__}, best of {n}: {told:.3f}, predict_rank {ranked:.3f}, simulated {right:.3f}")
        assert abs(told - 2 / n) < 1e-6 and abs(ranked - 2 / n) < 1e-6, "the behaviour has changed"
        assert right > 0.999

model = PlackettLuce()


def rated(**outcome):
    return [round(team[0].mu, 3) for team in model.rate([[model.rating()] for _ in range(3)], **outcome)]


distances = [0.11, 0.34, 0.52]
print("ranks as floats:", rated(ranks=distances), "as whole numbers:", rated(ranks=[1, 2, 3]))
print("the same values as scores:", rated(scores=[-value for value in distances]))
assert rated(ranks=distances) == [25.0] * 3, "the behaviour has changed"
assert rated(ranks=[1, 2, 3]) == rated(scores=[-value for value in distances]) == [27.869, 25.717, 21.414]
PYTHON
