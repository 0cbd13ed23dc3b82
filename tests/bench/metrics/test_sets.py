"""Sets of metrics: what they stand for, and what of them is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from bench import cli, jobs, lacking, metrics, suite
from bench.errors import BenchError
from bench.metrics import naturalness, sets
from bench.metrics.score import TooSmall

PRINTED = ["psnr", "ssim@wang", "lpips@vgg", "fid", "fid/ffhq", "niqe", "identity@arcface-degrees", "nme@fan"]
SUITE = {
    "suite": "small",
    "size": 256,
    "data": [{"name": "synthfaces", "train": 8, "test": 4}],
    "training": [{"name": "ffhq"}],
    "methods": ["input"],
    "conditions": ["degraded/mild"],
    "metrics": "blind-restoration",
}


def parsed(**changes: object) -> suite.Suite:
    return suite.parse(SUITE | changes, "here")


@pytest.mark.parametrize("name", sets.SETS)
def test_members_are_metrics_and_sets_are_not(name: str) -> None:
    assert all(metrics.get(member) for member in sets.SETS[name].members)
    with pytest.raises(BenchError, match="unknown metric"):
        metrics.get(name)


def test_a_set_stands_for_its_metrics_alone_and_beside_others() -> None:
    alone = parsed()
    assert (alone.metrics, alone.measured, alone.left_out) == (["blind-restoration"], PRINTED, [])
    assert alone.report.main == PRINTED[:2]
    beside = parsed(metrics=["l1", "niqe", "blind-restoration"], report={"main": ["niqe", "fid/ffhq"]})
    assert beside.measured == ["l1", "niqe", *(name for name in PRINTED if name != "niqe")]
    assert parsed(metrics=["l1"]).measured == ["l1"]


@pytest.mark.parametrize(
    ("changes", "missing", "remedy"),
    [
        ({"size": 191}, ["niqe"], "needs pictures of 192 pixels or more a side: raise `size`"),
        ({"training": []}, ["fid/ffhq"], "compares with the pictures of ffhq: add {name: ffhq} to `training`"),
        (
            {"conditions": ["degraded/itself"]},
            ["psnr", "ssim@wang", "lpips@vgg", "fid", "identity@arcface-degrees", "nme@fan"],
            "compares with originals: take degraded/given, as degraded/itself has none",
        ),
    ],
)
def test_what_cannot_be_computed_is_left_out_with_the_remedy(changes: dict, missing: list[str], remedy: str) -> None:
    made = parsed(**changes)
    assert made.measured == [name for name in PRINTED if name not in missing]
    assert made.left_out == [f"blind-restoration is without {name}, which {remedy}" for name in missing]


def test_what_a_suite_names_itself_is_not_left_out() -> None:
    made = parsed(size=64, metrics=["blind-restoration", "niqe"])
    assert made.measured == PRINTED
    assert made.left_out == []


def test_a_set_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(BenchError, match="metrics: nothing is left: blind-restoration is without psnr"):
        parsed(size=64, training=[], conditions=["degraded/itself"])


@pytest.mark.parametrize("name", ["blind-restoraton", "blind_restoration", "restoration"])
def test_misspelt_sets_show_the_closest(name: str) -> None:
    for given in (name, ["psnr", name]):
        with pytest.raises(BenchError, match=f"metrics.[01]: unknown metrics '{name}': did you mean blind-restoration"):
            parsed(metrics=given)


def test_the_smallest_side_is_that_of_the_metric() -> None:
    side = metrics.get("niqe").smallest_side
    assert naturalness.features(torch.zeros(1, 1, side, side, dtype=torch.float64)).shape == (1, 4, 36)
    with pytest.raises(TooSmall):
        naturalness.features(torch.zeros(1, 1, side, side - 1, dtype=torch.float64))


def test_planning_says_what_is_left_out_and_scores_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path / "weights"))
    made = jobs.plan(parsed(size=64, training=[], metrics=["blind-restoration", "l1"]), tmp_path)
    told = list(lacking.told(made))
    assert [line.split(",")[0] for line in told[:2]] == [
        "blind-restoration is without fid/ffhq",
        "blind-restoration is without niqe",
    ]
    assert [line.partition(": the pretrained file ")[0] for line in told[2:5]] == [
        "lpips@vgg",
        "fid",
        "identity@arcface-degrees",
    ]
    scored = [name for name, *_ in made.scores[0].identity["metrics"]]
    assert scored == [*(name for name in PRINTED if name not in ("fid/ffhq", "niqe")), "l1"]


def test_the_command_lists_them() -> None:
    printed = CliRunner().invoke(cli.app, ["list", "--metrics"], env={"COLUMNS": "400"}).output
    assert ", ".join(PRINTED) in printed
