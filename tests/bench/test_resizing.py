"""Methods that work at another size than their suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from bench import cli, fit, jobs, loading, resizing, suite
from bench.batch import Batch
from bench.data import guides
from bench.data.dataset import prepare_synthfaces
from bench.errors import BenchError

SUITE: dict[str, Any] = {
    "suite": "sized",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 8, "test": 4}],
    "methods": [
        "mean",
        {"method": "telea", "at": 128},
        {"method": "aot", "title": "AOT at 32", "at": 32, "steps": 2, "batch": 2},
    ],
    "conditions": ["center/25"],
    "train": {"features": "embedded"},
    "metrics": ["psnr", "l1@hole"],
    "report": {"main": ["l1@hole"], "samples": 1},
}


def run(folder: Path, **changes: Any) -> Path:
    """The folder of a suite that was run in this process."""
    path = folder / "sized.yaml"
    path.write_text(yaml.safe_dump(SUITE | changes))
    done = CliRunner().invoke(cli.app, ["run", str(path), "--out", str(folder / "runs"), "--workers", "0"])
    assert done.exit_code == 0, done.output
    return folder / "runs" / "sized"


def faces(tmp_path: Path, size: int = 64) -> torch.Tensor:
    return prepare_synthfaces(4, size, 0, tmp_path).floats(range(4))


@pytest.mark.parametrize("side", [32, 40, 128, 150])
def test_what_lies_under_a_hole_is_never_read(tmp_path: Path, side: int) -> None:
    image = faces(tmp_path)
    mask = torch.zeros(4, 1, 64, 64)
    mask[:, :, 13:40, 21:50] = 1
    one = resizing.there(Batch(image, mask), side)
    other = resizing.there(Batch(torch.where(mask > 0, torch.rand_like(image), image), mask), side)
    assert torch.equal(one.image, other.image) and torch.equal(one.mask, other.mask)
    assert one.image.shape == (4, 3, side, side) and set(one.mask.unique().tolist()) == {0, 1}
    assert (one.image * one.mask == 0).all()
    scale = side / 64  # every pixel that a hole touches is hole, and no other
    rows, columns = one.mask[0, 0].any(1).nonzero().ravel(), one.mask[0, 0].any(0).nonzero().ravel()
    assert (rows[0], rows[-1] + 1) == (int(13 * scale), -int(-40 * scale // 1))
    assert (columns[0], columns[-1] + 1) == (int(21 * scale), -int(-50 * scale // 1))


def test_known_pixels_are_those_of_pillow_and_stay_near_the_hole(tmp_path: Path) -> None:
    image, mask = faces(tmp_path), torch.zeros(4, 1, 64, 64)
    mask[:, :, 20:40, 20:40] = 1
    large = resizing.there(Batch(image, mask), 128)
    picture = Image.fromarray(((image[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())
    expected = np.asarray(picture.resize((128, 128), Image.Resampling.BICUBIC), dtype=np.float32) / 127.5 - 1
    difference = np.abs(large.image[0].permute(1, 2, 0).numpy() - expected)
    away = torch.nn.functional.max_pool2d(large.mask, 13, 1, 6)[0, 0].numpy() == 0
    assert difference[away].max() < 0.02
    known = large.mask[0, 0].numpy() == 0
    assert difference[known].mean() < 0.01  # beside the hole, too: no grey seeps out of it


def test_guides_are_resized_too(tmp_path: Path) -> None:
    data = prepare_synthfaces(4, 64, 0, tmp_path)
    asked = guides.Asked(data, "x", range(4))
    made = guides.makers(("sketch", "semantics", "landmarks"), asked)
    given = {name: make(range(4)) for name, make in made.items()} | {"exemplar": data.floats([1, 2, 3, 0])}
    batch = Batch(data.floats(range(4)), torch.zeros(4, 1, 64, 64), given)
    large = resizing.there(batch, 128)
    for name in ("sketch", "semantics"):
        value = getattr(large, name)
        assert value.dtype == given[name].dtype
        torch.testing.assert_close(value[..., ::2, ::2], given[name], rtol=0, atol=0)
    torch.testing.assert_close(large.landmarks, 2 * given["landmarks"])
    assert large.exemplar is not None and large.exemplar.shape == (4, 3, 128, 128)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with rows at three sizes."""
    return run(tmp_path_factory.mktemp("sized"))


def test_rows_are_trained_and_complete_at_their_size_and_tables_say_so(folder: Path) -> None:
    text = next((folder / "report" / "tables").glob("*.md")).read_text()
    assert "Telea: works at 128 x 128 pixels, resized there and back (bicubic, antialiased)." in text
    assert "AOT at 32: works at 32 x 32 pixels" in text and "Mean colour: works" not in text
    model = loading.load("aot", run=folder)
    assert (model.size, model.at) == (64, 32)
    picture = model.complete(Image.new("RGB", (64, 64)), np.eye(64, dtype=np.uint8))
    assert picture.size == (64, 64)


def test_other_rows_keep_their_identity(folder: Path) -> None:
    made = jobs.plan(suite.parse(SUITE | {"methods": ["mean", "telea"]}, "x"), folder.parent)
    done = {job.method: made.done(job) for job in made.jobs if job.kind == "complete"}
    assert done == {"mean": True, "telea": False}


def test_a_picture_that_is_returned_scores_as_resizing_alone(tmp_path: Path) -> None:
    rows = [{"method": "input", "title": "as it is"}, {"method": "input", "title": "resized", "at": 128}]
    changes = {"methods": rows, "conditions": ["degraded/mild"], "metrics": ["psnr"], "report": {"main": ["psnr"]}}
    path = run(tmp_path, **changes) / "results.parquet"
    found = pd.read_parquet(path).set_index("title")["value"]
    assert 0 < abs(found["as it is"] - found["resized"]) < 0.2


def test_a_size_that_a_row_does_not_take_is_told() -> None:
    rows = [{"method": "aot", "at": 50}]
    with pytest.raises(BenchError, match=r"not 50 x 50: set `at: 48` or `at: 52` in its row"):
        fit.check(suite.parse(SUITE | {"methods": rows}, "x"))
