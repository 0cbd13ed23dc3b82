from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import registry
from bench.errors import BenchError
from bench.method import Method

ROOT = Path(__file__).parents[2]
FACEBENCH = str(Path(sys.executable).with_name("facebench"))
PLUGIN = '''
"""A method of somebody else."""
from torch import Tensor
from bench.method import Batch, Card, Method, Noise

CARD = Card(slug="grey", name="Grey", title="Mid grey", authors="A. Stranger", year=2030, venue="-", url="")


class Grey(Method):
    card = CARD

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return batch.image * 0
'''


@pytest.mark.parametrize("slug", registry.entries())
def test_every_card_belongs_to_a_method(slug: str) -> None:
    entry = registry.get(slug)
    loaded = entry.load()
    assert issubclass(loaded, Method)
    assert loaded.card == entry.card
    assert "paper" in loaded.presets
    assert entry.card.task in ("inpainting", "exemplar", "restoration", "editing", "prior")
    assert entry.card.title
    assert entry.card.name


def test_unknown_method_shows_close_names() -> None:
    with pytest.raises(BenchError, match="did you mean telea"):
        registry.get("tela")
    with pytest.raises(BenchError, match="facebench list"):
        registry.get("zzzzzz")


def test_fingerprint_changes_with_the_source(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(PLUGIN)
    entry = registry.Entry(registry.get("mean").card, "m", tmp_path / "m.py")
    before = entry.fingerprint()
    (tmp_path / "m.py").write_text(PLUGIN + "\n# a word more\n")
    assert entry.fingerprint() == before
    (tmp_path / "m.py").write_text(PLUGIN + "\nLEVEL = 1\n")
    assert entry.fingerprint() != before


def plugin(folder: Path) -> dict[str, str]:
    """An installed package with an entry point of its own, as pip would lay it out; the environment to see it."""
    (folder / "grey_fill.py").write_text(PLUGIN)
    info = folder / "grey_fill-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: grey-fill\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[facebench.methods]\ngrey = grey_fill\n")
    return os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "COLUMNS": "200"}


def test_a_package_of_somebody_else_adds_a_method(tmp_path: Path) -> None:
    environment = plugin(tmp_path)
    listed = subprocess.run([FACEBENCH, "list"], env=environment, capture_output=True, text=True)
    assert "Grey" in listed.stdout
    code = "from bench import registry; print(registry.get('grey').load().card.authors)"
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert found.stdout.strip() == "A. Stranger"


def test_a_module_inside_packages_is_found_without_running_them(tmp_path: Path) -> None:
    environment = plugin(tmp_path)
    inner = tmp_path / "outer/inner"
    inner.mkdir(parents=True)
    for init in (inner.parent / "__init__.py", inner / "__init__.py"):
        init.write_text("raise SystemExit('run')")
    (tmp_path / "grey_fill.py").rename(inner / "grey_fill.py")
    points = tmp_path / "grey_fill-1.0.dist-info/entry_points.txt"
    for target in ("outer.inner.grey_fill", "outer.inner"):
        points.write_text(f"[facebench.methods]\ngrey = {target}\n")
        listed = subprocess.run([FACEBENCH, "list"], env=environment, capture_output=True, text=True)
        assert "Grey" in listed.stdout, listed.stderr
    points.write_text("[facebench.methods]\ngrey = outer.other.grey_fill\n")
    listed = subprocess.run([FACEBENCH, "list"], env=environment, capture_output=True, text=True)
    assert listed.returncode == 0 and "Mean colour" in listed.stdout
    assert listed.stderr == (
        "warning: left out: entry point grey = outer.other.grey_fill: there is no such module: install it again\n"
    )


def test_a_module_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lacks_a_package.py"
    path.write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    entry = registry.Entry(registry.get("mean").card, "lacks_a_package", path)
    with pytest.raises(BenchError, match=f"{path} cannot be imported: ModuleNotFoundError: .*'no_such_package'; `"):
        entry.load()


def test_an_import_leaves_no_setting_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sets_much.py"
    path.write_text(PLUGIN + "import torch\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state().tolist()
    card = replace(registry.get("mean").card, slug="grey")
    assert registry.Entry(card, "sets_much", path).load().card.slug == "grey"
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state().tolist()) == before


