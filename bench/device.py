"""Where work is done: the one check of what `--device`, or a caller of `measure`, says; the cores of this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def checked(name: str) -> str:
    """ "cpu" or "cuda": where the work is done. `auto` takes a GPU where torch sees one.

    Raises BenchError for other names, and for cuda without a GPU.
    """
    import torch  # not before a command needs it

    if name not in DEVICES:
        one = "; CUDA_VISIBLE_DEVICES chooses one of several GPUs" if name.startswith(("cuda", "gpu")) else ""
        raise BenchError(f"--device: {name!r} is none of {', '.join(DEVICES)}{one}")
    seen = torch.cuda.is_available()
    if name == "cuda" and not seen:
        raise BenchError("--device cuda: no GPU is visible to torch; use --device cpu")
    return "cuda" if seen and name != "cpu" else "cpu"


def tell_bf16(place: str) -> None:
    """Say before work in bf16 starts how slow it will be, where the processor does not have it."""
    import torch

    from bench.progress import say

    known = torch.cpu.get_capabilities()
    if place == "cpu" and not any(there for name, there in known.items() if name.endswith("bf16")):
        say(
            "bf16: this processor has no instructions for it, and such took 40 to 75 times as long as with 32 bits: "
            "say `precision: 32-true` (or --precision fp32), or take a GPU"
        )


def found(device: str | torch.device) -> torch.device:
    """The device of a caller: those of `checked`, or any that torch knows, such as "cuda:1". BenchError for others."""
    import torch

    try:
        place = torch.device(checked("auto") if device == "auto" else device)
    except (RuntimeError, TypeError) as error:
        raise BenchError(f"device: {device!r} is none that torch knows: give cpu, cuda or cuda:0") from error
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise BenchError(f"device: {device!r} is no GPU that is visible to torch: give cpu, or another one")
    return place
