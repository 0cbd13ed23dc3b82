"""What another program is given: the very pictures, masks and guides of the run, and the row that reads its results."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from bench import cli, inputs
from bench.data import labels
from bench.errors import BenchError
from masks import MaskSet

FACES = {"name": "synthfaces", "train": 8, "test": 12}
SUITE = {
    "suite": "small",
    "size": 32,
    "data": [FACES],
    "methods": ["navier-stokes"],
    "conditions": ["irregular/20-30"],
    "metrics": ["psnr", "l1@hole", "damage"],
    "report": {"main": ["psnr"], "samples": 0},
}


def call(*arguments: object) -> str:
    result = CliRunner().invoke(cli.app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def written(folder: Path, **changes: object) -> Path:
    """A suite file."""
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(SUITE | changes))
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def fill(given: Path, results: Path) -> None:
    """Another program: OpenCV reads the files, and writes under their names."""
    for path in sorted((given / "masked").iterdir()):
        mask = cv2.imread(str(given / "masks" / path.name), cv2.IMREAD_GRAYSCALE)
        filled = cv2.inpaint(cv2.imread(str(path)), mask, 3, cv2.INPAINT_NS)
        assert cv2.imwrite(str(results / path.name), filled)


def test_a_program_reads_the_inputs_and_its_results_are_a_row(tmp_path: Path) -> None:
    """No file is renamed, known pixels are equal, and OpenCV's fill has the numbers of our own row."""
    to, runs = tmp_path / "to", tmp_path / "runs"
    shown = call("export", "inputs", written(tmp_path), to, "--out", runs)
    assert f"read {to / 'README.txt'}" in shown
    given, results = to / "synthfaces/irregular_20-30", to / "synthfaces/results/irregular_20-30"
    assert not list(results.iterdir())
    names = (given / "order.txt").read_text().split()
    frozen = MaskSet.load(runs / "small/masks/synthfaces/irregular_20-30.npz")
    for name, mask in zip(names, frozen, strict=True):
        hole = pixels(given / f"masks/{name}.png")
        assert hole.shape == (32, 32)
        assert np.array_equal(hole, mask * 255)
        original, masked = pixels(given / f"originals/{name}.png"), pixels(given / f"masked/{name}.png")
        assert np.array_equal(masked[mask == 0], original[mask == 0])
        assert (masked[mask == 1] == 128).all()
    fill(given, results)
    row = yaml.safe_load((to / "README.txt").read_text().partition("methods:\n")[2].splitlines()[0])
    call("run", written(tmp_path, methods=["navier-stokes", *row]), "--out", runs, "--workers", 0)
    table = pd.read_parquet(runs / "small/results.parquet").pivot(index="metric", columns="title", values="value")
    assert table.loc["damage", "My method"] == 0
    pd.testing.assert_series_equal(table["My method"], table["Navier-Stokes"], check_names=False, check_exact=True)


def test_the_same_command_goes_on_and_keeps_what_is_there(tmp_path: Path) -> None:
    command = ["export", "inputs", written(tmp_path), tmp_path / "to", "--out", tmp_path / "runs"]
    call(*command)
    files = {path: path.read_bytes() for path in (tmp_path / "to").rglob("*.png")}
    assert len(files) == 3 * FACES["test"]
    lost, *others = sorted(files)
    lost.unlink()
    before = {path: path.stat().st_mtime_ns for path in others}
    call(*command)
    assert {path: path.read_bytes() for path in (tmp_path / "to").rglob("*.png")} == files
    assert {path: path.stat().st_mtime_ns for path in others} == before


def test_what_is_of_something_else_is_never_overwritten(tmp_path: Path) -> None:
    to, runs = tmp_path / "to", tmp_path / "runs"
    suite = written(tmp_path)
    call("export", "inputs", suite, to, "--out", runs)
    given = to / "synthfaces/irregular_20-30"
    with pytest.raises(BenchError, match=r"irregular_20-30 holds inputs of other pictures, masks or guides"):
        call("export", "inputs", suite, to, "--out", tmp_path / "others", "--size", 48)
    (given / "masked/mine.png").write_bytes((given / "masks/000008.png").read_bytes())
    with pytest.raises(BenchError, match=r"masked holds other pictures, such as mine"):
        call("export", "inputs", suite, to, "--out", runs)
    (given / inputs.FACTS).unlink()
    with pytest.raises(BenchError, match=r"irregular_20-30 is there already, and of something else"):
        call("export", "inputs", suite, to, "--out", runs)
    shutil.rmtree(to)
    to.mkdir()
    (to / "README.txt").write_text("about my photographs")
    with pytest.raises(BenchError, match=r"README\.txt is there already"):
        call("export", "inputs", suite, to, "--out", runs)
    assert [path.name for path in to.iterdir()] == ["README.txt"]


