"""Pickles of whole networks are read without running anything; hostile ones are refused."""

from __future__ import annotations

import argparse
import collections
import io
import pickle
import pickletools
import struct
import sys
import time
import types
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.errors import BenchError
from bench.weights import read
from bench.weights.modules import plain
from bench.weights.reading import flatten
from bench.weights.unpickle import parse

SOURCE = "raise SystemExit('the source code inside a checkpoint was run')"


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def loads(data: bytes) -> Any:
    return flatten(plain(parse(io.BytesIO(data))))


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> type:
    """What `torch_utils.persistence` and `dnnlib` of the StyleGAN2-ADA family are to pickle: classes that carry
    their source code and name a function that would run it. They exist while the file is written only."""
    utils, persistence, dnnlib = (types.ModuleType(n) for n in ("torch_utils", "torch_utils.persistence", "dnnlib"))

    def _reconstruct_persistent_obj(meta: Any) -> None:
        raise AssertionError("the file was run")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]

    class EasyDict(dict):
        def __getattr__(self, name: str) -> Any:
            try:
                return self[name]
            except KeyError:
                raise AttributeError(name) from None

    EasyDict.__module__, EasyDict.__qualname__ = "dnnlib", "EasyDict"
    dnnlib.EasyDict = EasyDict  # type: ignore[attr-defined]
    for module in (utils, persistence, dnnlib):
        monkeypatch.setitem(sys.modules, module.__name__, module)

    class Persistent(nn.Module):
        def __reduce__(self) -> tuple[Any, ...]:
            fields = list(super().__reduce__())
            meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": type(self).__name__}
            return (_reconstruct_persistent_obj, (EasyDict(meta, state=fields[2]),), None, *fields[3:])

    return Persistent


