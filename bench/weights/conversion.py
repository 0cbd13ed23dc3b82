"""Writes any official file as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.errors import BenchError
from bench.store import atomic_write
from bench.weights.reading import read


def convert(file: str | Path, out: str | Path) -> int:
    """Write the tensors of a checkpoint as safetensors; returns how many.

    Names of nested dictionaries are joined by dots (``g_ema.conv.weight``), and the file keeps nesting and order, so
    that `read` gives the same for both files. What is no tensor (options, counters, optimisers' settings) is left out.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save

    if Path(out).suffix != ".safetensors":
        raise BenchError(f"{out} must end in .safetensors")
    tensors: dict[str, Tensor] = {}
    structure = _structure(read(file), "", tensors)
    if not tensors:
        raise BenchError(f"{file} holds no tensors")
    try:  # clones: names that share one tensor are written one by one
        data = save(
            {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()},
            {"structure": json.dumps(structure)},
        )
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise BenchError(f"{file} does not fit into safetensors: {error}") from error
    with atomic_write(out) as handle:
        handle.write(data)
    return len(tensors)


def _structure(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` with names in the place of its tensors, which go to `tensors`; None where there are none."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return name
    if not isinstance(value, Mapping | list | tuple):
        return None
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    parts = [(str(key), _structure(part, f"{name}.{key}" if name else str(key), tensors)) for key, part in pairs]
    kept = {key: part for key, part in parts if part is not None}
    if not kept:
        return None
    return kept if isinstance(value, Mapping) or len(kept) < len(parts) else list(kept.values())
