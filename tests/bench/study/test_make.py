"""A study of a finished run: pages with its very pictures, which the assignment alone leads back to its methods."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import stored
from bench.commands import licence
from bench.errors import BenchError
from bench.study import make
from bench.study.design import ORIGINAL
from bench.study.files import Study
from tests.bench.test_export import FACES, call, run
from tests.reports.study import made_up

STUDY = {"kind": "ranking", "images": 12, "questions": 6, "people": 3}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = {"methods": ["mean", "telea", "navier-stokes"], "metrics": ["psnr"], "conditions": ["center/25"]}
    return run(tmp_path_factory.mktemp("study"), data=[FACES | {"test": 16}], study=STUDY, **rows)


def content(page: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)
    assert found
    return dict(json.loads(found[1]))


def picture(page: dict[str, Any], layers: list[int]) -> np.ndarray:
    """Layers drawn over each other, as the browser does."""
    files = [Image.open(io.BytesIO(base64.b64decode(page["pictures"][i]))).convert("RGBA") for i in layers]
    made = files[0]
    for layer in files[1:]:
        made = Image.alpha_composite(made, layer)
    return np.asarray(made)[..., :3]


def test_pages_show_the_scored_pictures_bit_for_bit(small: Path, tmp_path: Path) -> None:
    call("study", "make", small)
    folder = small / "studies" / "ranking"
    study = Study.read(folder)
    assert [path.name for path in sorted((folder / "pages").iterdir())] == [f"person-0{i}.html" for i in (1, 2, 3)]
    call("export", "images", small, "--to", tmp_path)
    exported = tmp_path / "synthfaces" / "center_25"
    titles = {"Mean colour": "Mean_colour", "Telea": "Telea", "Navier-Stokes": "Navier-Stokes", ORIGINAL: "originals"}
    for person, asked in study.questions.items():
        page = content(folder / "pages" / f"person-{person}.html")
        assert len(page["questions"]) == len(asked) == 6 + 2 + 4
        for question, shown in zip(asked, page["questions"], strict=True):
            for name, layers in zip(question.shown, shown["shown"], strict=True):
                if name in titles:
                    expected = np.asarray(Image.open(exported / titles[name] / f"{question.image}.png"))
                    np.testing.assert_array_equal(picture(page, layers), expected)
            assert [one["title"] for one in shown["beside"]] == ["Given", "Original"]
            given = picture(page, shown["beside"][0]["layers"])
            hole = np.asarray(Image.open(exported / "masks" / f"{question.image}.png").convert("L")) > 0
            assert (given[hole] == 255).all()
        text = (folder / "pages" / f"person-{person}.html").read_text(encoding="utf-8")
        assert not [name for name in (*titles, "synthfaces", "telea") if name in text]


def test_votes_come_back_into_the_report(small: Path) -> None:
    call("study", "make", small, "--kind", "2afc", "--against", "Telea", "--people", 6, "--name", "pairs")
    folder = small / "studies" / "pairs"
    study = Study.read(folder)
    made_up.vote(study, {"Mean colour": -2.0, "Telea": 1.0, "Navier-Stokes": 0.5}, careless=("03",))
    printed = " ".join(call("study", "score", folder).split())
    assert printed.count("LEFT OUT, 1 of 6 people: 03") == 1 and "Telea vs Mean colour" in printed
    people = pd.read_csv(folder / "people.csv", dtype={"name": str}).set_index("name")
    assert people["reason"].notna().to_dict() == {f"0{i}": i == 3 for i in range(1, 7)}
    report = small / "report"
    text = (report / "report.html").read_text(encoding="utf-8")
    assert "Telea vs Navier-Stokes" in text and "LEFT OUT" in text
    assert (report / "figures" / "study-pairs.svg").exists()
    assert "study-pairs" in (report / "report.md").read_text(encoding="utf-8")
    before = (report / "tables" / "study-pairs-intervals.csv").read_bytes()
    call("report", small)
    assert (report / "tables" / "study-pairs-intervals.csv").read_bytes() == before

    call(
        "study", "make", small, "--kind", "2afc", "--against", "Telea", "--people", 8, "--name", "pairs"
    )  # more people
    more = Study.read(folder)
    assert len(more.questions) == 8 and more.id == study.id
    assert {name: more.questions[name] for name in study.questions} == study.questions
    with pytest.raises(BenchError, match="holds votes of another study"):
        call("study", "make", small, "--name", "pairs")
    with pytest.raises(
        BenchError, match=r"pages for 8 people: with 7, those of 08 would .* --people 8 or more, choose"
    ):
        call("study", "make", small, "--kind", "2afc", "--against", "Telea", "--people", 7, "--name", "pairs")
    call("study", "make", small, "--kind", "2afc", "--against", "Telea", "--people", 100, "--name", "pairs")
    assert len(Study.read(folder).votes()) == 6  # the pages of two digits stay as they were
    assert {path.stem for path in (folder / "pages").iterdir()} >= {"person-01", "person-99", "person-100"}

    for path in more.votes():
        path.unlink()
    call("study", "make", small, "--kind", "2afc", "--against", "Telea", "--people", 4, "--name", "pairs")
    assert [path.stem for path in sorted((folder / "pages").iterdir())] == [f"person-0{i}" for i in range(1, 5)]
    assert (folder / "scores.csv").exists()  # of the same study
    call("study", "make", small, "--name", "pairs")
    assert Study.read(folder).id != study.id
    assert not (folder / "scores.csv").exists() and not (folder / "people.csv").exists()
    (folder / "study.json").write_text("{")
    call("study", "make", small, "--name", "pairs")  # what is damaged is made again
    assert Study.read(folder).questions


def test_an_assignment_of_ones_own(small: Path, tmp_path: Path) -> None:
    call("study", "make", small, "--kind", "best", "--people", 2)
    folder = small / "studies" / "best"
    plan = tmp_path / "plan.csv"
    plan.write_text((folder / "assignment.csv").read_text())
    call("study", "make", small, "--kind", "best", "--assignment", plan, "--name", "mine")
    assert Study.read(small / "studies" / "mine").questions == Study.read(folder).questions
    with pytest.raises(BenchError, match=r"plan.csv: question 1 of 01 compares .* see --kind"):
        call("study", "make", small, "--kind", "2afc", "--assignment", plan, "--name", "mine")
    plan.write_text(plan.read_text().replace("asked,synthfaces,center/25,0", "asked,synthfaces,center/25,x"))
    with pytest.raises(BenchError, match="the run has no picture 'x"):
        call("study", "make", small, "--kind", "best", "--assignment", plan, "--name", "mine")


def test_pictures_of_others_need_a_licence(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licence, "DRAWN", "")  # as if the faces were somebody's
    for options in ([], ["--no-pictures"]):
        with pytest.raises(BenchError, match=r"worth nothing without pictures\. Say --pictures if the licence"):
            call("study", "make", small, "--name", "theirs", *options)
    assert not (small / "studies" / "theirs").exists()
    call("study", "make", small, "--name", "theirs", "--people", 1, "--pictures")
    assert (small / "studies" / "theirs" / "pages" / "person-01.html").exists()


def test_what_cannot_be_made(small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for options, message in (
        (["--kind", "rank"], "--kind: 'rank' does not fit"),
        (["--people", "0"], "--people: 0 does not fit"),
        (["--methods", "Telea"], "no comparison of two methods"),
        (["--methods", "lama"], "--methods: the run has no pictures of 'lama'"),
        (["--consent", str(tmp_path / "none.txt")], "--consent: cannot read"),
    ):
        with pytest.raises(BenchError, match=message):
            call("study", "make", small, "--name", "wrong", *options)
    monkeypatch.setattr(make, "LARGEST", 10_000)
    with pytest.raises(BenchError, match=r"person-01.html would have 0.\d MB, more than 0: lower --questions"):
        call("study", "make", small, "--name", "wrong")
    with pytest.raises(BenchError, match=r"run.json is missing"):
        stored.Run.open(tmp_path)
