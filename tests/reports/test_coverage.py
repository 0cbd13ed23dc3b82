"""No system that a document names is without something that stands for it here."""

import re
from pathlib import Path

import pytest

from bench import metrics, registry
from reports import published
from reports.published.coverage import STATES, systems

ROOT = Path(__file__).parents[2]
COVERED = published.coverage()


@pytest.mark.parametrize(
    ("printed", "named"),
    [
        ("GRIG (A)", ["GRIG"]),
        ("GRIG projected discriminator", ["GRIG"]),
        ("FACEMUG vs Unite&Conquer", ["FACEMUG", "Unite&Conquer"]),
        ("VSPBFR + FAN", ["VSPBFR", "FAN"]),
        ("pSp+IFR+SFR (no weighting)", ["pSp", "ISFRNet"]),
        ("G&L", ["G&L"]),
        ("", []),
    ],
)
def test_a_printed_row_names_its_systems(printed: str, named: list[str]) -> None:
    assert systems(printed) == named


def test_every_system_of_every_table_has_a_state() -> None:
    printed = {system for name in published.load()["method"].unique() for system in systems(name)}
    assert len(printed) > 50
    assert printed <= {*COVERED["system"]}
    assert {*COVERED["state"]} == {*STATES}
    assert COVERED["where"].str.len().min() > 0


def test_a_method_has_golden_files() -> None:
    """That they pass is tested with them, and by `facebench verify golden`."""
    checked = {method for method, _ in registry.golden().values()}
    ours = {*COVERED[COVERED["state"] == "method"]["by"]}
    assert ours - checked == set()


def test_the_user_study_of_a_table_is_told_apart() -> None:
    rows = COVERED[COVERED["system"] == "GRIG"].set_index("state")["where"]
    assert "thesis 4.3" in rows["method"]
    assert "thesis 4.2" in rows["user study"]
    assert "thesis 4.2" not in rows["method"]


def test_a_library_is_called_by_a_row_or_a_metric() -> None:
    known = {*registry.entries(), *metrics.names()}
    assert {*COVERED[COVERED["state"] == "library"]["by"]} <= known


def test_an_outside_system_has_its_place_in_the_docs() -> None:
    page = (ROOT / "docs" / "outside-systems.md").read_text(encoding="utf-8")
    places = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", page, re.M)
    }
    assert {*COVERED[COVERED["state"] == "external"]["by"]} <= places
