"""Time and memory of a repeated call: warm-up, several rounds, medians with their spread."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import allocator

STATUS = Path("/proc/self/status")  # of Linux
WARM_UP, SLOW = 3, 10
ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """Seconds a call. `spread`: the largest distance of a round's median from the median of all rounds."""

    median: float
    p95: float
    spread: float
    calls: int


def timed(
    call: Callable[[Any], object],
    device: torch.device,
    seconds: float = 1.0,
    rounds: int = ROUNDS,
    given: Callable[[], Any] = lambda: None,
) -> Timing:
    """Time `call` in rounds of about `seconds` each, at least 3 calls, or one that takes `SLOW` rounds' time.

    Device events on a GPU.
    `given` makes what each call gets, outside of its time.
    """
    for done in range(WARM_UP):
        first = _once(call, given(), device)
        if slow := done > 0 and first > SLOW * seconds:  # the first call of all may be slow for other reasons
            break
    each = max(1 if slow else 3, min(200, round(seconds / max(first, 1e-6))))
    times = [[_once(call, given(), device) for _ in range(each)] for _ in range(rounds)]
    medians = [statistics.median(round_) for round_ in times]
    middle = statistics.median(medians)
    p95 = float(np.quantile(np.concatenate(times), 0.95))
    return Timing(middle, p95, max(abs(m - middle) for m in medians), each * rounds)


def _once(call: Callable[[Any], object], given: Any, device: torch.device) -> float:
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call(given)
        end.record()
        torch.cuda.synchronize(device)
        return begin.elapsed_time(end) / 1000
    start = time.perf_counter()
    call(given)
    return time.perf_counter() - start


def held(device: torch.device, kept: Iterable[torch.Tensor] = ()) -> int:
    """Bytes that this process holds beside the tensors `kept`: to be subtracted from `peak_of`. Of a GPU nothing.

    What was freed goes back to the system first. Outside Linux a process knows its one peak only.
    """
    if device.type == "cuda":
        return 0
    if not STATUS.exists():
        return _peak_of_life()
    allocator.give_back()
    storages = {storage.data_ptr(): storage.nbytes() for storage in (tensor.untyped_storage() for tensor in kept)}
    return _status("VmRSS") - sum(storages.values())


def peak_of(call: Callable[[], object], device: torch.device) -> int:
    """Bytes: the most that the device, or this process, holds while `call` runs.

    On a CPU every large block goes back to the system as soon as it is freed. That costs time, so this call is none of
    those that are timed; otherwise gaps in the heap, which differ from run to run, count as memory of the method.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device)
    with allocator.giving_back():
        allocator.give_back()
        with suppress(OSError):
            (STATUS.parent / "clear_refs").write_text("5")
        call()
        return _status("VmHWM") if STATUS.exists() else _peak_of_life()


def _peak_of_life() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(name: str) -> int:
    """A figure that Linux keeps of this process, in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