HEAD, CARD, BODY = PLUGIN.partition("CARD = ")[0], *PLUGIN.partition("CARD = ")[2].split("\n", 1)
IN_CLASS = HEAD + f"class Grey(Method):\n    card = {CARD}\n" + BODY.partition("card = CARD\n")[2]
FAULTY = {  # what stands in the file -> how the line about it goes on
    "a syntax error": (PLUGIN.replace("(Method):", "(Method)"), ":9: SyntaxError: expected ':'"),
    "a null byte": (PLUGIN + "\0", ":.* null bytes"),
    "a card that is computed": (PLUGIN.replace('"Mid grey"', "TITLE"), ":6: a card is `CARD = .*; `TITLE` is none"),
    "a card without a name": (PLUGIN.replace(' name="Grey",', ""), ":6: a card is `CARD = .*'name'"),
    "a card in a function": (HEAD + f"def make():\n    card = {CARD}\n", ":7: a card is `CARD = .* stands elsewhere"),
    "no card": (HEAD, "entry point grey = grey_fill: there is no card in .*grey_fill.py: a card is `CARD = "),
    "a year in quotes": (PLUGIN.replace("2030", '"2030"'), ":6: year: .* integer, and it is '2030'"),
    "one number for all networks": (
        PLUGIN.replace('url=""', 'url="", params=31_000_000'),
        ":6: params: .* dictionary, and it is 31000000",
    ),
    "a text for a tuple": (
        PLUGIN.replace('url=""', 'url="", needs=("exemplar")'),
        ":6: needs: .* tuple, and it is 'exemplar'",
    ),
    "a misspelt guide": (
        PLUGIN.replace('url=""', 'url="", takes=("scetch",)'),
        ":6: takes: there is no guide 'scetch': did you mean sketch?",
    ),
    "no such task": (
        PLUGIN.replace('url=""', 'url="", task="colour"'),
        ":6: task: .*'inpainting', 'exemplar', 'restoration', 'editing' or 'prior', and it is 'colour'",
    ),
    "a name of nothing": (PLUGIN.replace('"Grey"', "None"), ":6: name: .* string, and it is None"),
    "a name that is a path": (PLUGIN.replace('"grey"', '"Z Z/../x"'), ":6: slug: .* and it is 'Z Z/../x'"),
    "the name of another one": (PLUGIN.replace('"grey"', '"mean"'), ": 'mean' is the method of .*classical.py: choose"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_file_is_one_line_and_all_others_work(tmp_path: Path, fault: str) -> None:
    environment = plugin(tmp_path)
    text, message = FAULTY[fault]
    (tmp_path / "grey_fill.py").write_text(text)
    listed = subprocess.run([FACEBENCH, "list"], env=environment, capture_output=True, text=True)
    assert listed.returncode == 0
    assert "Mean colour" in listed.stdout and "Grey" not in listed.stdout
    assert listed.stderr.count("\n") == 1
    assert re.match(rf"warning: left out: .*{message}", listed.stderr), listed.stderr


@pytest.mark.parametrize("text", [IN_CLASS, PLUGIN.replace("CARD = C", "CARD: Card = C")], ids=["class", "annotated"])
def test_where_a_card_may_stand(tmp_path: Path, text: str) -> None:
    environment = plugin(tmp_path)
    (tmp_path / "grey_fill.py").write_text(text)
    code = "from bench import registry; print(registry.get('grey').load().card.authors)"
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("A. Stranger\n", "")


def test_a_card_without_a_class_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "classless.py"
    path.write_text(HEAD + "CARD = " + CARD)
    monkeypatch.syspath_prepend(tmp_path)
    entry = registry.Entry(replace(registry.get("mean").card, slug="grey"), "classless", path)
    with pytest.raises(BenchError, match=f"{path}: no Method class has the card 'grey'; set `card = "):
        entry.load()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Config = dict", r"Grey\.Config must be a subclass of bench\.method\.Config"),
        ('presets = {"paper": {}}', r'Grey\.presets must be options by name: \{"paper": Config\(\), \.\.\.\}'),
    ],
)
def test_options_are_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str) -> None:
    path = tmp_path / "has_options.py"
    path.write_text(PLUGIN.replace("    card = CARD\n", f"    card = CARD\n    {line}\n"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "has_options", raising=False)
    entry = registry.Entry(replace(registry.get("mean").card, slug="grey"), "has_options", path)
    with pytest.raises(BenchError, match=f"{path}: {message}"):
        entry.load()


def test_guides_on_cards_are_those_that_there_are() -> None:
    from bench.data import guides

    assert registry._guides() == sorted(guides.every())


def test_listing_takes_under_two_seconds() -> None:
    start = time.perf_counter()
    listed = subprocess.run([FACEBENCH, "list"], capture_output=True, text=True)
    assert listed.returncode == 0
    assert time.perf_counter() - start < 2
    assert "GRIG" in listed.stdout
    assert "31.76 M" in listed.stdout