def network(base: type, width: int = 3) -> nn.Module:
    """Persistent and plain modules inside each other, with all that a state dict can hold."""
    torch.manual_seed(width)

    class SynthesisLayer(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(width, width, 3, 3))
            self.noise_strength = nn.Parameter(torch.zeros([]))
            self.register_parameter("bias", None)
            self.register_buffer("resample_filter", torch.ones(4, 4).t())
            self.register_buffer("hidden", torch.ones(2), persistent=False)

    class Generator(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.layer = SynthesisLayer()
            self.plain = nn.Sequential(nn.Conv2d(width, 2, 1), nn.BatchNorm2d(2))
            self.half = nn.Linear(2, 2).half()
            self.again = self.layer  # shared
            self.init_kwargs = {"z_dim": 512, "names": {"a", "b"}}

    return Generator()


def test_networks_of_the_stylegan2_family(official: type, tmp_path: Path) -> None:
    networks = {name: network(official, width) for name, width in (("G", 3), ("D", 4), ("G_ema", 5))}
    expected = {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
    file = tmp_path / "network-snapshot.pkl"
    content = {**networks, "training_set_kwargs": {"path": "/data", "size": 9}, "augment_pipe": None}
    file.write_bytes(pickle.dumps(content))
    assert SOURCE.encode() in file.read_bytes()
    with pytest.raises(AssertionError, match="the file was run"):
        pickle.loads(file.read_bytes())  # what everybody else does
    same(dict(read(file)), expected)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol(protocol: int) -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.PReLU())
    array = np.arange(6, dtype=np.float64).reshape(2, 3)
    content = {
        "net": net, "f": np.asfortranarray(array), "big": array.astype(">f4"), "flag": np.array([True]),
        "scalar": np.float32(2), "set": {1, 2}, "frozen": frozenset({3}), "bytes": b"\xff\x00",
        "view": net[0].weight[1:],
        "ordered": collections.OrderedDict(a=torch.ones(2, dtype=torch.bfloat16)), "list": [torch.zeros(1)],
    }  # fmt: skip
    found = loads(pickle.dumps(content, protocol=protocol))
    same({k[4:]: v for k, v in found.items() if k.startswith("net.")}, net.state_dict())
    assert torch.equal(found["f"], torch.from_numpy(array))
    assert found["big"].tolist() == array.tolist()
    assert torch.equal(found["view"], net[0].weight[1:])
    assert found["ordered.a"].dtype == torch.bfloat16
    assert found["flag"].item() is True
    assert found["list.0"].item() == 0


def test_tensorflow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVIDIA's TensorFlow code pickles a network as its variables and its components."""
    for name in ("dnnlib", "dnnlib.tflib"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    module = types.ModuleType("dnnlib.tflib.network")
    Network = type("Network", (), {"__module__": module.__name__, "__qualname__": "Network"})
    module.Network = Network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def make(variables: dict[str, np.ndarray], **components: Any) -> Any:
        made = Network()
        made.__dict__ = {"version": 4, "components": components, "variables": list(variables.items())}
        made.__dict__ |= {"build_module_src": SOURCE}
        return made

    weight = np.random.default_rng(0).standard_normal((3, 3, 2, 4)).astype(np.float32)
    generator = make({"lod": np.float32([0])}, synthesis=make({"4x4/Conv/weight": weight}))
    found = loads(pickle.dumps((generator, make({"bias": weight[0]}), generator)))
    assert list(found) == ["0.lod", "0.synthesis/4x4/Conv/weight", "1.bias", "2.lod", "2.synthesis/4x4/Conv/weight"]
    assert np.array_equal(found["0.synthesis/4x4/Conv/weight"], weight)


def test_torch_files_with_more_than_tensors(tmp_path: Path) -> None:
    """`args` of argparse, NumPy statistics, whole modules: torch refuses them, and they are not run here either."""
    net = nn.Linear(2, 3)
    content = {
        "g_ema": net.state_dict(), "args": argparse.Namespace(size=256), "iter": 7, "net": net, "mean": np.ones(4),
        "average": list(net.parameters()), "half": torch.ones(2).bfloat16(), "alias": net.weight.detach(),
    }  # fmt: skip
    file = tmp_path / "official.pt"
    torch.save(content, file)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)
    found = read(file)
    same(found["g_ema"], net.state_dict())
    same(found["net"], net.state_dict())
    assert found["iter"] == 7
    assert torch.equal(found["average"][1], net.bias)
    assert found["half"].dtype == torch.bfloat16
    assert found["mean"].tolist() == [1, 1, 1, 1]
    assert type(found["args"]).__name__ == "Record"


# ---------------------------------------------------------------- hostile files


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def alarm(*_: Any) -> None:
    raise AssertionError("the file was run")


def raw(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def hostile(folder: Path) -> dict[str, bytes]:
    import importlib
    import os
    import subprocess

    mark = folder / "run"
    tensor = torch.ones(2)
    storage = torch.storage.TypedStorage(wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True)
    rebuild = partial(Call, torch._utils._rebuild_tensor_v2, storage)
    touch = f"touch {mark}"
    chain = Call(getattr, Call(importlib.import_module, "os"), "system")
    state = {"_parameters": {"w": tensor}, "_buffers": {}, "_modules": {}}
    deep: Any = Call(os.system, touch)
    for _ in range(50):
        deep = {"a": [deep], "b": (deep, tensor)}
    return {
        "system": pickle.dumps({"w": tensor, "x": Call(os.system, touch)}),
        "system, protocol 0": pickle.dumps({"w": tensor, "x": Call(os.system, touch)}, protocol=0),
        "eval": pickle.dumps([tensor, Call(eval, f"open({str(mark)!r}, 'w')")]),
        "exec": pickle.dumps(Call(exec, f"open({str(mark)!r}, 'w')")),
        "open": pickle.dumps(Call(open, str(mark), "w")),
        "popen": pickle.dumps({"w": tensor, "x": Call(subprocess.Popen, ["touch", str(mark)])}),
        "getattr chain": pickle.dumps({"w": tensor, "x": chain}),
        "import": pickle.dumps(Call(__import__, "os")),
        "nested": pickle.dumps({"w": tensor, "x": deep}),
        "inside a storage": pickle.dumps(
            {"w": Call(torch.storage._load_from_bytes, pickle.dumps(Call(os.system, touch)))}
        ),
        "inside a state": pickle.dumps({"G": state | {"_modules": {"m": Call(os.system, touch)}}}),
        "INST": b"(S'" + touch.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + touch.encode() + b"'\no.",
        "dotted name": raw(text("torch"), text("serialization.os.system"), b"\x93", text(touch), b"\x85R"),
        "call of a result": raw(text("a"), text("b"), b"\x93", b")R", text(touch), b"\x85R"),
        "call of a text": raw(text("os.system"), text(touch), b"\x85R"),
        "state of a name": raw(text("torch._utils"), text("_rebuild_tensor_v2"), b"\x93", b"}", b"b"),
        "state of text": raw(text("a"), b"}", b"b"),
        "name of bytes": raw(b"C\x02os", b"C\x06system", b"\x93", text(touch), b"\x85R"),
        "extension registry": raw(b"\x82\x01"),
        "other file": raw(text("x"), b"Q"),
        "empty stack": raw(b"R"),
        "no marks": raw(b"t"),
        "unknown memo": raw(b"h\x07"),
        "huge memo": raw(b"}", b"r\xff\xff\xff\xff"),
        "huge bytes": raw(b"\x8e" + struct.pack("<Q", 1 << 62)),
        "huge text": raw(b"\x8d" + struct.pack("<Q", 1 << 62)),
        "huge frame": raw(b"\x95" + struct.pack("<Q", (1 << 64) - 1)),
        "huge number": raw(b"\x8b" + struct.pack("<i", 1 << 30)),
        "negative length": raw(b"\x8b" + struct.pack("<i", -5)),
        "long decimal": b"L" + b"9" * 100_000 + b"L\n.",
        "bad opcode": raw(b"\xfe"),
        "no end": b"\x80\x04}",
        "self": raw(b"]\x94h\x00a"),
        "no tensors": pickle.dumps({"a": 1}),
        "object array": pickle.dumps(np.array([Call(os.system, touch)], dtype=object)),
        "object array of nothing": pickle.dumps(np.array([None, 1], dtype=object)),
        "text array": pickle.dumps(np.array(["a"])),
        "empty": b"",
        "a web page": b"<!doctype html><html>Google Drive can't scan this file</html>",
        "large view": pickle.dumps({"w": torch.ones(1).expand(1 << 40)}),
        "outside its storage": pickle.dumps({"w": rebuild(0, (9,), (1,))}),
        "before its storage": pickle.dumps({"w": rebuild(-1, (2,), (1,))}),
        "backwards": pickle.dumps({"w": rebuild(1, (2,), (-1,))}),
    }  # fmt: skip


NAMES = list(hostile(Path("x")))


@pytest.mark.parametrize("name", NAMES)
def test_hostile_pickles_run_nothing(name: str, tmp_path: Path) -> None:
    file = tmp_path / "network.pkl"
    file.write_bytes(hostile(tmp_path)[name])
    start = time.perf_counter()
    with pytest.raises(BenchError, match=r"cannot read the checkpoint .*network\.pkl"):
        read(file)
    assert time.perf_counter() - start < 5
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["system", "eval", "getattr chain", "dotted name", "nested"])
def test_hostile_archives_run_nothing(name: str, tmp_path: Path) -> None:
    """The same inside a file of torch.save."""
    file = tmp_path / "official.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("official/data.pkl", hostile(tmp_path)[name])
        archive.writestr("official/version", "3\n")
    with pytest.raises(BenchError, match="cannot read the checkpoint"):
        read(file)
    assert not (tmp_path / "run").exists()


def test_an_attack_is_called_one(tmp_path: Path) -> None:
    file = tmp_path / "x.pkl"
    file.write_bytes(hostile(tmp_path)["getattr chain"])
    with pytest.raises(BenchError, match=r"asks to run (builtins\.getattr|importlib\.import_module).*do not trust"):
        read(file)


def test_a_hostile_class_next_to_tensors_stays_a_name(tmp_path: Path) -> None:
    """A module that is unknown cannot be told from a method's own class: it is kept as a record."""
    evil = types.ModuleType("evil_package")
    evil.alarm = alarm  # type: ignore[attr-defined]
    data = raw(
        b"}(", text("w"), pickle.dumps(torch.arange(3.0), 4)[2:-1].partition(b"\x95")[0] or b"N",
        text("x"), text("evil_package"), text("alarm"), b"\x93", b")R", b"u",
    )  # fmt: skip
    assert "alarm" in repr([argument for _, argument, _ in pickletools.genops(data)])
    content = parse(io.BytesIO(data))
    assert content["x"].name == "evil_package.alarm"
    assert "evil_package" not in sys.modules


@pytest.mark.parametrize(
    "data",
    [
        raw(b"]" * 20_000, b"a" * 19_999),
        raw(b")", b"\x85" * 20_000),
        raw(b"N", b"\x85" * 20_000, b"\x94", b"}", b"h\x00", b"K\x01", b"s"),  # a key whose hash would overflow
        raw(b"]\x94", b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"e\x94" for i in range(200))),
    ],
    ids=["lists", "tuples", "tuple as a key", "doubling"],
)
def test_bombs_are_defused(data: bytes) -> None:
    """Depth and references to references end in an error or in nothing, soon, and never in a crash."""
    start = time.perf_counter()
    try:
        assert flatten(plain(parse(io.BytesIO(data)))) == {}
    except Exception as error:
        assert not isinstance(error, MemoryError)
    assert time.perf_counter() - start < 20


