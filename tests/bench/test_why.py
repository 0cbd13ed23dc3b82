"""What runs again says why, and can be taken as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import jobs, registry, results, runner, suite
from bench.accept import accept
from bench.errors import BenchError
from bench.jobs import Plan
from bench.store import digest
from bench.why import Difference, finished, reasons

CONTENT: dict[str, Any] = {
    "suite": "again",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 4, "test": 2}],
    "methods": ["mean", {"method": "aot", "steps": 1}],
    "conditions": ["center/25"],
    "train": {"features": "embedded", "batch": 2},
    "metrics": ["l1@hole"],
    "report": {"main": ["l1@hole"], "samples": 1},
}
Change = Callable[..., Plan]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """A plan in a folder of runs; modules that `changed` are said to do something else."""
    entry = registry.Entry.source

    def made(changed: str = "", **changes: Any) -> Plan:
        monkeypatch.setattr(
            registry.Entry,
            "source",
            lambda self: {name: digest(text) if name == changed else text for name, text in entry(self).items()},
        )
        return jobs.plan(suite.parse(CONTENT | changes, "here"), tmp_path)

    return made


@pytest.fixture
def ran(plan: Change) -> Plan:
    made = plan()
    assert not runner.run(made, runner.Options(device="cpu", workers=0)).failed
    return made


def lines(made: Plan) -> dict[str, str]:
    """For each job that is to do: why."""
    return {job.label: "; ".join(map(str, found)) for job, _, found in reasons(made, finished(made.root))}


def test_nothing_runs_again_without_a_reason(ran: Plan, plan: Change) -> None:
    assert lines(plan()) == {}
    assert lines(plan(report={"main": ["l1@hole"], "samples": 2}, expect=["mean psnr > 1"][:0])) == {}


def test_changed_source_names_the_module_and_what_stands_on_it(ran: Plan, plan: Change) -> None:
    assert lines(plan("baselines.aot")) == {
        "train aot (tiny) on synthfaces": "the code of the method (baselines.aot)",
        "complete aot (tiny) on synthfaces, center/25": "the trained weights; the code of the method (baselines.aot)",
        "score aot (tiny) on synthfaces, center/25": "the completed pictures",
    }
    assert lines(plan("bench.nn.gated")) == {}  # which neither imports


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"metrics": ["l1@hole", "psnr"]}, {"score": "the metrics (+psnr)"}),
        ({"seed": 1}, {"complete": "the seed (was 0, is 1)", "train": "the seed"}),
        ({"train": CONTENT["train"] | {"batch": 1}}, {"train": "batch (was 2, is 1)"}),
        ({"conditions": ["center/50"]}, {"complete": "the condition (was center/25, is center/50); the test masks"}),
    ],
)
def test_each_change_is_named(ran: Plan, plan: Change, changes: dict[str, Any], expected: dict[str, str]) -> None:
    found = lines(plan(**changes))
    for kind, text in expected.items():
        told = [why for label, why in found.items() if label.startswith(kind)]
        assert told and all(text in why for why in told), found
    if "metrics" in changes:
        assert {label.split()[0] for label in found} == {"score"}


def taken(made: Plan, *names: str) -> list[str]:
    return [job.label for job, *_ in accept(made, finished(made.root), names)]


def test_finished_jobs_are_accepted_by_name_and_said_in_every_row(ran: Plan, plan: Change) -> None:
    made = plan("baselines.aot")
    before = results.rows(ran, ran.scores)
    assert taken(made) == []
    assert taken(made, "aot") == ["train aot (tiny) on synthfaces", "complete aot (tiny) on synthfaces, center/25"]
    assert not runner.run(made, runner.Options(device="cpu", workers=0)).failed
    rows = results.rows(made, made.scores)
    assert list(rows["value"]) == list(before["value"])
    notes = rows.set_index("method")["note"]
    assert notes["mean"] == ""
    assert notes["aot"].startswith(
        "trained before the code of the method changed; completed before the trained weights"
    )


def test_other_experiments_and_unknown_names_are_not_accepted(ran: Plan, plan: Change) -> None:
    with pytest.raises(BenchError, match=r"--accept aot: more differs .*another experiment: train aot.*batch \(was 2"):
        taken(plan(train=CONTENT["train"] | {"batch": 1}), "aot")
    with pytest.raises(BenchError, match="--accept telea: no job that is to do has a finished one of that name"):
        taken(plan("baselines.aot"), "telea")


def test_weights_of_a_release_before_are_taken_over(ran: Plan, plan: Change) -> None:
    """It counted all source by its text, and the release number: in `version`."""
    job = next(job for job in ran.jobs if job.kind == "train")
    old = ran.job_folder("train-aot-0123456789abcdef")
    ran.job_folder(job.id).rename(old)
    told = json.loads((old / "job.json").read_text()) | {"version": ["0.1.0", "ab"], "source": "cd"}
    del told["modules"]
    (old / "job.json").write_text(json.dumps(told))
    made = plan()
    assert taken(made) == [job.label]
    assert made.done(job)
    assert (made.job_folder(job.id) / "weights.safetensors").samefile(old / "weights.safetensors")
    assert "trained by a release that counted source otherwise" in "".join(results.rows(made, made.scores)["note"])


def test_a_metric_whose_network_sees_all_pictures_again_is_said(ran: Plan, plan: Change) -> None:
    found = lines(plan(metrics=["l1@hole", "perceptual@embedded", "identity@embedded"]))
    said = "the metrics (+perceptual@embedded: its network sees all pictures, +identity@embedded)"
    assert set(found.values()) == {said}


def test_lists_of_hashes_are_short() -> None:
    told = str(Difference("files", ["0871" * 16, "b" * 64], ["6913" * 16]))
    assert told == "files that options name (was 087108710871..., bbbbbbbbbbbb..., is 691369136913...)"
