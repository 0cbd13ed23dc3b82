"""Which jobs a suite becomes."""

from __future__ import annotations

from pathlib import Path

from bench import jobs, suite

SUITE = {
    "suite": "priors",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 4, "test": 2}],
    "methods": ["isfrnet", "exegan"],
    "conditions": ["center/25"],
    "train": {"features": "embedded"},
    "metrics": ["l1@hole"],
    "report": {"main": ["l1@hole"]},
}


def trained(root: Path, **changes: object) -> list[str]:
    made = jobs.plan(suite.parse(SUITE | changes, "here"), root)
    return [job.identity["method"] for job in made.jobs if job.kind == "train"]


def test_a_prior_is_trained_once_before_what_stands_on_it(tmp_path: Path) -> None:
    assert trained(tmp_path) == ["stylegan2", "psp", "isfrnet", "exegan"]


def test_official_weights_take_the_place_of_training(tmp_path: Path) -> None:
    """pSp's checkpoints hold their generator: it is not trained either."""
    path = tmp_path / "psp_ffhq_encode.pt"
    path.write_bytes(b"official")
    psp = {"method": "psp", "weights": str(path)}
    assert trained(tmp_path, priors=[psp]) == ["isfrnet", "exegan"]
    assert trained(tmp_path, methods=["hierinv"], priors=[psp]) == ["stylegan2", "hierinv"]
