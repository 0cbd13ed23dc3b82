"""Speed of the embedded faces. Run with `pytest tests/perf -n 0 --benchmark-only`."""

from __future__ import annotations

import time

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.data import synthfaces

COUNT = 64


@pytest.mark.benchmark(timer=time.process_time)  # the core's own time: other work on the machine does not count
def test_faces_a_second_on_one_core(benchmark: BenchmarkFixture) -> None:
    """At least 110 faces a second at 64 px on one core, so 200 on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        benchmark.pedantic(synthfaces.render, args=(range(COUNT), 64), rounds=5, warmup_rounds=1)
    finally:
        torch.set_num_threads(before)
    assert COUNT / benchmark.stats.stats.min >= 110
