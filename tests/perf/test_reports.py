"""Reports and sites of large matrices, with their losses and costs, from files alone, without torch.

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
    {imports}
    start = time.perf_counter()
    {call}
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
    """A run of 10 conditions and 5 metrics."""

    datasets: int
    shots: tuple[str, ...]
    seeds: tuple[int, ...]
    images: int
    rows: int
    methods: int = 20

    def write(self, folder: Path) -> Path:
        buckets = [f"{kind}/{low}-{low + 10}" for kind in ("irregular", "freeform") for low in range(10, 60, 10)]
        methods = {f"m{i}": f"Method {i}" for i in range(self.methods)}
        names = [f"faces {i}" for i in range(self.datasets)]
        rows = made_up.rows(methods, buckets, datasets=names, shots=self.shots, seeds=self.seeds)
        assert len(rows) == self.rows
        run = made_up.write_run(folder, rows, images=self.images)
        cells = rows[["suite", "method", "title", "preset", "dataset", "shots", "seed"]].drop_duplicates()
        costs = cells[["method", "title", "preset"]].drop_duplicates()
        spread = {"params": np.geomspace(1e6, 1e8, self.methods), "macs": np.geomspace(1e9, 1e11, self.methods)}
        costs.assign(**spread).to_parquet(run / "costs.parquet")
        curve = {"stage": "inpainting", "step": range(100), "loss": "l1", "value": np.geomspace(1, 0.1, 100)}
        cells.merge(pd.DataFrame(curve), how="cross").to_parquet(run / "losses.parquet")
        return run


@dataclass(frozen=True)
class Limits:
    """What a report may take."""

    wall: float  # seconds, without the import of the libraries
    share: float  # of the CPU seconds of COMMIT, all processes together
    memory: float  # GiB of the largest process
    page: float  # MB of report.html


MATRICES = {
    "20 000 rows": (Matrix(5, ("10", "all"), (0, 1), 20, 20_000), Limits(30, 0.6, 0.6, 15)),
    "200 000 rows, 2.9 million scores of images": (
        Matrix(10, ("10", "30", "100", "300", "all"), (0, 1, 2, 3), 24, 200_000),
        Limits(math.inf, 0.6, 0.8, 2),
    ),
}


def measured(benchmark: BenchmarkFixture, code: str) -> tuple[float, float]:
    """Seconds without the import of the libraries, and GiB of the largest process."""

    def run() -> str:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        ).stdout

    _, wall, _, memory, seconds = benchmark.pedantic(run, rounds=1).split()
    benchmark.extra_info |= {"CPU seconds": float(seconds), "GiB": float(memory)}
    return float(wall), float(memory)


@pytest.mark.slow
@pytest.mark.parametrize(("matrix", "limits"), MATRICES.values(), ids=MATRICES.keys())
def test_a_report_of_many_rows(benchmark: BenchmarkFixture, matrix: Matrix, limits: Limits, tmp_path: Path) -> None:
    """Every table, figure and page, with the import of the libraries."""
    run = matrix.write(tmp_path)
    code = BUILD.format(imports="from reports import build", call=f"build({str(run)!r})")
    wall, memory = measured(benchmark, code)
    assert wall < limits.wall
    assert memory < limits.memory
    assert (run / "report" / "report.html").stat().st_size < 1e6 * limits.page
    assert before.ratio(code, rounds=1) < limits.share


@pytest.mark.slow
def test_a_site_of_many_methods(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """30 methods x 10 conditions x 2,000 images, with all pairs of methods, pictures and learning curves."""
    run = Matrix(1, ("all",), (0,), 2000, 1500, methods=30).write(tmp_path / "run")
    imports = "from pathlib import Path; from reports.site import site"
    call = f"site({str(tmp_path / 'site')!r}, [dict(name='run', folder=Path({str(run)!r}))], {{}}, True)"
    wall, memory = measured(benchmark, BUILD.format(imports=imports, call=call))
    assert wall < 60
    assert memory < 1.5
    page = tmp_path / "site" / "index.html"
    assert page.stat().st_size < 1e6
    assert len(list(page.parent.glob("method-*.html"))) == 30
