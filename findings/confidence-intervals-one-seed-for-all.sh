#!/usr/bin/env bash
# confidence-intervals draws persons, and then pictures within each person (`conditions`), as a bootstrap in two levels
# should. But the draws of all persons begin with the same whole number as their seed: whoever has as many pictures
# draws the same places, so if the first picture of one person is drawn twice, then it is for everybody. Where pictures
# stand in the same order for all, as with the same masks on every face, the spread between masks does not average out
# over persons any more, and the interval is that of a handful of pictures. It changes when lines are put in another
# order within each person, although nothing else does. There is no argument for a seed that would help.
# Where to see it: confidence_intervals/confidence_intervals.py, `get_bootstrap_indices`: `random_state=random_state`
# in the loop over conditions, where `get_bootstrap_sets` has `random_state=i`.
# Versions: confidence-intervals 0.0.3, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6, matplotlib 3.11.2, Python 3.11.
# Seen, PSNR of 60 faces with the same 5 masks each, 95 % interval of the mean: 6.8 dB wide; with the lines of each face
# in another order 1.3 dB; with draws of their own for each face 1.0 dB. One draw: the same masks for all faces.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile confidence-intervals==0.0.3 scikit-learn==1.9.1 scipy==1.17.1 \
    numpy==2.4.6 matplotlib==3.11.2
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
from importlib.metadata import version

import numpy as np
from confidence_intervals import evaluate_with_conf_int, get_bootstrap_indices

print(*(f"{name} {version(name)}" for name in ("confidence-intervals", "scikit-learn", "scipy", "numpy")), sep=", ")
FACES, MASKS, DRAWS = 60, 5, 400
rng = np.random.default_rng(0)
psnr = np.array([30.0, 27.0, 24.0, 21.0, 18.0]) + rng.normal(0, 0.5, (FACES, 1)) + rng.normal(0, 0.5, (FACES, MASKS))
face = np.repeat(np.arange(FACES), MASKS)

drawn = get_bootstrap_indices(face.size, face, random_state=0)
places = set()
for one in np.unique(face[drawn]):  # a face that is drawn twice has each of its pictures twice
    rows = drawn[face[drawn] == one]
    places.add(tuple((rows[:: rows.size // MASKS] % MASKS).tolist()))
print(f"masks drawn within {np.unique(face[drawn]).size} faces, each different set once:", *places)
assert len(places) == 1, "the behaviour has changed"


def interval(values):
    _, (low, high) = evaluate_with_conf_int(values.ravel(), np.mean, conditions=face, num_bootstraps=DRAWS)
    return high - low


ordered, shuffled = interval(psnr), interval(rng.permuted(psnr, axis=1))
means = []
for _ in range(DRAWS):
    faces = rng.integers(0, FACES, FACES)
    means.append(psnr[faces[:, None], rng.integers(0, MASKS, (FACES, MASKS))].mean())
low, high = np.percentile(means, [2.5, 97.5])
print(f"width of the interval: masks in order {ordered:.2f} dB, lines of each face shuffled {shuffled:.2f} dB, "
      f"draws of their own {high - low:.2f} dB")
assert ordered > 4 * (high - low), "the behaviour has changed"
assert ordered > 4 * shuffled and shuffled < 2 * (high - low), "the behaviour has changed"
PYTHON
