"""Networks that dlib saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import weights
from bench.errors import BenchError
from bench.weights.dlib import START

SPURIOUS = b"\x01\x02" + b"\x01\x02" * 12  # sizes of layers look like tensors of small numbers


def integer(value: int) -> bytes:
    content = value.to_bytes(4, "little").rstrip(b"\0") or b"\0"
    return bytes([len(content)]) + content


def layer(kind: str, values: np.ndarray, version: int = 2) -> bytes:
    """A layer with parameters as dlib writes it, with some of what stands around."""
    counts = b"".join(map(integer, (3, 2))) if kind == "fc_2" else b""
    sizes = b"".join(map(integer, (version, *values.shape, *[1] * (4 - values.ndim))))
    return SPURIOUS + integer(len(kind)) + kind.encode() + counts + sizes + values.astype("<f4").tobytes() + SPURIOUS


KERNELS = np.arange(700, dtype=np.float32)
LAYERS = [("con_4", KERNELS), ("affine_", -KERNELS[:64]), ("fc_2", KERNELS[:6].reshape(2, 3))]
SOUND = START + b"".join(layer(*one) for one in LAYERS)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_tensors_come_in_the_order_of_the_layers(tmp_path: Path) -> None:
    found = weights.read(written(tmp_path / "net.dat", SOUND))
    assert list(found) == ["0.con_4", "1.affine_", "2.fc_2"]
    for tensor, (_, values) in zip(found.values(), LAYERS, strict=True):
        np.testing.assert_array_equal(tensor.squeeze().numpy(), values)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SOUND[:1000], "0.con_4 has the version 2 and 700 numbers; 2"),
        (SOUND[: SOUND.index(b"fc_2") + 5], "2.fc_2 does not begin as one"),
        (START + SPURIOUS, "it holds no tensors"),
        (START + layer("con_4", KERNELS, version=3), "the version 3"),
        (START + layer("con_4", KERNELS[:0]), "0 numbers"),
        (START + layer("con_4", KERNELS * np.nan), "0.con_4 has values that are no parameters"),
        (START + layer("con_4", KERNELS * 1e4), "0.con_4 has values that are no parameters"),
        (START + integer(5) + b"con_4" + b"\x01\x02" + b"\x84\xff\xff\xff\xff" * 4, "does not begin as one"),
        (START + integer(5) + b"con_4" + b"\x01\x02" + b"\x04\xff\xff\xff\x7f" * 4, "are left"),
    ],
)  # fmt: skip
def test_damage_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path / "net.dat", content)
    with pytest.raises(BenchError) as raised:
        weights.read(path)
    assert str(path) in str(raised.value)
    assert reason in str(raised.value)
