"""`facebench site` of runs and packs, and its question about pictures."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.archive import put
from bench.commands import site
from bench.errors import BenchError
from bench.pack import pack, withdraw
from tests.bench.test_export import FACES, call, run

SMALL = {
    "data": [FACES],
    "metrics": ["psnr", "l1@hole"],
    "conditions": ["center/25"],
    "report": {"main": ["psnr"], "samples": 2},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("small"), **SMALL)


@pytest.fixture(scope="module")
def packs(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two packs, one of which takes a value back."""
    folder = tmp_path_factory.mktemp("packs")
    pack(small, folder / "a.pack.zip", share=0, system={"people": "a lab"})
    withdraw(folder / "a.pack.zip", folder / "b.pack.zip", ["Telea | center/25 | psnr"], "a wrong crop")
    return folder


def test_a_folder_of_packs(packs: Path, tmp_path: Path) -> None:
    printed = call("site", packs, "--out", tmp_path / "site")
    assert "2 sources" in printed and "no pictures" not in printed
    text = (tmp_path / "site/index.html").read_text()
    assert "a wrong crop" in text and "Telea (b)" in text and "Mean colour (b)" not in text
    assert {path.name for path in (tmp_path / "site/downloads").iterdir()} == {"a.pack.zip", "b.pack.zip"}
    assert "a lab" in (tmp_path / "site/downloads.html").read_text()
    assert "Telea" in (tmp_path / "site/method-telea.html").read_text()


def test_pictures_of_a_run_are_asked_for_and_shown(small: Path, tmp_path: Path) -> None:
    call("site", small, "--no-pictures", "--out", tmp_path / "without")
    assert not list((tmp_path / "without").rglob("*.png"))
    assert "licence" not in call("site", small, "--pictures", "--out", tmp_path / "with")
    assert {path.parent.name for path in (tmp_path / "with/images").rglob("*.png")} >= {"original", "input", "telea"}


def test_packs_show_their_own_pictures_and_no_original(small: Path, tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    pack(small, tmp_path / "packs/a.pack.zip")
    call("site", tmp_path / "packs", "--pictures", "--out", tmp_path / "site")
    pictures = {path.parent.name: np.asarray(Image.open(path)) for path in (tmp_path / "site/images").rglob("*.png")}
    assert set(pictures) == {"input", "mean-colour", "telea"}
    hole = (pictures["input"] == 255).all(axis=2)
    assert 0.2 < hole.mean() < 0.3 and (pictures["input"][~hole] == 0).all()
    assert (pictures["telea"][~hole] == 0).all() and pictures["telea"][hole].any()
    page = (tmp_path / "site/method-telea.html").read_text()
    assert page.count("/telea/") == 2 and "Packs hold no originals" in page


@pytest.mark.parametrize("answer", [True, False])
def test_one_question_for_all_sources(
    small: Path, packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    asked = []
    monkeypatch.setattr(site.licence, "may_show", lambda *given: asked.append(given) or answer)
    pack(small, tmp_path / "full.pack.zip")
    call("site", tmp_path / "full.pack.zip", small, "--out", tmp_path / "site")
    assert asked == [(["synthfaces"], None)] and bool(list((tmp_path / "site").rglob("*.png"))) is answer
    call("site", packs, "--out", tmp_path / "none")  # it holds no pictures
    assert len(asked) == 1


def test_a_pack_whose_tables_were_changed_is_refused(packs: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packs / "a.pack.zip") as source:
        content = {name: source.read(name) for name in source.namelist()}
    rows = pd.read_parquet(io.BytesIO(content["results.parquet"]))
    target = io.BytesIO()
    rows.assign(value=rows["value"] + 1).to_parquet(target)
    with zipfile.ZipFile(tmp_path / "bad.pack.zip", "w") as made:
        for name, data in (content | {"results.parquet": target.getvalue()}).items():
            put(made, name, data)
    with pytest.raises(BenchError, match=r"results\.parquet was changed"):
        site.site([tmp_path / "bad.pack.zip"], to=tmp_path / "site")
    assert not (tmp_path / "site").exists()
