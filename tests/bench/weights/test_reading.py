"""Reading and converting checkpoints of every kind."""

from __future__ import annotations

import argparse
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench import weights
from bench.errors import BenchError


def content() -> dict[str, Any]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    return {
        "g": net.state_dict(), "g_ema": list(net.parameters()), "args": argparse.Namespace(size=256), "iter": 7,
        "latent_avg": torch.randn(4, 6).t(), "half": {"a": {"b.c": torch.ones(2).half()}}, "empty": {},
    }  # fmt: skip


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("new", [True, False])
def test_files_of_torch(tmp_path: Path, new: bool) -> None:
    state = {"g": content()["g"], "iter": 7}
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=new)
    found = weights.read(tmp_path / "x.pth")
    assert equal(found["g"], state["g"])
    assert found["iter"] == 7


def test_conversion_keeps_tensors_and_nesting(tmp_path: Path) -> None:
    torch.save(content(), tmp_path / "x.pt")
    count = weights.convert(tmp_path / "x.pt", tmp_path / "x.safetensors")
    flat = load_file(tmp_path / "x.safetensors")  # plain safetensors for every other program
    assert count == len(flat) == 7 + 4 + 2
    assert {"g.0.weight", "g_ema.3", "latent_avg", "half.a.b.c"} <= set(flat)
    expected = content()
    found = weights.read(tmp_path / "x.safetensors")
    assert list(found) == ["g", "g_ema", "latent_avg", "half"]
    assert all(equal(found[key], expected[key]) for key in found)
    weights.convert(tmp_path / "x.safetensors", tmp_path / "again.safetensors")
    assert equal(weights.read(tmp_path / "again.safetensors"), found)


def test_conversion_of_a_flat_state_and_of_a_pickle(tmp_path: Path) -> None:
    net = nn.Linear(2, 3)
    torch.save(net.state_dict(), tmp_path / "x.pth")
    weights.convert(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert equal(weights.read(tmp_path / "x.safetensors"), dict(net.state_dict()))
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"G_ema": net, "D": None}))
    weights.convert(tmp_path / "x.pkl", tmp_path / "y.safetensors")
    assert set(load_file(tmp_path / "y.safetensors")) == {"G_ema.weight", "G_ema.bias"}
    assert equal(weights.read(tmp_path / "y.safetensors"), weights.read(tmp_path / "x.pkl"))


def test_names_that_share_a_tensor_are_both_written(tmp_path: Path) -> None:
    shared = torch.randn(3)
    torch.save({"a": shared, "b": shared, "c": shared[1:]}, tmp_path / "x.pth")
    weights.convert(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert {key: len(value) for key, value in load_file(tmp_path / "x.safetensors").items()} == {"a": 3, "b": 3, "c": 2}


def test_conversion_refuses(tmp_path: Path) -> None:
    torch.save({"a": 1}, tmp_path / "x.pth")
    with pytest.raises(BenchError, match="holds no tensors"):
        weights.convert(tmp_path / "x.pth", tmp_path / "x.safetensors")
    with pytest.raises(BenchError, match=r"must end in \.safetensors"):
        weights.convert(tmp_path / "x.pth", tmp_path / "x.pt")
    with pytest.raises(BenchError, match=r"cannot read the checkpoint .*absent"):
        weights.convert(tmp_path / "absent", tmp_path / "x.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pth"]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    save_file({"w": torch.ones(100)}, tmp_path / "a.safetensors")
    torch.save({"w": torch.ones(100)}, tmp_path / "b.pth")
    torch.save({"w": torch.ones(100)}, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    for file in sorted(tmp_path.iterdir()):
        whole = file.read_bytes()
        for cut in (0, 5, 60, len(whole) - 200):
            file.write_bytes(whole[:cut])
            with pytest.raises(BenchError, match=f"cannot read the checkpoint .*{file.name}"):
                weights.read(file)


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, b"")
    return content.getvalue()


@pytest.mark.parametrize("name", ["a.pth", "a.pkl", "a.safetensors"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty: fetch or save it again"),
        (b"\n<!DOCTYPE html><title>Quota exceeded</title>", "it is a web page, .*: fetch or save it again"),
        (b"<html><body>404</body></html>", "it is a web page, .*: fetch or save it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", r"it is a pointer of Git LFS, .* `git lfs pull`"),
        (b"\x89PNG\r\n", r"it is a picture: give safetensors, files of torch\.save .*"),
        (b"\x93NUMPY\x01\x00", "it is a NumPy array: give safetensors, .*"),
        (zipped("arr_0.npy"), "it is (an archive of NumPy arrays: give safetensors, .*|damaged, .*)"),
        (b"no checkpoint", "it is damaged, or holds more than tensors: fetch or save it again"),
    ],
)
def test_what_is_no_checkpoint_is_told_with_the_remedy(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchError, match=f"cannot read the checkpoint .*{name}: {reason}$"):
        weights.read(tmp_path / name)


def test_a_structure_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    save_file({"w": torch.ones(1)}, tmp_path / "x.safetensors", {"structure": '{"g": {"w": "other"}}'})
    with pytest.raises(BenchError, match="cannot read"):
        weights.read(tmp_path / "x.safetensors")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_programs_give_their_tensors_and_are_not_run(tmp_path: Path) -> None:
    """Files of `torch.jit.save`: only the program may be compressed."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))).half()
    torch.jit.save(torch.jit.script(net), str(tmp_path / "x.pt"))
    found = weights.read(tmp_path / "x.pt")
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        name: tuple(value.shape) for name, value in net.state_dict().items()
    }
    assert all(torch.equal(found[name], value) for name, value in net.state_dict().items())
    with zipfile.ZipFile(tmp_path / "x.pt") as old, zipfile.ZipFile(tmp_path / "y.pt", "w") as spoilt:
        for entry in old.infolist():
            data = b"this is no program" if "/code/" in entry.filename else old.read(entry)
            spoilt.writestr(entry.filename, data)
    assert equal(dict(weights.read(tmp_path / "y.pt")), dict(found))
    with zipfile.ZipFile(tmp_path / "z.pt", "w", zipfile.ZIP_DEFLATED) as spoilt:
        spoilt.writestr("x/constants.pkl", b"")
        spoilt.writestr("x/data.pkl", bytes(10_000))
    with pytest.raises(BenchError, match="it is compressed"):
        weights.read(tmp_path / "z.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
@pytest.mark.parametrize("key", ["0", "../code/0"])
def test_what_lies_in_a_program_is_never_unpacked(tmp_path: Path, key: str) -> None:
    """There it may be compressed: a small file could become gigabytes."""
    torch.jit.save(torch.jit.script(nn.Linear(2, 3)), str(tmp_path / "x.pt"))
    place = "x/code/" if key == "0" else "x/"
    with zipfile.ZipFile(tmp_path / "x.pt") as old, zipfile.ZipFile(tmp_path / "y.pt", "w") as spoilt:
        content = old.read("x/data.pkl").replace(
            b"X\x01\x00\x00\x000", b"X" + struct.pack("<I", len(key)) + key.encode()
        )
        spoilt.writestr("x/constants.pkl", b"")
        spoilt.writestr(f"{place}data.pkl", content)
        for name in ("x/code/data/0", "x/code/data/1", "x/data/../code/0", "x/data/1"):
            spoilt.writestr(name, bytes(24), zipfile.ZIP_DEFLATED if "/code/" in name else zipfile.ZIP_STORED)
    with pytest.raises(BenchError, match=r"cannot read the checkpoint .*y\.pt"):
        weights.read(tmp_path / "y.pt")
