"""What editors and readers learn about suites."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from bench import jobs, metrics, reference, registry, suite

SMALL = {
    "suite": "small",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 8, "test": 4}],
    "methods": ["mean", {"method": "aot", "steps": 2}, {"method": "grig", "variant": "(A)"}],
    "conditions": ["center/25"],
    "train": {"features": "embedded"},
    "metrics": ["l1@hole"],
    "report": {"main": ["l1@hole"]},
}


@pytest.fixture(scope="module")
def checker() -> jsonschema.Draft202012Validator:
    schema = reference.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", suite.shipped())
def test_the_schema_takes_every_suite_that_ships(name: str, checker: jsonschema.Draft202012Validator) -> None:
    content = suite.content(name)
    checker.validate(content | {"data": content["data"] or [{"name": "mine", "folder": "DIR"}]})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"methds": []}, []),
        ({"train": {"stepps": 3}}, ["train"]),
        ({"size": 7}, ["size"]),
        ({"methods": [{"name": "mean"}]}, ["methods", 0]),
        ({"keep": "some"}, ["keep"]),
        ({"shots": [0]}, ["shots", 0]),
    ],
)
def test_the_schema_marks_what_is_wrong(change: dict, place: list, checker: jsonschema.Draft202012Validator) -> None:
    assert checker.is_valid(SMALL)
    assert [list(error.absolute_path) for error in checker.iter_errors(SMALL | change)] == [place]


def test_the_schema_explains_every_key_and_offers_names() -> None:
    schema = reference.schema()
    for part in (schema, *schema["$defs"].values()):
        assert part["description"]
        for key, value in part["properties"].items():
            assert value["description"].endswith("."), key
    assert schema["$defs"]["Entry"]["properties"]["method"]["examples"] == list(registry.entries())
    alone, several = schema["properties"]["metrics"]["anyOf"]
    assert alone["examples"] == ["blind-restoration"]
    assert several["items"]["examples"] == ["blind-restoration", *metrics.names()]
    offered = schema["properties"]["conditions"]["items"]["examples"]
    assert {"irregular/10-20", "center", "degraded/blind"} <= {*offered}


def test_a_suite_shown_in_full_has_the_same_jobs(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(f"# What it is for.\n# And how.\n{yaml.safe_dump(SMALL)}")
    text = reference.filled(str(path))
    assert text.startswith("# What it is for.\n# And how.\nsuite: small\n")
    told = yaml.safe_load(text)
    assert told["methods"][1]["preset"] == "tiny"
    assert told["methods"][2]["title"] == "GRIG (A)"
    assert told["train"]["checkpoint"] == 200
    (tmp_path / "full.yaml").write_text(text)
    before, after = (
        jobs.plan(suite.load(str(file)), tmp_path / "runs") for file in (path, tmp_path / "full.yaml")
    )  # fmt: skip
    assert [job.id for job in after.jobs] == [job.id for job in before.jobs]
    assert reference.filled(str(tmp_path / "full.yaml")).partition("suite:")[2] == text.partition("suite:")[2]


@pytest.mark.parametrize("name", ["quickstart", "few-shot", "restoration"])
def test_suites_that_ship_are_shown(name: str) -> None:
    made = suite.parse(yaml.safe_load(reference.filled(name)), name)
    assert made.suite == name
    assert made.expect == suite.content(name).get("expect", [])
    assert all(entry.preset and entry.title for entry in made.methods)
