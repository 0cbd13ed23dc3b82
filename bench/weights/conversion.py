"""Writes any official file as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.errors import BenchError
from bench.store import atomic_write
from bench.target import OTHER, check, real
from bench.weights.reading import joined, metadata, place, read
from bench.weights.records import Refused

RESERVED = "__metadata__"  # no tensor of a safetensors file may be named so


def convert(file: str | Path, out: str | Path) -> int:
    """Write the tensors of a checkpoint as safetensors; returns how many.

    Names of nested dictionaries are joined by dots (``g_ema.conv.weight``), and the file keeps nesting and order, so
    that `read` gives the same for both files, but for keys that are numbers: they become text. Where two tensors would
    get one name, the second is called ``NAME#2``. What is no tensor (options, counters, optimisers' settings) is left
    out, and the metadata of a safetensors file are kept. Raises BenchError for a dictionary with two keys that are the
    same as text, and where another file would be replaced.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save

    check(Path(out), {".safetensors": b""}, real([Path(file)]))
    tensors: dict[str, Tensor] = {}
    try:
        structure = _structure(read(file), (), tensors)
    except Refused as error:
        raise BenchError(f"{file} does not fit into safetensors: {error}") from error
    if not tensors:
        raise BenchError(f"{file} holds no tensors")
    try:  # clones: names that share one tensor are written one by one
        data = save(
            {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()},
            metadata(Path(file)) | {"structure": json.dumps(structure)},
        )
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise BenchError(f"{file} does not fit into safetensors: {error}") from error
    if Path(out).exists() and _parts(Path(out).read_bytes()) != _parts(data):
        raise BenchError(f"{out} is there already with other content, and checkpoints are never replaced: {OTHER}")
    with atomic_write(out) as handle:
        handle.write(data)
    return len(tensors)


def _parts(data: bytes) -> tuple[Any, bytes]:
    """The header of a safetensors file, whose metadata have no order, and the bytes of its tensors."""
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        return json.loads(data[8:end]), data[end:]
    except ValueError:
        return None, data


def _structure(value: Any, keys: tuple[Any, ...], tensors: dict[str, Tensor]) -> Any:
    """`value` with names in the place of its tensors, which go to `tensors`; None where there are none."""
    if isinstance(value, Tensor):
        name = _free(joined(keys), tensors)
        tensors[name] = value
        return name
    if not isinstance(value, Mapping | list | tuple):
        return None
    kept: dict[str, Any] = {}
    origin: dict[str, Any] = {}
    for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
        made = _structure(part, (*keys, key), tensors)
        if made is None:
            continue
        first = origin.setdefault(str(key), key)
        if first is not key:
            raise Refused(f"its keys {place((*keys, first))} and {place((*keys, key))} are the same as text")
        kept[str(key)] = made
    if not kept:
        return None
    return kept if isinstance(value, Mapping) or len(kept) < len(value) else list(kept.values())


def _free(name: str, tensors: Mapping[str, Tensor]) -> str:
    """The name, or where it is taken already, `name#2`, `name#3`, ..."""
    numbers = (f"{name}#{number}" for number in count(2))
    return next(free for free in chain([name], numbers) if free not in tensors and free != RESERVED)
