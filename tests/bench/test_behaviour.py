"""Source counts by what it does."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from bench import behaviour, registry

METHOD = '''
"""A method."""

from bench.golden import Golden
from bench.method import Card, Method

CARD = Card(slug="mine", name="Mine", title="A title", needs=())


class Mine(Method):
    """What it is."""

    card = CARD
    presets = {"paper": 1}

    def complete(self, batch, noise):
        # why
        return double(batch.image * 0.5)


def double(x):
    return 2 * x


def run(method, inputs):
    return method(inputs)


Mine.golden = {"mine": Golden(run)}
'''
SAME = {
    "a comment": ("# why", "# another reason"),
    "a docstring": ('"""What it is."""', '"""What it is not."""\n    "another text"'),
    "layout": ("double(batch.image * 0.5)", "double(\n            batch.image * 0.5,\n        )"),
    "quotes": ('"paper"', "'paper'"),
    "the card's texts": ('title="A title"', 'title="Another", licence="MIT", trained_on={"ffhq": "all"}'),
    "another preset": ('{"paper": 1}', '{"paper": 1, "tiny": 2}'),
    "how golden files are run": ("return method(inputs)", "return method(inputs.image())"),
    "a new golden file": ('{"mine": Golden(run)}', '{"mine": Golden(run), "other": Golden(run)}'),
}
OTHER = {
    "a number": ("0.5", "0.25"),
    "a helper": ("2 * x", "3 * x"),
    "what it needs": ("needs=()", 'needs=("exemplar",)'),
    "a name": ("batch.image", "batch.masked"),
    "an operator": ("2 * x", "2 + x"),
}


def read(folder: Path, text: str, name: str = "mine") -> dict[str, str]:
    path = folder / f"{name}.py"
    path.write_text(text)
    behaviour._looked_at.cache_clear()  # within the clock's tick of a file system
    return behaviour.source(name, path)


@pytest.mark.parametrize("what", SAME)
def test_what_decides_no_result_does_not_count(tmp_path: Path, what: str) -> None:
    assert SAME[what][0] in METHOD
    assert read(tmp_path, METHOD.replace(*SAME[what])) == read(tmp_path, METHOD)


@pytest.mark.parametrize("what", OTHER)
def test_what_decides_a_result_counts(tmp_path: Path, what: str) -> None:
    assert OTHER[what][0] in METHOD
    assert read(tmp_path, METHOD.replace(*OTHER[what])) != read(tmp_path, METHOD)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A third party's package: the card in one file, the network in another, weights beside it, and an unused file."""
    folder = tmp_path / "guests"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "card.py").write_text("from bench.method import Method\nfrom .network import Net\nimport numpy\n")
    (folder / "network.py").write_text("from guests import blocks\nWEIGHTS = 'weights.npz'\nKIND = f'table-{0}.csv'\n")
    (folder / "blocks.py").write_text("DEPTH = 3\n")
    (folder / "unused.py").write_text("X = 1\n")
    (folder / "weights.npz").write_bytes(b"1")
    (folder / "table-0.csv").write_text("1")
    (folder / "notes.txt").write_text("1")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def of(package: Path) -> dict[str, str]:
    behaviour._looked_at.cache_clear()
    return behaviour.source("guests.card", package / "card.py")


def test_a_third_partys_method_counts_by_what_it_imports_of_its_package(package: Path) -> None:
    before = of(package)
    assert set(before) == {"guests", "guests.card", "guests.network", "guests.blocks"}
    (package / "unused.py").write_text("X = 2\n")
    (package / "notes.txt").write_text("2")
    assert of(package) == before
    for name, module in (("weights.npz", "network"), ("table-0.csv", "network")):
        (package / name).write_text("another")
        now = of(package)
        assert {key for key in now if now[key] != before[key]} == {f"guests.{module}"}
        before = now
    (package / "blocks.py").write_text("DEPTH = 4\n")
    assert of(package)["guests.blocks"] != before["guests.blocks"]


def test_a_module_by_itself_counts_with_those_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mynet_.py").write_text("DEPTH = 3\n")
    text = "import numpy\nfrom mynet_ import DEPTH\n"
    before = read(tmp_path, text, "mine_")
    assert set(before) == {"mine_", "mynet_"}
    (tmp_path / "mynet_.py").write_text("DEPTH = 4\n")
    assert read(tmp_path, text, "mine_") != before
    sys.modules.pop("mynet_", None)


def test_the_harness_does_not_count_and_shared_blocks_count_where_they_are_imported() -> None:
    grig, telea = (registry.get(slug).source() for slug in ("grig", "telea"))
    assert set(telea) == {"baselines.classical"}
    assert {"methods.grig.training", "bench.nn.aot"} < set(grig)
    assert not {name for name in grig if name.startswith("bench.") and not name.startswith("bench.nn")}
    users = {slug for slug in registry.entries() if "bench.nn.gated" in registry.get(slug).source()}
    assert "gconv" in users and not {"grig", "mean", "gl"} & users


def test_edits_that_change_nothing_are_those_of_files_that_are_here() -> None:
    """An entry whose file has changed further says nothing any more: take it out."""
    root = Path(behaviour.__file__).parents[1]
    files = [path for package in ("methods", "baselines", "bench/nn") for path in (root / package).rglob("*.py")]
    here = {behaviour.digest(behaviour.described(ast.parse(path.read_text(encoding="utf-8")))) for path in files}
    assert here >= behaviour.SAME.keys()
    assert not here & {*behaviour.SAME.values()}
