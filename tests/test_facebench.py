"""The front door: few names, documented, quick to import, and the same numbers as the commands."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import bench.loading
import facebench
import masks
from bench import metrics, registry
from bench.errors import BenchError
from tests.bench.test_export import call
from tests.reports import made_up

GUIDE = (Path(__file__).parents[1] / "docs/python.md").read_text(encoding="utf-8")


def test_the_import_is_quick_and_heavy_things_wait() -> None:
    code = "import sys, facebench; print(sorted({'torch', 'pandas', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules)))"
    best = 10.0
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT)
        best = min(best, time.perf_counter() - start)
        assert done.stdout.strip() == "[]", done.stderr
    assert best < 0.5


ROOT = Path(__file__).parents[1]


def test_every_name_is_there_documented_and_taught() -> None:
    assert dir(facebench) == facebench.__all__ == sorted(facebench.__all__)
    for name in facebench.__all__:
        assert inspect.getdoc(getattr(facebench, name)), name
        assert re.search(rf"^\| `{name}\b", GUIDE, re.MULTILINE), name
    assert set(re.findall(r"facebench\.(\w+)\(", GUIDE)) <= {*facebench.__all__}
    with pytest.raises(AttributeError, match="has no attribute 'complete': there are BenchError"):
        facebench.complete  # noqa: B018


def test_names_are_the_objects_of_the_library() -> None:
    assert facebench.load is bench.loading.load
    assert facebench.MaskSet is masks.MaskSet
    assert facebench.draw_mask is masks.draw
    assert facebench.BenchError is BenchError


def test_methods_and_metrics_are_listed() -> None:
    assert facebench.methods().keys() == registry.entries().keys()
    assert {card.task for card in facebench.methods("restoration").values()} == {"restoration"}
    assert list(facebench.metrics()) == metrics.names()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """originals/, masks/, and results/ of other names, which differ from the originals also outside of the holes."""
    place = tmp_path_factory.mktemp("folders")
    frozen = facebench.MaskSet.make("irregular/30-40", 32, 12, 0, images=[f"{i:02}.png" for i in range(12)])
    frozen.save(place / "masks.npz")
    for name in ("originals", "masks", "results"):
        (place / name).mkdir()
    telea = facebench.load("telea")
    for i, (face, hole) in enumerate(zip(facebench.faces(12, size=32), frozen, strict=True)):
        face.save(place / f"originals/{i:02}.png")
        Image.fromarray(hole * 255).save(place / f"masks/{i:02}.png")
        made = np.asarray(telea.complete(face, hole)).astype(int) + 3
        Image.fromarray(made.clip(0, 255).astype(np.uint8)).save(place / f"results/{i:02}_pred.png")
    return place


def both(folders: Path, *options: str, **arguments: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What Python and the command say of the folders."""
    images = facebench.Images(folders / "results", "completed", match="{name}_pred")
    ours = facebench.measure(images, folders / "originals", folders / "masks", **arguments)
    call(
        "evaluate", folders / "results", folders / "originals", "--masks", folders / "masks",
        "--match", "{name}_pred", "--out", folders / "scores.csv", *options,
    )  # fmt: skip
    columns = ["value", "low", "high", "n"]
    return pd.DataFrame(ours.rows).set_index("metric")[columns].astype(float), (
        pd.read_csv(folders / "scores.csv").set_index("metric")[columns].astype(float)
    )


def test_measure_gives_the_numbers_of_evaluate(folders: Path) -> None:
    ours, theirs = both(folders)
    assert {"psnr", "fid@embedded", "l1@hole"} <= set(ours.index)
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-12)
    raw, theirs = both(folders, "--raw", "--metrics", "l1,damage", metrics=["l1", "damage"], raw=True)
    pd.testing.assert_frame_equal(raw, theirs, rtol=1e-12)
    assert raw.loc["l1", "value"] > ours.loc["l1", "value"]


