"""Figures that show the same as before are not drawn again."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

import reports
from reports import style
from tests.reports import made_up

SMALL = {"conditions": ("irregular/10-20", "irregular/20-30"), "metrics": ("psnr", "u-ids@embedded")}
RATIO = "ratio-made-up-faces"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = made_up.write_run(tmp_path, made_up.rows(**SMALL))
    reports.build(folder)
    return folder


@pytest.fixture
def asked(run: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stems of figures that are drawn from now on."""
    stems: list[str] = []
    save = style.save

    def counted(figure: Figure, stem: Path, dpi: float) -> list[Path]:
        stems.append(stem.name)
        return save(figure, stem, dpi=dpi)

    monkeypatch.setattr(style, "save", counted)
    return stems


def content(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in (run / "report").rglob("*") if path.is_file()}


def test_nothing_is_drawn_twice_and_all_bytes_stay(run: Path, asked: list[str]) -> None:
    before = content(run)
    assert sum(name.endswith(".svg") for name in before) >= 3
    reports.build(run)
    assert asked == []
    assert content(run) == before


def test_a_further_metric_draws_the_figure_that_shows_it(run: Path, asked: list[str]) -> None:
    made_up.write_run(run, made_up.rows(**SMALL | {"metrics": ("psnr", "u-ids@embedded", "fid@embedded")}))
    reports.build(run)
    assert asked == [RATIO]


def test_another_picture_draws_the_figures_that_may_show_it(run: Path, asked: list[str]) -> None:
    places = run / "samples" / "made-up faces" / "irregular_10-20"
    (places / "GRIG" / "000.png").write_bytes((places / "original" / "001.png").read_bytes())
    reports.build(run)
    assert RATIO not in asked
    assert {"grid-made-up-faces", "zoom-made-up-faces"} <= set(asked)


@pytest.mark.parametrize("harm", ["changed", "removed", "unknown"])
def test_files_that_are_not_as_they_were_written_are_drawn_again(run: Path, asked: list[str], harm: str) -> None:
    before = content(run)
    file = run / "report" / "figures" / f"{RATIO}.pdf"
    if harm == "changed":
        file.write_bytes(b"%PDF")
    elif harm == "removed":
        file.unlink()
    else:
        (run / "report" / "figures.json").write_text('{"ratio-made-up-faces": 3}')
    reports.build(run)
    assert asked[0] == RATIO and (len(asked) > 1) == (harm == "unknown")
    assert content(run) == before
