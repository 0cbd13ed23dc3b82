"""Networks that dlib saved (`.dat`): the tensors of their layers, from the input to the output.

A layer with parameters writes its kind and version (``con_4``), for ``fc_2`` its numbers of outputs and inputs, and one
tensor: version 2, four sizes, raw float32. An integer is a byte with the number of bytes that follow, and these. All
else in a file (sizes of kernels, learning rates) is left out: the network that takes the tensors knows it.
"""

from __future__ import annotations

import math
import re

import numpy as np
import torch
from torch import Tensor

from bench.weights.records import Refused

START = b"\x01\x01\x01\rloss_metric"  # of a network that was trained to tell things apart
KIND = re.compile(rb"\x01(?:\x05(con_4)|\x07(affine_)|\x04(fc_2))")
LARGEST = 1e4  # of a sound parameter


def parse(data: bytes) -> dict[str, Tensor]:
    """The tensors of a file by number and kind: ``0.con_4``, ``1.affine_``, ... Raises Refused where one is damaged."""
    found: dict[str, Tensor] = {}
    end = 0
    while kind := KIND.search(data, end):
        name = f"{len(found)}.{(kind[1] or kind[2] or kind[3]).decode()}"
        found[name], end = _tensor(data, kind.end(), name)
    if not found:
        raise Refused("it holds no tensors")
    return found


def _tensor(data: bytes, place: int, name: str) -> tuple[Tensor, int]:
    """The tensor of a layer whose parameters begin at `place`, and where it ends."""
    numbers = []
    for _ in range(7 if name.endswith("fc_2") else 5):
        length = data[place] if place < len(data) else 0
        if not 1 <= length <= 4:  # its highest bit would mean a negative number
            raise Refused(f"the tensor {name} does not begin as one")
        numbers.append(int.from_bytes(data[place + 1 : place + 1 + length], "little"))
        place += 1 + length
    version, *sizes = numbers[-5:]
    count, left = math.prod(sizes), (len(data) - place) // 4
    if version != 2 or not 1 <= count <= left:
        raise Refused(f"the tensor {name} has the version {version} and {count:,} numbers; {left:,} are left")
    values = np.frombuffer(data, "<f4", count, place).astype(np.float32)
    if not (np.abs(values) < LARGEST).all():  # false for NaN
        raise Refused(f"the tensor {name} has values that are no parameters")
    return torch.from_numpy(values).reshape(sizes), place + 4 * count
