"""`facebench site` of runs and packs, and its question about pictures."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pandas as pd
import pytest

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


def test_pictures_only_where_the_user_says_so(small: Path, tmp_path: Path) -> None:
    assert "--pictures if the licence" in call("site", small, "--out", tmp_path / "without")
    assert not list((tmp_path / "without").rglob("*.png"))
    assert "licence" not in call("site", small, "--pictures", "--out", tmp_path / "with")
    assert list((tmp_path / "with/images").rglob("*.png"))


@pytest.mark.parametrize("answer", [True, False])
def test_the_user_is_asked_once(small: Path, monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(site.typer, "confirm", lambda text, default: asked.append(text) or answer)
    sources = [{"folder": small}, {"folder": small}]
    assert site._may_show(sources, None) is answer
    assert len(asked) == 1 and "licence" in asked[0]
    assert not site._may_show([{"folder": small / "report"}], None) and len(asked) == 1


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
