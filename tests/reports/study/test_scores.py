"""Known preferences come back, within intervals that are neither too short nor too wide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.errors import BenchError
from reports.study import intervals, results, scores, strengths, votes
from reports.study.tally import Sums, Tally, tally
from tests.reports.study import made_up

TRUTH = np.array([*made_up.STRENGTHS.values()]) - np.mean([*made_up.STRENGTHS.values()])


def voted(folder: Path, kind: str = "ranking", seed: int = 0, **changes: object) -> votes.Votes:
    of_votes = {key: changes.pop(key) for key in ("of_people", "of_images", "strengths", "careless") if key in changes}
    made = made_up.study(folder, kind, seed=seed, **changes)  # type: ignore[arg-type]
    made_up.vote(made, seed=seed, **of_votes)  # type: ignore[arg-type]
    return votes.read(made)


def test_strengths_maximise_the_likelihood() -> None:
    """Two methods have a closed form; of several, the expected wins are those that happened."""
    won = np.array([[0, 70.0], [30.0, 0]])
    found = strengths.fit(won)
    assert found[0] - found[1] == pytest.approx(np.log(70.5 / 30.5))
    wins = np.random.default_rng(0).integers(0, 30, (7, 5, 5)) * (1 - np.eye(5))
    found = strengths.fit(wins)
    padded = wins + 0.5 * (1 - np.eye(5))
    chance = 1 / (1 + np.exp(found[:, None, :] - found[:, :, None]))
    expected = ((padded + padded.swapaxes(1, 2)) * chance * (1 - np.eye(5))).sum(axis=2)
    np.testing.assert_allclose(expected, padded.sum(axis=2), rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-9)
    never = strengths.fit(np.array([[0, 50.0, 50], [0, 0, 50], [0, 0, 0]]))
    assert np.isfinite(never).all() and never[0] > never[1] > never[2]


def test_ranks_shares_and_preferences_are_counts(tmp_path: Path) -> None:
    found = voted(tmp_path, people=10)
    table = scores.scores(found)
    ranks = {name: [vote.order.index(name) + 1 for vote in found.counted] for name in made_up.STRENGTHS}
    for name, given in ranks.items():
        mine = table[table["method"] == name].set_index("measure")
        assert mine.loc[scores.RANK, "value"] == pytest.approx(np.mean(given))
        assert mine.loc[scores.FIRST, "value"] == pytest.approx(np.mean(np.equal(given, 1)))
        shares = [mine.loc[scores.SHARE.format(rank), "value"] for rank in range(1, 6)]
        assert shares == pytest.approx([np.mean(np.equal(given, rank)) for rank in range(1, 6)])
    pair = table[(table["measure"] == scores.PREFERENCE) & (table["method"] == "Lama") & (table["against"] == "GRIG")]
    assert pair["value"].item() == pytest.approx(np.mean(np.less(ranks["Lama"], ranks["GRIG"])))
    inside = table.dropna()
    assert (inside["low"] <= inside["value"]).all() and (inside["value"] <= inside["high"]).all()
    shared = inside[inside["measure"].str.startswith(("share", "pref"))]
    assert shared[["low", "high"]].to_numpy().min() >= 0 and shared[["low", "high"]].to_numpy().max() <= 1
    again = scores.scores(found)
    assert table.equals(again)


def test_scores_of_an_earlier_version_are_made_again(tmp_path: Path) -> None:
    """Their average ranks have other intervals, which would stand beside those of today."""
    folder = tmp_path / "studies" / "ranking"
    results.keep(voted(folder, people=5))
    kept = pd.read_csv(folder / "scores.csv", keep_default_na=False)
    kept.drop(columns="interval").to_csv(folder / "scores.csv", index=False)
    with pytest.raises(BenchError, match=r"earlier version, .* run `facebench study score .*ranking` again"):
        results.of_run(tmp_path)


def test_few_people_have_no_intervals(tmp_path: Path) -> None:
    table = scores.scores(voted(tmp_path, people=4))
    assert table[table["measure"] == scores.RANK]["low"].isna().all()
    assert table[table["measure"] == scores.RANK]["value"].notna().all()


@pytest.mark.parametrize("kind", ["ranking", "2afc"])
def test_intervals_are_of_possible_numbers_and_have_a_width(kind: str, tmp_path: Path) -> None:
    """Five people whose preferences are far from chance, and five who all say the same."""
    for name, far in (("far", 4.0), ("of one mind", 50.0)):
        people = {title: far * i for i, title in enumerate(made_up.STRENGTHS)}
        of_kind = tuple(people)[: 2 if kind == "2afc" else 5]
        found = scores.scores(voted(tmp_path / name, kind, methods=of_kind, people=5, strengths=people))
        told = found[found["measure"] != scores.ALPHA]
        assert (told["low"] < told["high"]).all()
        assert ((told["low"] <= told["value"]) & (told["value"] <= told["high"])).all()
        ranks = found[found["measure"] == scores.RANK]
        assert len(ranks) == (5 if kind == "ranking" else 0)
        assert (ranks["low"] >= 1).all() and (ranks["high"] <= 5).all()
    assert set(found["interval"]) == {scores.WILSON, scores.STUDENT, scores.PERCENTILE}


def test_the_interval_of_an_average_rank() -> None:
    """Of two methods it is that of a share; of many votes for ranks in the middle, value -+ t error."""
    few = made(np.arange(10), np.arange(10), np.ones(10))
    error = np.array(0.1)
    low, high = intervals.of_share(np.array(0.4), error, np.array(1000), few)
    assert intervals.of_rank(np.array(1.4), error, 2, few) == pytest.approx((1 + low, 1 + high))
    low, high = intervals.of_rank(np.array(3.0), np.array(0.01), 5, few)
    assert (low, high) == pytest.approx((3 - 2.262157 * 0.01, 3 + 2.262157 * 0.01), abs=1e-5)


def test_the_error_of_a_strength_is_at_least_that_of_single_votes() -> None:
    """Two methods, 70 to 30: the log-odds' variance is 1 / 70.5 + 1 / 30.5, and each has half of the difference."""
    assert strengths.least_error(np.array([[0, 70.0], [30.0, 0]])) == pytest.approx(np.sqrt(1 / 70.5 + 1 / 30.5) / 2)


