#!/usr/bin/env bash
# Of the rankings of votes between pairs that evalica computes, `eigen` is upside down: who loses most comes first.
# Its matrix has the wins of a row over a column, and the iteration multiplies by the transposed matrix, so a score is
# the sum over those who *beat* an item. Its other rankings are the right way round (PageRank turns the matrix twice).
# Scores come sorted, all are above 0, and `pairwise_frame` makes chances to win of them: nothing tells that the list
# begins at its end.
# Where to see it: evalica/_pairwise.py, `matrices` and `eigen` (`matrix.T @ scores`); src/linalg.rs does the same.
# Versions: evalica 0.4.2 (0.2.0 and 0.3.2 too), NumPy 2.4.6, pandas 3.1.1, Python 3.11.
# Seen: A beats B, B beats C, A beats C, ten times each, once the other way: A, B, C by counting, Bradley-Terry,
# Newman, Elo, win rate and PageRank; C 0.890, B 0.413, A 0.192 by eigen, both from its Rust and its Python. The
# eigenvector of the matrix itself: A 0.890, B 0.413, C 0.192.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile evalica==0.4.2 numpy==2.4.6 pandas==3.1.1
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
import evalica
import numpy as np
from evalica import Winner

votes = [("A", "B", Winner.X), ("B", "C", Winner.X), ("A", "C", Winner.X)] * 10
votes += [("A", "B", Winner.Y), ("B", "C", Winner.Y), ("A", "C", Winner.Y)]
one, other, winners = zip(*votes)

orders = {}
for name in ("counting", "bradley_terry", "newman", "elo", "average_win_rate", "pagerank", "eigen"):
    for solver in ("pyo3", "naive"):
        scores = getattr(evalica, name)(one, other, winners, solver=solver).scores
        orders[name, solver] = list(scores.index)
    print(f"{name}: {scores.round(3).to_dict()}")

chances = evalica.pairwise_frame(scores)
print(f"chance that A, who won 20 of 22, wins against C, by eigen: {chances.loc['A', 'C']:.2f}")

wins = np.array([[0, 10, 10], [1, 0, 10], [1, 1, 0]], dtype=float)  # row over column
values, vectors = np.linalg.eig(wins)
right = np.abs(vectors[:, values.real.argmax()].real)
print("the eigenvector of the matrix of wins:", dict(zip("ABC", right.round(3).tolist())))

for (name, solver), order in orders.items():
    assert order == (["C", "B", "A"] if name == "eigen" else ["A", "B", "C"]), "the behaviour has changed"
assert chances.loc["A", "C"] < 0.5, "the behaviour has changed"
assert np.allclose(scores[["C", "B", "A"]], right, atol=1e-3), "the behaviour has changed"
PYTHON
