"""Methods of somebody else that go wrong in every way: the others' table is complete, the failures are explained."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

FACEBENCH = str(Path(sys.executable).with_name("facebench"))
METHOD = """
import torch
from bench.method import Batch, Card, Method, Noise

CARD = Card(slug="{slug}", name="{slug}", title="-", authors="A. Stranger", year=2030, venue="-", url="")


class Broken(Method):
    card = CARD

    def complete(self, batch: Batch, noise: Noise):
        print("{slug} is at work", flush=True)
        {body}
"""
BODIES = {
    "raises": 'raise ValueError("no idea what to do")',
    "nan": "return batch.image.index_fill(0, torch.tensor([2]), float('nan'))",
    "small": "return batch.image[..., ::2, ::2]",
    "hungry": """import resource
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, -1))
        return batch.image * torch.ones(2**33).sum()""",
    "gpu": 'raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")',
    "killed": """import os, signal
        os.kill(os.getpid(), signal.SIGKILL)""",
}
WHY = {
    "raises": "ValueError: no idea what to do",
    "nan": "nan gave values that are not finite (NaN or infinite) for image 0",
    "small": "small gave an output of the size (8, 3, 16, 16) for image 0",
    "hungry": "out of memory: RuntimeError",
    "gpu": "out of memory: OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB",
    "killed": "its process was killed (SIGKILL): out of memory, if nobody else killed it",
}


def install(folder: Path) -> dict[str, str]:
    """A package with these methods, as pip would lay it out; the environment to see it."""
    for slug, body in BODIES.items():
        (folder / "broken").mkdir(exist_ok=True)
        (folder / "broken/__init__.py").touch()
        (folder / f"broken/{slug}.py").write_text(METHOD.format(slug=slug, body=body))
    info = folder / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[facebench.methods]\nbroken = broken\n")
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("broken")
    environment = install(folder)
    suite = {
        "suite": "broken",
        "size": 32,
        "data": [{"name": "synthfaces", "train": 8, "test": 8}],
        "methods": ["mean", *BODIES, "telea"],
        "conditions": ["center/25"],
        "metrics": ["l1@hole", "psnr"],
        "report": {"main": ["l1@hole"], "samples": 0},
        "retries": 0,
    }
    (folder / "broken.yaml").write_text(yaml.safe_dump(suite))
    command = [FACEBENCH, "run", "broken.yaml", "--workers", "2", "--device", "cpu"]
    return folder, subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_table_of_the_others_is_complete(ran) -> None:
    folder, done = ran
    assert done.returncode == 1, done.stderr
    rows = pd.read_parquet(folder / "runs/broken/results.parquet")
    measured = rows[rows.value.notna()]
    assert measured.groupby("method")["metric"].nunique().to_dict() == {"mean": 2, "telea": 2}
    assert "Telea" in done.stdout


def test_rows_without_a_result_stay_in_the_tables_and_say_why(ran) -> None:
    folder, done = ran
    rows = pd.read_parquet(folder / "runs/broken/results.parquet")
    missing = rows[rows.value.isna()]
    assert list(rows.title.drop_duplicates()) == ["Mean colour", *BODIES, "Telea"]
    assert missing.groupby("method")["metric"].nunique().to_dict() == dict.fromkeys(BODIES, 2)
    main = (folder / "runs/broken/report/tables/main.md").read_text()
    for slug, why in WHY.items():
        assert missing.note[missing.method == slug].str.startswith(f"failed: {why}").all()
        assert slug in done.stdout
        assert f"| {slug} |" in main


@pytest.mark.parametrize("slug", BODIES)
def test_each_failure_is_explained(ran, slug: str) -> None:
    folder, done = ran
    summary = done.stderr.partition("12 of 16 jobs have no result")[2]
    assert f"complete {slug} (paper) on synthfaces, center/25\n      {WHY[slug]}" in summary
    assert "Traceback" not in summary
    recorded = next((folder / "runs/jobs").glob(f"complete-{slug}-*/error.txt"))
    assert str(recorded.relative_to(folder)) in summary
    text = recorded.read_text()
    assert text.startswith(WHY[slug])
    assert f"{slug} is at work" in text  # the last lines that it printed
    if slug != "killed":
        assert "Traceback (most recent call last)" in text
    assert WHY[slug].partition("(")[0] in (folder / "runs/broken/report/report.md").read_text()
