"""Methods of other people, as they are: what they do wrong is seen, and harms neither their numbers nor others'."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

FACEBENCH = str(Path(sys.executable).with_name("facebench"))
ROOT = Path(__file__).parents[2]
HEAD = """
import cv2, os, random
import numpy as np
import torch
from PIL import ImageFile
from bench.method import Batch, Card, Method, Noise, Stage
from tests.vandal import wreck

CARD = Card(slug="{slug}", name="{slug}", title="-", authors="-", year=2026, venue="-", url="")


class Mine(Method):
    card = CARD

"""
COMPLETE = "    def complete(self, batch: Batch, noise: Noise):\n        "
TRAINED = """
    def __init__(self, config):
        super().__init__(config)
        self.level = torch.nn.Parameter(torch.zeros(1))

    def stages(self, features="official"):
        return [MyStage(self)]


class MyStage(Stage):
    def optimisers(self):
        return {"level": torch.optim.Adam(self.method.parameters(), lr=0.1)}

    def step(self, batch, update, noise):
        loss = (self.method.level - batch.image.mean()).square().mean() + float(np.random.rand())
        update("level", loss)
        wreck(batch)
        return {"loss": loss}
"""
GREY = "return torch.zeros_like(batch.image)"
PLUGINS = {
    "honest": COMPLETE + GREY,
    "vandal": COMPLETE
    + "wreck(batch); torch.manual_seed(0); np.random.seed(0); random.seed(0); torch.set_default_dtype(torch.float64)\n"
    "        torch.set_num_threads(2); np.seterr(all='raise'); cv2.setNumThreads(1); torch.set_grad_enabled(True)\n"
    "        return torch.zeros_like(batch.image)\n\n\n"
    "torch.manual_seed(0); torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)\n"
    "ImageFile.LOAD_TRUNCATED_IMAGES = True; os.environ['CUDA_VISIBLE_DEVICES'] = '7'\n",
    "unit": COMPLETE + "return (batch.masked + 1) / 2",
    "dice": COMPLETE + "return torch.randn_like(batch.image)",
    "fresh": COMPLETE + "return batch.masked + float(np.random.default_rng().random())",
    "learner": COMPLETE + "wreck(batch); return torch.zeros_like(batch.image) + self.level.tanh()\n" + TRAINED,
    "slip": COMPLETE + GREY + "\n" + TRAINED.replace("def stages", "def stage"),
    "coarse": COMPLETE + "return batch.masked, batch.masked",
    "leaver": COMPLETE + "quit()",
    "gone": COMPLETE + "pass\n\n\nraise SystemExit(0)\n",
}
GUIDE = (ROOT / "docs/adding-a-method.md").read_text(encoding="utf-8")
TRAINED_IN_DOCS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)[1]
SUITE: dict[str, Any] = {
    "suite": "guests",
    "size": 32,
    "data": [{"name": "synthfaces", "train": 8, "test": 8}],
    "conditions": ["center/25"],
    "train": {"features": "embedded", "steps": 3, "batch": 2},
    "metrics": ["psnr", "l1@hole", "perceptual@embedded", "fid@embedded"],
    "report": {"main": ["psnr"], "samples": 2},
    "retries": 0,
}


def run(folder: Path, methods: list[str], *arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Run a suite of these methods; the plug-ins are laid out as pip would."""
    packages = folder / "packages"
    if not packages.exists():
        info = packages / "guests-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guests\nVersion: 1.0\n")
        points = "".join(f"{slug} = guest_{slug}\n" for slug in (*PLUGINS, "mine"))
        (info / "entry_points.txt").write_text(f"[facebench.methods]\n{points}")
        for slug, body in PLUGINS.items():
            (packages / f"guest_{slug}.py").write_text(HEAD.format(slug=slug) + body)
        (packages / "guest_mine.py").write_text(TRAINED_IN_DOCS)
    (folder / "guests.yaml").write_text(yaml.safe_dump(SUITE | {"methods": methods} | changes))
    environment = os.environ | {"PYTHONPATH": f"{packages}{os.pathsep}{ROOT}", "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    command = [FACEBENCH, "run", "guests.yaml", "--workers", "0", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One run of well-behaved methods in one process with all the others; its folder and what it said."""
    folder = tmp_path_factory.mktemp("together")
    done = run(folder, ["vandal", "learner", "dice", "unit", "mean", "fresh", "telea", "honest"])
    assert done.returncode == 0, done.stderr
    return folder, done.stdout + done.stderr


@pytest.fixture(scope="module")
def rows(together: tuple[Path, str]) -> Mapping[str, pd.DataFrame]:
    found = pd.read_parquet(together[0] / "runs/guests/results.parquet")
    return {str(method): part.set_index("metric") for method, part in found.groupby("method")}


def test_a_vandal_scores_what_its_honest_twin_scores(rows: Mapping[str, pd.DataFrame]) -> None:
    pd.testing.assert_series_equal(rows["vandal"]["value"], rows["honest"]["value"])
    assert rows["vandal"]["value"]["l1@hole"] > 0.1


def test_others_get_the_very_bytes_that_they_get_alone(together: tuple[Path, str], tmp_path: Path) -> None:
    assert run(tmp_path, ["mean", "telea"]).returncode == 0
    alone = sorted((tmp_path / "runs/jobs").iterdir())
    assert len(alone) == 4
    for folder in alone:
        beside = together[0] / "runs/jobs" / folder.name
        files = [path.name for path in folder.iterdir() if path.suffix in (".parquet", ".zip", ".npz")]
        assert len(files) >= 2
        assert all((beside / name).read_bytes() == (folder / name).read_bytes() for name in (*files, "result.json"))


def test_what_was_seen_stands_in_the_row_under_the_table_and_in_the_run(
    together: tuple[Path, str], rows: Mapping[str, pd.DataFrame]
) -> None:
    folder, said = together
    report = (folder / "runs/guests/report/report.md").read_text()
    for method, remark in (
        ("unit", "its outputs seem to lie in [0, 1]"),
        ("dice", "draws from global random generators"),
        ("fresh", "gives another result each time"),
    ):
        assert rows[method]["note"]["psnr"].startswith(remark)
        assert f"note: {remark}" in said
        assert remark.replace("[", r"\[").replace("]", r"\]") in report or remark in report
    assert not rows["honest"]["note"]["psnr"] and not rows["mean"]["note"]["psnr"]


def test_rows_say_truly_whether_they_can_be_made_again(rows: Mapping[str, pd.DataFrame]) -> None:
    deterministic = {method: set(part["deterministic"]) for method, part in rows.items()}
    assert deterministic == {method: {method != "fresh"} for method in rows}


def test_a_run_again_gives_the_same_numbers(
    together: tuple[Path, str], rows: Mapping[str, pd.DataFrame], tmp_path: Path
) -> None:
    assert run(tmp_path, ["dice", "learner"], "--workers", "2").returncode == 0
    again = pd.read_parquet(tmp_path / "runs/guests/results.parquet")
    for method, part in again.groupby("method"):
        pd.testing.assert_series_equal(part.set_index("metric")["value"], rows[str(method)]["value"])


def test_the_method_of_the_guide_is_trained(tmp_path: Path) -> None:
    done = run(tmp_path, ["mine"])
    assert done.returncode == 0, done.stderr
    assert "train mine (tiny)" in done.stdout + done.stderr and "warning" not in done.stdout + done.stderr
    losses = pd.read_parquet(tmp_path / "runs/guests/losses.parquet")
    assert set(losses["loss"]) == {"l1"} and len(losses) == 3


def test_networks_that_nothing_trains_are_told(tmp_path: Path) -> None:
    done = run(tmp_path, ["slip", "mean"])
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "runs/guests/results.parquet").query("metric == 'psnr'").set_index("method")
    assert rows.note["slip"].startswith("its networks are as its class makes them: it has no `stages`")
    assert not rows.note["mean"]


