"""The published numbers of user studies stand beside those of the suites that hold their designs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import registry, suite
from reports.study import results, tables, votes
from tests.reports.study import made_up

PUBLISHED = {
    ("thesis-4.2", "ffhq"): [2.88, 3.16, 3.10, 2.99, 2.87, 25.48],
    ("thesis-4.2", "psv"): [2.97, 3.13, 3.25, 3.39, 2.26, 40.81],
    ("thesis-6.3", "whole+semantics+text"): [54.90, 76.83],
    ("thesis-6.3", "whole+sketch+semantics+text"): [77.88],
}


@pytest.mark.parametrize(("name", "place"), PUBLISHED)
def test_each_published_number_is_shown(name: str, place: str, tmp_path: Path) -> None:
    asked = suite.parse(suite.content(name), name)
    datasets = [data.name for data in asked.data if place in (data.name, *asked.conditions)]
    condition = next(condition for condition in asked.conditions if place in (condition, *datasets))
    rows = [row for row in asked.methods if not row.conditions or condition in row.conditions]
    made = made_up.study(
        tmp_path,
        asked.study.kind,
        [row.title or registry.get(row.method).card.name for row in rows],
        people=1,
        datasets=[place] if place in datasets else datasets,
        condition=condition,
        against=asked.study.against,
    )
    made_up.vote(made, {method: 0.0 for one in made.places for method in one.methods})
    table = tables(results.keep(votes.read(made, mistakes=9)))[f"study-{tmp_path.name}"]
    shown = [
        row.cells[i].value
        for i, column in enumerate(table.columns)
        if column.head == "published"
        for row in table.blocks[0].rows
    ]
    assert [value for value in shown if value == value] == PUBLISHED[name, place]
