"""What a method is given."""

from __future__ import annotations

import pytest

from bench.data import dataset
from bench.errors import BenchError
from bench.task import Task
from masks import MaskSet


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return dataset.prepare_synthfaces(24, 32, 0, tmp_path_factory.mktemp("cache"))


def task(faces, positions, needs=("exemplar",)):
    return Task(faces, positions, MaskSet.make("center/25", 32, len(positions), 0), "center/25", 0, needs)


def test_exemplars_show_another_person_and_stay_the_same(faces):
    positions = list(range(4, 24))
    pairs = task(faces, positions).exemplars()
    assert pairs == task(faces, positions).exemplars()
    assert set(pairs) <= set(positions)
    people = faces.identity(range(24))
    assert all(people[a] != people[b] for a, b in zip(positions, pairs, strict=True))
    batches = list(task(faces, positions).batches())
    shown = [image for batch in batches for image in batch.exemplar]
    assert all((image == faces.floats([p])[0]).all() for image, p in zip(shown, pairs, strict=True))


def test_methods_without_exemplars_get_none(faces):
    assert next(task(faces, [0, 1], needs=()).batches()).exemplar is None


def test_one_person_is_an_error(faces):
    with pytest.raises(BenchError, match="one person"):
        task(faces, [3]).exemplars()


def test_a_missing_guide_is_named(faces, monkeypatch):
    monkeypatch.setattr(type(faces), "_guide", lambda *_: None)
    with pytest.raises(BenchError, match="arcface needs identity, and the data set synthfaces has none"):
        faces.guide("identity", [0], "arcface")