def made(people: np.ndarray, images: np.ndarray, first: np.ndarray) -> Tally:
    """Votes between two methods; `first`: for the first."""
    n = len(people)
    wins, ranks = np.zeros((n, 2, 2)), np.zeros((n, 2, 2))
    wins[:, 0, 1], wins[:, 1, 0] = first, 1 - first
    ranks[:, 0, 0], ranks[:, 1, 0] = first, 1 - first
    return Tally(("a", "b"), people, images, wins, ranks, np.ones((n, 2)))


def preference(sums: Sums) -> np.ndarray:
    return sums.preference[..., 0, 1]


def test_spread_counts_what_people_share_once_and_noise_once() -> None:
    """Votes that share nothing: the binomial error. People of one mind each: as many independent votes as people."""
    rng = np.random.default_rng(0)
    people, images = np.repeat(np.arange(50), 20), np.tile(np.arange(100), 10)
    noise = np.mean([
        float(intervals.spread(made(people, images, rng.integers(0, 2, 1000)), preference)) for _ in range(10)
    ])  # fmt: skip
    assert noise == pytest.approx(0.5 / np.sqrt(1000), rel=0.15)
    minds = made(people, images, np.repeat(np.arange(50) % 2, 20))
    assert intervals.spread(minds, preference) == pytest.approx(0.5 / np.sqrt(50), rel=0.1)
    eyes = made(people, images, images % 2)
    assert intervals.spread(eyes, preference) == pytest.approx(0.5 / np.sqrt(100), rel=0.1)


def test_the_interval_of_a_share_is_wilsons() -> None:
    """With the binomial error it is Wilson's own (statsmodels: proportion_confint(62, 100, method="wilson"))."""
    votes_of = made(np.arange(100000), np.arange(100000), np.zeros(100000))  # so many that t is the normal's
    share = np.array(0.62)
    low, high = intervals.of_share(share, np.sqrt(share * (1 - share) / 100), np.array(100), votes_of)
    assert (low, high) == pytest.approx((0.5220914, 0.7090343), abs=2e-5)
    few = made(np.arange(10), np.arange(10), np.ones(10))
    low, high = intervals.of_share(np.array(1.0), np.array(0.0), np.array(10), few)
    assert 0.6 < low < 0.8 and high == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ranking", "2afc", "best"])
