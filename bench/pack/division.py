"""Closed or open: whether the protocol of a pack is that of the suite that ships under its name, untouched.

In a closed division only methods differ, so that rows of many people stand in one table; an open one says what else
was changed. (The words are those of MLPerf.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench import suite as suites
from bench.errors import BenchError
from bench.results import OF_NO_EFFECT

SETTINGS = ("version", "size", "framing", "seed", "seeds", "shots", "conditions", "completions")
BUDGET = ("steps", "batch", "features", "precision")
DATA = ("name", "train", "test", "split", "trained")
OF_A_ROW = {"paste": True, "conditions": None, "at": None}  # what a row of a closed division leaves alone


def differences(suite: Any) -> list[str]:
    """What a suite of protocol.json changes of the one that ships under its name, a sentence each; none: closed."""
    if not isinstance(suite, dict):
        return ["its protocol says nothing of its suite"]
    name = str(suite.get("suite", ""))
    if name not in suites.shipped():
        return [f"no suite {name!r} ships with this release"]
    try:
        shipped = suites.load(name).model_dump(mode="json", exclude=OF_NO_EFFECT)
    except BenchError as error:
        return [f"the suite {name} cannot be read here: {error}"]
    return list(_differences(suite, shipped))


def _differences(suite: Mapping[str, Any], shipped: Mapping[str, Any]) -> Iterator[str]:
    for key in SETTINGS:
        yield from _told(key, suite.get(key), shipped[key])
    budget = suite.get("train") or {}
    for key in BUDGET:
        if shipped["train"][key] != "auto":
            yield from _told(f"train.{key}", budget.get(key), shipped["train"][key])
    for section in ("data", "training"):
        ours, theirs = (
            [{key: data.get(key) for key in DATA} for data in of.get(section) or []] for of in (suite, shipped)
        )
        yield from _told(section, ours, theirs)
    if absent := [metric for metric in shipped["metrics"] if metric not in (suite.get("metrics") or [])]:
        yield f"metrics: without {', '.join(absent)}"
    known = {_title(row): row for row in shipped["methods"]}
    for row in suite.get("methods") or []:
        usual = known.get(_title(row), OF_A_ROW)
        for key, value in OF_A_ROW.items():
            yield from _told(f"{_title(row)}: {key}", row.get(key, value), usual.get(key, value))


def _title(row: Mapping[str, Any]) -> str:
    return str(row.get("title") or row.get("method"))


def _told(key: str, value: Any, shipped: Any) -> Iterator[str]:
    if value != shipped:
        yield f"{key} is {value}, not {shipped}"
