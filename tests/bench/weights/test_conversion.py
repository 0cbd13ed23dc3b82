"""No tensor is lost where the names of two would become one."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench import weights
from bench.errors import BenchError
from bench.weights.reading import flatten, walk
from bench.weights.records import Refused


def numbered(content: Any) -> Any:
    """The same nesting with the tensors [0], [1], ... in the place of numbers."""
    if isinstance(content, dict):
        return {key: numbered(part) for key, part in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(numbered(part) for part in content)
    return torch.tensor([float(content)]) if isinstance(content, int) else content


def as_text(content: Any) -> Any:
    """What `read` gives after a conversion: numbers for tensors, text for keys, lists for tuples."""
    if isinstance(content, Tensor):
        return int(content)
    if isinstance(content, dict):
        return {str(key): as_text(part) for key, part in content.items()}
    return [as_text(part) for part in content]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"a.b": 0, "a": {"b": 1}}, ["a.b", "a.b#2"]),
        ({"a": {"b": 1}, "a.b": 0}, ["a.b", "a.b#2"]),
        ({"a": [0, 1], "a.1": 2, "a.0": 3}, ["a.0", "a.1", "a.1#2", "a.0#2"]),
        ({"a": (0, {"1": 1}), "a.1": {"1": 2}}, ["a.0", "a.1.1", "a.1.1#2"]),
        ({"a": {0: 0, 1: 1}, "a.0": 2}, ["a.0", "a.1", "a.0#2"]),
        ({"a": {"b": {"c": 0}, "b.c": 1}, "a.b": {"c": 2}, "a.b.c": 3}, ["a.b.c", "a.b.c#2", "a.b.c#3", "a.b.c#4"]),
        ({"x#2": 0, "x": {"": 1}, "x.": 2, "x.#2": 3}, ["x#2", "x.", "x.#2", "x.#2#2"]),
        ({"": {"a": 0}, "a": 1, ".a": 2}, [".a", "a", ".a#2"]),
        ({"__metadata__": 0, "a": 1}, ["__metadata__#2", "a"]),
        ({b"0": 0, 0: 1}, ["b'0'", "0"]),
    ],
)
def test_nesting_that_gives_one_name_twice_is_kept(content: Any, names: list[str], tmp_path: Path) -> None:
    torch.save(numbered(content), tmp_path / "x.pt")
    assert weights.convert(tmp_path / "x.pt", tmp_path / "x.safetensors") == len(names)
    assert load_file(tmp_path / "x.safetensors").keys() == set(names)
    found = weights.read(tmp_path / "x.safetensors")
    assert as_text(found) == as_text(numbered(content))
    assert list(found) == [str(key) for key in content]
    weights.convert(tmp_path / "x.safetensors", tmp_path / "again.safetensors")
    assert as_text(weights.read(tmp_path / "again.safetensors")) == as_text(found)


@pytest.mark.parametrize(
    ("content", "first", "second"),
    [
        ({0: 0, "0": 1}, "[0]", "['0']"),
        ({"g": {"0": 0, 0: {"a": 1}}}, "['g']['0']", "['g'][0]"),
        ({0.0: 0, "0.0": 1}, "[0.0]", "['0.0']"),
        ({b"0": 0, "b'0'": 1}, "[b'0']", "[\"b'0'\"]"),
        ({"list": [{None: 0, "None": 1}]}, "['list'][0][None]", "['list'][0]['None']"),
        ({True: 0, "True": 1}, "[True]", "['True']"),
    ],
)
def test_keys_that_are_the_same_as_text_are_refused(content: Any, first: str, second: str, tmp_path: Path) -> None:
    torch.save(numbered(content), tmp_path / "x.pt")
    with pytest.raises(BenchError) as caught:
        weights.convert(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert str(caught.value) == (
        f"{tmp_path / 'x.pt'} does not fit into safetensors: its keys {first} and {second} are the same as text"
    )
    assert not (tmp_path / "x.safetensors").exists()


def test_a_key_without_tensors_stands_in_no_ones_way(tmp_path: Path) -> None:
    torch.save({0: "text", "0": torch.ones(1), "a": {0: {}, "0": torch.ones(2)}}, tmp_path / "x.pt")
    assert weights.convert(tmp_path / "x.pt", tmp_path / "x.safetensors") == 2
    assert load_file(tmp_path / "x.safetensors").keys() == {"0", "a.0"}


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ({"a.b": 0, "a": {"b": 1}}, "'a.b': ['a.b'] and ['a']['b']"),
        ({0: 0, "0": 1}, "'0': [0] and ['0']"),
        ([[0], {"0": 1, 0: 2}], "'1.0': [1]['0'] and [1][0]"),
        ({"a": [0], "a.0": 1}, "'a.0': ['a'][0] and ['a.0']"),
    ],
)
def test_a_flat_dictionary_loses_none(content: Any, places: str) -> None:
    tensors = numbered(content)
    with pytest.raises(Refused) as caught:
        flatten(tensors)
    assert str(caught.value) == f"two of its tensors would be named {places}"
    assert sorted(int(tensor) for _, tensor in walk(tensors)) == list(range(len([*walk(tensors)])))


def test_pickles_with_one_name_twice_are_refused(tmp_path: Path) -> None:
    """They are read as a flat dictionary."""
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"G.weight": torch.ones(1), "G": {"weight": torch.zeros(1)}}))
    with pytest.raises(BenchError, match=r"x\.pkl: two of its tensors would be named 'G\.weight': \['G\.weight'\] and"):
        weights.read(tmp_path / "x.pkl")
    net = nn.Linear(1, 1)
    net._buffers["weight"] = torch.ones(1)
    (tmp_path / "y.pkl").write_bytes(pickle.dumps({"G": net}))
    with pytest.raises(BenchError, match=r"y\.pkl: two tensors of one network are named 'weight'"):
        weights.read(tmp_path / "y.pkl")


def test_the_check_of_storages_sees_tensors_of_one_name(tmp_path: Path) -> None:
    """A tensor that claims more than its storage has is refused, also behind another of its name."""
    huge = torch.zeros(1).expand(2**30)
    for content in ({"a.b": huge, "a": {"b": torch.ones(1)}}, {"a": {"b": torch.ones(1)}, "a.b": huge}):
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(BenchError, match=r"the tensor 'a\.b' is larger than its storage"):
            weights.read(tmp_path / "x.pt")


def test_a_structure_that_leaves_a_tensor_out_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "x.safetensors", {"structure": '["a", "a"]'})
    with pytest.raises(BenchError, match=r"x\.safetensors: its `structure` leaves some of its tensors out"):
        weights.read(tmp_path / "x.safetensors")


def test_suffixes_in_capitals(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "X.PTH")
    assert weights.convert(tmp_path / "X.PTH", tmp_path / "X.SAFETENSORS") == 1
    assert as_text(weights.read(tmp_path / "X.SAFETENSORS")) == {"a": 1}