def test_a_tuple_is_one_clear_message(tmp_path: Path) -> None:
    done = run(tmp_path, ["coarse", "mean"])
    assert done.returncode == 2
    assert "coarse gave a tuple of 2 where one tensor of completed images is expected" in done.stderr
    assert "Mean colour" in done.stdout  # what could be computed is there


def test_a_method_that_ends_the_process_fails_alone(tmp_path: Path) -> None:
    done = run(tmp_path, ["leaver", "mean"])
    assert done.returncode == 1
    assert "a call of exit(None) would have ended the whole run" in done.stderr
    assert "Mean colour" in done.stdout
    done = run(tmp_path, ["gone", "mean"])
    assert done.returncode == 2
    assert "guest_gone.py cannot be imported: SystemExit: 0; `python -c 'import guest_gone'` shows" in done.stderr


def test_a_cut_picture_is_refused_beside_a_method_that_would_read_it(tmp_path: Path) -> None:
    for number in range(4):
        picture = Image.fromarray(np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8))
        picture.save(tmp_path / f"{number}.jpg")
    cut = tmp_path / "2.jpg"
    cut.write_bytes(cut.read_bytes()[:900])
    done = run(tmp_path, ["vandal", "mean"], data=[{"name": "mine", "folder": str(tmp_path), "test": 2}])
    assert done.returncode == 2
    assert "2.jpg is damaged" in done.stderr
