"""Time and memory of a repeated call: warm-up, several rounds, medians with their spread."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

WARM_UP = 3
ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """Seconds a call. `spread`: the largest distance of a round's median from the median of all rounds."""

    median: float
    p95: float
    spread: float
    calls: int


def timed(call: Callable[[], object], device: torch.device, seconds: float = 1.0, rounds: int = ROUNDS) -> Timing:
    """Time `call` in rounds of about `seconds` each, at least 3 calls; device events on a GPU."""
    for _ in range(WARM_UP):
        first = _once(call, device)
    each = max(3, min(200, round(seconds / max(first, 1e-6))))
    times = [[_once(call, device) for _ in range(each)] for _ in range(rounds)]
    medians = [statistics.median(round_) for round_ in times]
    middle = statistics.median(medians)
    p95 = float(np.quantile(np.concatenate(times), 0.95))
    return Timing(middle, p95, max(abs(m - middle) for m in medians), each * rounds)


def _once(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize(device)
        return begin.elapsed_time(end) / 1000
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def reset_peak(device: torch.device) -> None:
    """Start a new peak of the device's memory; a process on the CPU has one peak in its life."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> int:
    """Bytes: the device's peak since `reset_peak`, or the peak of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