def test_guides_of_the_condition_and_of_rows_that_need_them(tmp_path: Path) -> None:
    condition = "center/25+sketch+semantics+colour+text"
    methods = ["telea", {"method": "exegan", "preset": "tiny"}]
    suite = written(tmp_path, conditions=[condition], methods=methods, completions=2)
    call("export", "inputs", suite, tmp_path / "to", "--out", tmp_path / "runs")
    (given,) = (path for path in (tmp_path / "to/synthfaces").iterdir() if path.name != "results")
    names = (given / "order.txt").read_text().split()
    kinds = {"originals", "masks", "masked", "exemplar", "sketch", "semantics", "colour", "text"}
    assert {path.name for path in given.iterdir() if path.is_dir()} == kinds
    for kind in kinds:
        assert sorted(path.stem for path in (given / kind).iterdir()) == sorted(names)
    originals = {name: pixels(given / f"originals/{name}.png") for name in names}
    for name in names:
        exemplar, sketch = pixels(given / f"exemplar/{name}.png"), pixels(given / f"sketch/{name}.png")
        assert any(np.array_equal(exemplar, other) for key, other in originals.items() if key != name)
        assert set(np.unique(sketch)) == {0, 255}
        assert (sketch == 0).mean() < 0.5
        assert pixels(given / f"semantics/{name}.png").max() < 19
        assert (given / f"text/{name}.txt").read_text().endswith(".\n")
    prompts = dict(line.split("\t") for line in (given / "prompts.txt").read_text().splitlines())
    assert prompts == {name: (given / f"text/{name}.txt").read_text().strip() for name in names}
    readme = (tmp_path / "to/README.txt").read_text()
    assert "in the order of face-parsing" in readme
    assert "prompts.txt" in readme
    assert '"match": "{name}_{k}"' in readme
    assert "NAME_0.png" in readme
    assert "exemplar/" in readme


def test_degraded_copies_stand_in_the_place_of_masked_pictures(tmp_path: Path) -> None:
    suite = written(tmp_path, conditions=["degraded/blind"], methods=["input"], metrics=["psnr"])
    call("export", "inputs", suite, tmp_path / "to", "--out", tmp_path / "runs")
    given = tmp_path / "to/synthfaces/degraded_blind"
    assert {path.name for path in given.iterdir() if path.is_dir()} == {"originals", "masks", "degraded"}
    one, other = (pixels(given / kind / "000008.png") for kind in ("originals", "degraded"))
    assert (one != other).any()


def test_pictures_in_folders_pair_with_flat_results(tmp_path: Path) -> None:
    """`a/1.jpg` is `a__1.png`, or `1.png` where no other picture has this name."""
    call("export", "inputs", written(tmp_path), tmp_path / "faces", "--out", tmp_path / "runs")
    originals = sorted((tmp_path / "faces/synthfaces/irregular_20-30/originals").iterdir())
    for i, path in enumerate(originals):
        place = tmp_path / "data" / ("train" if i < 6 else "test") / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    suite = written(tmp_path, data=[], conditions=["center/25"])
    command = ["--data", tmp_path / "data", "--out", tmp_path / "runs"]
    with pytest.raises(BenchError, match=r"lies in the images of data, which would become others"):
        call("export", "inputs", suite, tmp_path / "data/to", *command)
    call("export", "inputs", suite, tmp_path / "to", *command)
    given, results = tmp_path / "to/data/center_25", tmp_path / "to/data/results/center_25"
    names = (given / "order.txt").read_text().split()
    assert all(name.startswith(("test__a__", "test__b__")) for name in names)
    fill(given, results)
    for path in list(results.iterdir()):
        path.rename(path.with_name(path.name.rpartition("__")[2]))
    row = {"method": "external", "options": {"folder": str(results.parent)}}
    suite = written(tmp_path, data=[], conditions=["center/25"], methods=["navier-stokes", row])
    call("run", suite, *command, "--workers", 0)
    table = pd.read_parquet(tmp_path / "runs/small/results.parquet").pivot(
        index="metric", columns="title", values="value"
    )
    pd.testing.assert_series_equal(table["External"], table["Navier-Stokes"], check_names=False, check_exact=True)


def test_label_maps_are_numbered_as_another_program_wants_them(tmp_path: Path) -> None:
    suite = written(tmp_path, conditions=["relabel"], methods=["unedited"])
    for order in labels.ORDERS:
        call("export", "inputs", suite, tmp_path / order, "--labels-as", order, "--out", tmp_path / "runs")
        assert f"in the order of {order}" in (tmp_path / order / "README.txt").read_text()
    ours, theirs = (tmp_path / order / "synthfaces/relabel" for order in (labels.FACE_PARSING, labels.CELEBAMASK))
    for kind in ("semantics", "layout"):
        for path in (theirs / kind).iterdir():
            read = labels.RENUMBER[labels.CELEBAMASK][pixels(path)]
            assert np.array_equal(read, pixels(ours / kind / path.name))
    with pytest.raises(BenchError, match="relabel holds inputs of other pictures, masks or guides"):
        call("export", "inputs", suite, tmp_path / labels.CELEBAMASK, "--out", tmp_path / "runs")
    with pytest.raises(BenchError, match="--labels-as: 'celeba' is none of face-parsing, celebamask-hq"):
        call("export", "inputs", suite, tmp_path / "x", "--labels-as", "celeba", "--out", tmp_path / "runs")
