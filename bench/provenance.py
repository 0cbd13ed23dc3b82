"""Where a number was made: versions, device, precision, commit; and runs that are deterministic to the bit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch

import bench

FACTS = ("facebench", "torch", "commit", "device", "precision", "deterministic")
"""Columns of every result row. `recorded` also tells the processor: bits are asked for where they must agree."""
NO_WAY = " does not have a deterministic implementation"  # what torch warns of


@contextmanager
def recorded(on_gpu: bool, precision: str, deterministic: bool) -> Iterator[dict[str, Any]]:
    """The facts of a job that runs inside. `precision`: of training, as the suite asks for it.

    With `deterministic`, torch uses algorithms that give the same bits on the same machine every time; "could not"
    then names the operations that have none.
    """
    if precision == "auto":
        precision = "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"
    facts: dict[str, Any] = {
        "facebench": bench.__version__,
        "torch": importlib.metadata.version("torch"),
        "commit": commit(),
        "device": torch.cuda.get_device_name() if on_gpu else "CPU",
        "processor": processor(),
        "precision": precision,
        "deterministic": deterministic or not on_gpu,  # a job on a CPU has one thread
    }
    if not deterministic:
        yield facts
        return
    with exact_algorithms() as operations:
        yield facts
    facts["could not"] = sorted(operations)


def processor() -> str:
    """The name of the CPU."""
    described = Path("/proc/cpuinfo")  # Python knows no name on Linux
    lines = described.read_text().splitlines() if described.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


@contextmanager
def exact_algorithms() -> Iterator[set[str]]:
    """Deterministic algorithms of torch inside; the value gathers the operations that have none."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn_before = cudnn.deterministic, cudnn.benchmark
    operations: set[str] = set()
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=f".*{NO_WAY}")
        show = warnings.showwarning

        def gather(message: Warning | str, *rest: Any) -> None:
            name, found, _ = str(message).partition(NO_WAY)
            if found:
                operations.add(name)
            else:
                show(message, *rest)

        warnings.showwarning = gather  # type: ignore[assignment]
        torch.use_deterministic_algorithms(True, warn_only=True)
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield operations
        finally:
            cudnn.deterministic, cudnn.benchmark = cudnn_before
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@cache
def commit() -> str:
    """The git commit of the product where it is a checkout, with "-dirty" after changes; else its version."""
    root = Path(bench.__file__).parents[1]
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass  # no git here, or not the owner's checkout
    return f"v{bench.__version__}"