def test_modules_inside_themselves_end(tmp_path: Path) -> None:
    state: dict[str, Any] = {"_parameters": {"w": torch.ones(1)}, "_buffers": {}, "_modules": {}}
    data = pickle.dumps(state, 2)[2:-1]
    module = text("a") + text("b") + b"\x93)R"  # memo is used by `data`, so the module stands twice on the stack
    loop = raw(module, b"2", data, text("_modules"), b"}", text("m"), b"N", b"ss", b"b", b"0")
    file = tmp_path / "x.pkl"
    file.write_bytes(loop)
    assert list(read(file)) == ["w"]
    cyclic = raw(module, b"q\xff", data, text("_modules"), b"}", text("m"), b"h\xff", b"ss", b"b")
    file.write_bytes(cyclic)
    with pytest.raises(BenchError, match="without end"):
        read(file)


torch.manual_seed(0)
SOUND = [pickle.dumps({"G_ema": nn.Linear(2, 2), "k": np.ones(3)}, protocol=p) for p in range(5)]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_an_error_and_never_a_crash(data: st.DataObject) -> None:
    """Flip, cut and insert bytes anywhere in a sound file."""
    sound = bytearray(data.draw(st.sampled_from(SOUND)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(sound) - 1))
        sound[position : position + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    try:
        found = loads(bytes(sound))
    except Exception as error:
        assert not isinstance(error, AssertionError | SystemExit)
    else:
        assert all(isinstance(tensor, Tensor) for tensor in found.values())