def test_measure_takes_lists_tensors_and_frozen_sets(folders: Path) -> None:
    images = facebench.Images(folders / "results", "completed", match="{name}_pred")
    expected = facebench.measure(images, folders / "originals", folders / "masks", ["l1", "l1@hole"])
    frozen = facebench.measure(images, folders / "originals", folders / "masks.npz", ["l1", "l1@hole"])
    files = {name: sorted((folders / name).iterdir()) for name in ("results", "originals", "masks")}
    pictures = {name: [Image.open(path) for path in files[name]] for name in files}
    tensors = {name: torch.from_numpy(np.stack(pictures[name])) for name in files}
    held = facebench.MaskSet.load(folders / "masks.npz")
    for given in (
        list(files.values()),
        list(pictures.values()),
        [tensors["results"].permute(0, 3, 1, 2), tensors["originals"].permute(0, 3, 1, 2), tensors["masks"][:, None]],
        [files["results"], files["originals"], held],
    ):
        found = facebench.measure(*given, ["l1", "l1@hole"])
        assert [row["value"] for row in found.rows] == [row["value"] for row in expected.rows]
        assert found.per_image["value"].tolist() == expected.per_image["value"].tolist()
    assert frozen.rows == expected.rows
    assert expected.per_image["id"][0] == "00"
    with pytest.raises(BenchError, match="save the set and give its file"):
        facebench.measure(images, folders / "originals", held, "l1")
    with pytest.raises(BenchError, match="damage is measured before known pixels are pasted: say raw=True"):
        facebench.measure(images, folders / "originals", folders / "masks", "damage")
    with pytest.raises(BenchError, match="truth: give one picture or more, all of one size"):
        facebench.measure(files["results"], [], files["masks"], "l1")


def test_names_that_differ_are_paired_by_what_the_message_says(folders: Path) -> None:
    given = [folders / "results", folders / "originals", folders / "masks", "l1"]
    with pytest.raises(BenchError, match=r'they match with Images\(COMPLETED, "completed", match="\{name\}_pred"\)$'):
        facebench.measure(*given)
    given[0] = facebench.Images(given[0], "completed", match="{name}_pred")
    assert facebench.measure(*given).value("l1") > 0


def test_results_of_other_masks_are_told(folders: Path) -> None:
    """In memory as in folders."""
    originals = sorted((folders / "originals").iterdir())
    result = facebench.measure(originals, originals, sorted((folders / "masks").iterdir()), "l1@hole")
    assert "hold the original under the hole" in result.row("l1@hole")["note"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = made_up.rows(conditions=("irregular/10-20", "irregular/20-30"), metrics=("psnr", "l1@hole"))
    return made_up.write_run(tmp_path_factory.mktemp("runs") / "made-up", rows)


def test_runs_are_read_as_data_frames(run: Path) -> None:
    rows, images = facebench.results(run), facebench.per_image(run)
    assert {"title", "condition", "metric", "value", "low", "high"} <= set(rows)
    assert {"title", "condition", "metric", "id", "value"} <= set(images)
    assert set(images["title"]) == set(rows["title"])
    assert rows["value"].dtype == float
    with pytest.raises(BenchError, match="there is no folder nowhere"):
        facebench.results("nowhere")


def test_tables_and_figures_of_a_run(run: Path, tmp_path: Path) -> None:
    table = facebench.table(run, ["psnr"])
    assert all(str(title) in table.to_markdown() for title in facebench.results(run)["title"].unique())
    assert "\\begin{table" in table.to_latex()
    facebench.plot(run, "ratio", ["l1@hole"]).savefig(tmp_path / "ratio.pdf")
    assert (tmp_path / "ratio.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(BenchError, match="choose from ratio-"):
        facebench.plot(run, "nothing")


def test_faces_are_those_of_the_data_set() -> None:
    one, other = facebench.faces(2, size=32), facebench.faces(3, size=32)
    assert one[0].size == (32, 32)
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(one, other, strict=False))
    with pytest.raises(BenchError, match="seed: give a whole number from 0"):
        facebench.faces(1, size=32, seed=-1)