def test_known_preferences_are_recovered(
    kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """52 people x 20 votes, 100 studies: in at least 93 the truth lies in the interval, whose mean width is at most
    1.3 times that of the values' own spread. One method is looked at, since five intervals of a study go together.
    """
    methods = ("GRIG", "MAT") if kind == "2afc" else tuple(made_up.STRENGTHS)
    truth = np.array([made_up.STRENGTHS[name] for name in methods])
    truth = truth - truth.mean()
    found, low, high = [], [], []
    for seed in range(100):
        counted = voted(tmp_path / str(seed), kind, seed, methods=methods).counted
        of_study = tally(counted, methods)
        assert len(counted) == 52 * 20
        found.append(of_study.sums.strengths)
        error = intervals.spread(of_study, lambda sums: sums.strengths)
        error = np.maximum(error, strengths.least_error(of_study.sums.wins))
        bounds = intervals.around(found[-1], error, of_study)
        low.append(bounds[0])
        high.append(bounds[1])
    covered = ((np.array(low) <= truth) & (truth <= np.array(high))).sum(axis=0)
    width = (np.array(high) - low).mean(axis=0) / (2 * 1.96 * np.std(found, axis=0))
    record_property("covered", covered.tolist())  # shown by --junitxml
    record_property("width", width.round(3).tolist())
    assert covered[0] >= 93 and covered.mean() >= 93
    assert width.max() <= 1.3
    assert np.abs(np.mean(found, axis=0) - truth).max() < 0.03


@pytest.mark.slow
def test_average_ranks_near_the_ends(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """20 people x 20 votes, methods far apart: of 100 studies, the mean over all lies in at least 93 intervals."""
    far = dict(zip(made_up.STRENGTHS, (0.0, -3.0, -1.0, 1.0, 4.0), strict=True))
    values, low, high = [], [], []
    for seed in range(100):
        of_study = tally(voted(tmp_path / str(seed), seed=seed, people=20, strengths=far).counted, tuple(far))
        values.append(of_study.sums.average_rank)
        error = intervals.spread(of_study, lambda sums: sums.average_rank)
        bounds = intervals.of_rank(values[-1], error, len(far), of_study)
        low.append(bounds[0])
        high.append(bounds[1])
    mean, reach = np.mean(values, axis=0), np.mean(np.array(high) - low, axis=0)
    assert mean.min() < 1.1 and mean.max() > 4.7
    covered = ((np.array(low) <= mean) & (mean <= np.array(high))).sum(axis=0)
    record_property("covered", covered.tolist())
    assert covered.min() >= 93
    assert (reach / (2 * 1.96 * np.std(values, axis=0))).max() <= 1.4


@pytest.mark.slow
def test_people_and_images_that_differ(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Where people and pictures differ, too: of 100 studies, the mean over all lies in at least 90 intervals."""
    values, low, high = [], [], []
    for seed in range(100):
        found = voted(tmp_path / str(seed), "2afc", seed, methods=("GRIG", "MAT"), of_people=0.7, of_images=0.7)
        of_study = tally(found.counted, ("GRIG", "MAT"))
        share = preference(of_study.sums)
        error = intervals.spread(of_study, preference)
        bounds = intervals.of_share(share, error, of_study.sums.compared[0, 1], of_study)
        values.append(share)
        low.append(bounds[0])
        high.append(bounds[1])
    mean, reach = np.mean(values), np.mean(np.array(high) - low)
    covered, width = ((np.array(low) <= mean) & (mean <= np.array(high))).sum(), reach / (2 * 1.96 * np.std(values))
    record_property("covered", int(covered))
    record_property("width", round(float(width), 3))
    assert covered >= 90
    assert width <= 1.3
    assert reach > 1.1 * 2 * 1.96 * 0.48 / np.sqrt(1040)  # as if each vote was alone
