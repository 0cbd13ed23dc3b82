"""What a method is given."""

from __future__ import annotations

import pytest
import torch

from bench.data import dataset
from bench.data.guides import Asked, makers
from bench.data.guides.exemplar import others, pairs
from bench.errors import BenchError
from bench.task import Task
from masks import MaskSet


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return dataset.prepare_synthfaces(24, 32, 0, tmp_path_factory.mktemp("cache"))


def task(faces, positions, needs=("exemplar",)):
    return Task(faces, positions, MaskSet.make("center/25", 32, len(positions), 0), "center/25", 0, needs)


def asked(faces, positions):
    return Asked(faces, "a test", positions)


def test_exemplars_show_another_person_and_stay_the_same(faces):
    positions = list(range(4, 24))
    chosen = pairs(asked(faces, positions))
    assert chosen == pairs(asked(faces, positions))
    assert set(chosen) <= set(positions)
    people = faces.known("identity", range(24))
    assert all(people[a] != people[b] for a, b in zip(positions, chosen, strict=True))
    batches = list(task(faces, positions).batches())
    shown = [image for batch in batches for image in batch.exemplar]
    assert all((image == faces.floats([p])[0]).all() for image, p in zip(shown, chosen, strict=True))


def test_others_show_neither_the_person_nor_the_exemplar_s(faces):
    positions = list(range(4, 24))
    people = faces.known("identity", range(24))
    both = zip(pairs(asked(faces, positions)), others(asked(faces, positions)), strict=True)
    assert all(
        len({people[p], people[first], people[second]}) == 3 for p, (first, second) in zip(positions, both, strict=True)
    )
    shown = torch.cat(list(task(faces, positions).exemplars(others=True)))
    assert torch.equal(shown, faces.images(others(asked(faces, positions))))


def test_methods_without_exemplars_get_none(faces):
    assert next(task(faces, [0, 1], needs=()).batches()).exemplar is None


def test_one_person_is_an_error(faces):
    with pytest.raises(BenchError, match="one person"):
        pairs(asked(faces, [3]))


def test_a_missing_guide_is_named(faces, monkeypatch):
    monkeypatch.setattr(type(faces), "known", lambda *_: None)
    make = makers(["identity"], Asked(faces, "arcface"))["identity"]
    with pytest.raises(BenchError, match="arcface needs identity, and the data set synthfaces has none"):
        make([0])
