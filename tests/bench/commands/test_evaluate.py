"""`facebench evaluate` of what other programs write: a part of the originals, numbers, flat names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import cli
from bench.errors import BenchError
from masks import MaskSet

NAMES = [f"face{i}" for i in (3, 0, 2, 1)]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Results, each with an error of its own, and originals."""
    rng = np.random.default_rng(0)
    for place in ("completed", "truth"):
        (tmp_path / place).mkdir()
    for i, name in enumerate(NAMES, 1):
        truth = rng.integers(0, 200, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(truth).save(tmp_path / f"truth/{name}.png")
        Image.fromarray(truth + np.uint8(i)).save(tmp_path / f"completed/{name}.png")
    return tmp_path / "completed", tmp_path / "truth"


def evaluated(*arguments: object) -> tuple[str, pd.Series]:
    """What is said, and the row of PSNR."""
    table = Path(str(arguments[0])).parent / "scores.csv"
    words = ["evaluate", *map(str, arguments), "--metrics", "psnr,l1", "--out", str(table)]
    result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output, pd.read_csv(table, keep_default_na=False).set_index("metric").loc["psnr"]


def test_a_part_of_the_originals_is_told_and_measured(folders: tuple[Path, Path], tmp_path: Path) -> None:
    completed, truth = folders
    whole = evaluated(completed, truth)[1]
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in NAMES:
        Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(masks / f"{name}.png")
    (completed / "face3.png").unlink()
    for options in ((), ("--match", "{name}"), ("--masks", masks, "--raw")):
        said, row = evaluated(completed, truth, *options)
        assert "3 of 4 originals have a result: the others are not measured" in said
        assert row["note"].startswith("3 of 4 originals")
        assert (row["n"], whole["n"], whole["note"]) == (3, 4, "")
        assert row["value"] < whole["value"]  # the best one is not there
    (completed / "face3.png").write_bytes((completed / "face0.png").read_bytes())
    (completed / "face3.png").rename(completed / "other.png")
    with pytest.raises(BenchError, match=r"do not match: 1 missing \(other\) and 1 not expected \(face3\)"):
        evaluated(completed, truth)


def test_numbered_results_are_those_of_the_lines_of_a_list(folders: tuple[Path, Path], tmp_path: Path) -> None:
    completed, truth = folders
    expected = evaluated(completed, truth)[1]
    listed = tmp_path / "test.txt"
    listed.write_text("".join(f"somewhere/{name}.jpg\n" for name in NAMES))
    for i, name in enumerate(NAMES):
        (completed / f"{name}.png").rename(completed / f"{i:06d}_inpaint.png")
    with pytest.raises(BenchError, match=r"do not tell their lines in .*test\.txt"):
        evaluated(completed, truth, "--order", listed)
    command = [completed, truth, "--order", listed, "--match", "{name}_inpaint"]
    assert evaluated(*command)[1]["value"] == pytest.approx(expected["value"], abs=1e-12)
    Image.new("RGB", (32, 32)).save(truth / "of-another-list.png")
    assert evaluated(*command)[1]["value"] == pytest.approx(expected["value"], abs=1e-12)
    (completed / "000003_inpaint.png").unlink()
    row = evaluated(*command)[1]
    assert row["note"] == "3 of 4 originals"
    assert row["value"] > expected["value"]  # the worst one is not there


def test_originals_in_folders_pair_with_flat_results(folders: tuple[Path, Path], tmp_path: Path) -> None:
    completed, truth = folders
    expected = evaluated(completed, truth)[1]
    for i, name in enumerate(NAMES):
        place = truth / "ab"[i % 2]
        place.mkdir(exist_ok=True)
        (truth / f"{name}.png").rename(place / f"{name}.png")
    said, row = evaluated(completed, truth)
    assert "holds folders: originals are taken by the names of their files" in said
    assert row["value"] == expected["value"]
    images = [path.relative_to(truth).as_posix() for path in sorted(truth.rglob("*.png"))]
    MaskSet.make("center/25", 32, 4, 0, images=images).save(tmp_path / "masks.npz")
    assert evaluated(completed, truth, "--masks", tmp_path / "masks.npz")[1]["images"] == "composite"
    (truth / "b/face3.png").write_bytes((truth / "a/face3.png").read_bytes())
    with pytest.raises(BenchError, match=r"a/face3\.png and .*b/face3\.png have one name"):
        evaluated(completed, truth)
