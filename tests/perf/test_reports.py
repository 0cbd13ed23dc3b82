"""The report of a large matrix: 20,000 result rows with their losses and costs, from files alone, without torch.

Run with `pytest tests/perf/test_reports.py -n 0 --benchmark-only`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.reports import made_up

LIMIT = 30.0  # seconds
BUILD = """
import sys, time
start = time.perf_counter()
import reports
if __name__ == "__main__":
    reports.build(sys.argv[1])
print(time.perf_counter() - start)
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 methods, 5 data sets, 2 numbers of shots, 2 seeds, 10 conditions and 5 metrics."""
    buckets = [f"{kind}/{low}-{low + 10}" for kind in ("irregular", "freeform") for low in range(10, 60, 10)]
    methods = {f"m{i}": f"Method {i}" for i in range(20)}
    datasets = [f"faces {i}" for i in range(5)]
    rows = made_up.rows(methods, buckets, datasets=datasets, shots=("10", "all"), seeds=(0, 1))
    assert len(rows) == 20_000
    run = made_up.write_run(tmp_path_factory.mktemp("matrix"), rows, images=20)
    cells = rows[["suite", "method", "title", "preset", "dataset", "shots", "seed"]].drop_duplicates()
    costs = cells[["method", "title", "preset"]].drop_duplicates()
    costs.assign(params=np.geomspace(1e6, 1e8, 20), macs=np.geomspace(1e9, 1e11, 20)).to_parquet(run / "costs.parquet")
    curve = pd.DataFrame({"stage": "inpainting", "step": range(100), "loss": "l1", "value": np.geomspace(1, 0.1, 100)})
    cells.merge(curve, how="cross").to_parquet(run / "losses.parquet")
    return run


@pytest.mark.slow
def test_a_report_of_20_000_rows(benchmark: BenchmarkFixture, matrix: Path) -> None:
    """Every table, figure and page, without the import of the libraries."""

    def build() -> float:
        done = subprocess.run([sys.executable, "-c", BUILD, str(matrix)], capture_output=True, text=True, check=True)
        return float(done.stdout)

    seconds = benchmark.pedantic(build, rounds=1)
    benchmark.extra_info["seconds"] = seconds
    assert seconds < LIMIT
