"""Reports of large matrices, with their losses and costs, from files alone, without torch.

Run with `pytest tests/perf/test_reports.py -n 0 -m slow --benchmark-only`.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.perf import before
from tests.reports import made_up

BUILD = """
import resource, sys, time
if __name__ == "__main__":
    import reports
    start = time.perf_counter()
    reports.build({run!r})
    print("wall", time.perf_counter() - start)
    assert "torch" not in sys.modules
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    with open("/proc/self/status") as status:  # ru_maxrss would hold that of the process which started this one
        own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print("GiB", max(own, used[1].ru_maxrss) / 2**20)
    print(sum(part.ru_utime + part.ru_stime for part in used))
"""


@dataclass(frozen=True)
class Matrix:
    """A run of 20 methods, 10 conditions and 5 metrics, and what its report may take."""

    datasets: int
    shots: tuple[str, ...]
    seeds: tuple[int, ...]
    images: int
    rows: int
    limit: float  # seconds, without the import of the libraries
    share: float  # of the CPU seconds of COMMIT, all processes together
    memory: float  # GiB of the largest process
    page: float  # MB of report.html

    def write(self, folder: Path) -> Path:
        buckets = [f"{kind}/{low}-{low + 10}" for kind in ("irregular", "freeform") for low in range(10, 60, 10)]
        methods = {f"m{i}": f"Method {i}" for i in range(20)}
        names = [f"faces {i}" for i in range(self.datasets)]
        rows = made_up.rows(methods, buckets, datasets=names, shots=self.shots, seeds=self.seeds)
        assert len(rows) == self.rows
        run = made_up.write_run(folder, rows, images=self.images)
        cells = rows[["suite", "method", "title", "preset", "dataset", "shots", "seed"]].drop_duplicates()
        costs = cells[["method", "title", "preset"]].drop_duplicates()
        costs = costs.assign(params=np.geomspace(1e6, 1e8, 20), macs=np.geomspace(1e9, 1e11, 20))
        costs.to_parquet(run / "costs.parquet")
        curve = {"stage": "inpainting", "step": range(100), "loss": "l1", "value": np.geomspace(1, 0.1, 100)}
        cells.merge(pd.DataFrame(curve), how="cross").to_parquet(run / "losses.parquet")
        return run


MATRICES = {
    "20 000 rows": Matrix(5, ("10", "all"), (0, 1), 20, 20_000, 30, 0.6, 0.6, 15),
    "200 000 rows, 2.9 million scores of images": Matrix(
        10, ("10", "30", "100", "300", "all"), (0, 1, 2, 3), 24, 200_000, math.inf, 0.6, 0.8, 2
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES.keys())
def test_a_report_of_many_rows(benchmark: BenchmarkFixture, matrix: Matrix, tmp_path: Path) -> None:
    """Every table, figure and page, with the import of the libraries."""
    run = matrix.write(tmp_path)
    code = BUILD.format(run=str(run))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def build() -> str:
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        ).stdout

    _, wall, _, memory, seconds = benchmark.pedantic(build, rounds=1).split()
    benchmark.extra_info |= {"CPU seconds": float(seconds), "GiB": float(memory)}
    assert float(wall) < matrix.limit
    assert float(memory) < matrix.memory
    assert (run / "report" / "report.html").stat().st_size < 1e6 * matrix.page
    assert before.ratio(code, rounds=1) < matrix.share
