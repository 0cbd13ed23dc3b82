"""Planning a run a second time: what each worker process does before its first job.

pytest -n 0 -m "slow or not slow" --benchmark-only tests/perf/test_planning.py
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import jobs
from bench.suite import Suite

IMAGES, SIDE = 1000, 256
BUCKETS = ("10-20", "20-30", "30-40", "40-50", "50-60", "60-70", "70-80", "80-90")

pytestmark = [pytest.mark.slow]


def test_the_second_planning_takes_a_tenth_of_the_first(benchmark, tmp_path: Path) -> None:
    """16,000 masks of 256 px are drawn once; afterwards their file is read, and checked."""
    (tmp_path / "faces").mkdir()
    rng = np.random.default_rng(0)
    for i in range(IMAGES + 1):
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "faces" / f"{i}.png", compress_level=0)
    content = {
        "suite": "planned",
        "size": SIDE,
        "data": [{"name": "own", "folder": str(tmp_path / "faces"), "train": 1, "test": IMAGES}],
        "methods": ["mean"],
        "conditions": ["center/25"],
        "metrics": ["psnr"],
        "report": {"main": ["psnr"]},
    }
    jobs.plan(Suite.model_validate(content), tmp_path / "runs")  # decodes the images
    content["conditions"] = [f"{name}/{bucket}" for name in ("irregular", "freeform") for bucket in BUCKETS]
    suite = Suite.model_validate(content)

    def seconds() -> float:
        start = time.process_time()
        jobs.plan(suite, tmp_path / "runs")
        return time.process_time() - start

    first = seconds()
    second = benchmark.pedantic(seconds, rounds=3)
    benchmark.extra_info["second to first"] = second / first
    assert second / first <= 0.1
