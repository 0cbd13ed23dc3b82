"""Networks among the records of a pickle, as state dicts.

Those of PyTorch keep parameters, buffers and parts apart; TorchScript's and those of NVIDIA's TensorFlow code do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.weights.records import Array, Record, Refused

MOST = 200_000  # tensors and containers of one file; more is an attack
DEEPEST = 100  # networks or containers inside each other
SCRIPTED = "__torch__."  # start of the class names of TorchScript


def plain(value: Any) -> Any:
    """The same with arrays as tensors and with networks as state dicts."""
    made: dict[int, Any] = {}  # each container once: references to references could multiply

    def visit(item: Any) -> Any:
        if isinstance(item, Array):
            return _to_tensor(item.value)
        if not isinstance(item, dict | list | tuple | Record):
            return item
        if id(item) not in made:
            made[id(item)] = item  # inside itself
            made[id(item)] = convert(item)
        return made[id(item)]

    def convert(item: Any) -> Any:
        if isinstance(item, Record):
            if is_module(item):
                return state_dict(item)
            return {key: visit(part) for key, part in item.items.items()} if item.items else item
        if isinstance(item, dict):
            return {key: visit(part) for key, part in item.items()}
        return type(item)(visit(part) for part in item)

    return visit(value)


def _to_tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))  # a copy: buffers are read-only


def is_module(record: Record) -> bool:
    """Whether a record was a network."""
    state = record.state
    if not isinstance(state, dict):
        return False
    return record.name.startswith(SCRIPTED) or state.keys() >= {"_modules", "_parameters"} or "variables" in state


def state_dict(module: Record) -> dict[str, Tensor]:
    """The tensors of a network under the names that `state_dict()` of the live object would give."""
    found: dict[str, Tensor] = {}
    work = [("", module, 0)]
    for _ in range(MOST):
        if not work:
            return found
        prefix, record, depth = work.pop()
        if depth > DEEPEST:
            break
        own, children, separator = _content(record)
        for name, tensor in own:
            if prefix + name in found:
                raise Refused(f"two tensors of one network are named {prefix + name!r}")
            found[prefix + name] = tensor
        work += [(f"{prefix}{name}{separator}", part, depth + 1) for name, part in reversed(children.items())]
    raise Refused("modules inside modules without end")


def _content(record: Record) -> tuple[list[tuple[str, Tensor]], dict[str, Record], str]:
    """A network's own tensors by name, its parts, and what stands between a part's name and the names inside."""
    state: Mapping[str, Any] = record.state
    if record.name.startswith(SCRIPTED):
        return _tensors(state), _networks(state), "."
    if "variables" in state:  # NVIDIA's TensorFlow networks
        own = [(name, _to_tensor(part.value)) for name, part in state["variables"] if isinstance(part, Array)]
        return own, _networks(state.get("components")), "/"
    hidden = state.get("_non_persistent_buffers_set") or ()
    buffers = {name: part for name, part in (state.get("_buffers") or {}).items() if name not in hidden}
    return _tensors(state["_parameters"]) + _tensors(buffers), _networks(state["_modules"]), "."


def _tensors(parts: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    return [(name, part) for name, part in parts.items() if isinstance(part, Tensor)]


def _networks(parts: Any) -> dict[str, Record]:
    parts = parts.items if isinstance(parts, Record) else parts or {}
    return {name: part for name, part in parts.items() if isinstance(part, Record) and is_module(part)}
