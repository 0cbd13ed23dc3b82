"""What a pickle names and would build, kept inert: names, records of state, and arrays in the making."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np

Order = Literal["C", "F"]


class Refused(Exception):
    """The file is damaged, or asks for what a checkpoint never needs."""


class Global:
    """A class or function that a file names; never looked up."""

    def __init__(self, name: str):
        self.name = name


class Record:
    """What would be an object: the name of its class, and its arguments, state and items."""

    def __init__(self, name: str, arguments: tuple[Any, ...] = (), state: Any = None):
        self.name, self.arguments, self.state = name, arguments, state
        self.items: dict[Any, Any] = {}
        self.elements: list[Any] = []


class NumberType:
    """A NumPy type; its byte order comes later, as its state."""

    def __init__(self, code: Any, *_: Any):
        if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?[?biufc]\d{0,2}", code):
            raise Refused("an array of something other than numbers")
        self.value = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take the state that NumPy pickles: (version, byte order, ...)."""
        self.value = self.value.newbyteorder(state[1])


class Array:
    """A NumPy array; its content comes later, as its state (version, shape, type, Fortran order, bytes)."""

    value = np.empty(0, np.float32)

    def build(self, state: Any) -> None:
        """Take the state that NumPy pickles."""
        _, shape, dtype, fortran, data = state
        self.value = read_array(data, dtype, shape, "F" if fortran else "C")


def read_array(data: Any, dtype: NumberType, shape: tuple[int, ...], order: Order) -> np.ndarray:
    """An array of that shape over `data` (bytes, or text of Python 2); the lengths must agree."""
    data = data.encode("latin-1") if isinstance(data, str) else data
    return np.frombuffer(data, dtype.value).reshape(shape, order=order)
