"""A seeded corpus of malformed files: what is broken, what lies about its size, and what tries to run a program.

`CASES` are (name, function): the function writes its files into an empty folder, the current one, and gives a `Case`.
`CANARY` is the file that every attack tries to make.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from PIL import Image
from safetensors.torch import save as to_safetensors

import masks
from tests.reports import made_up

CANARY = "canary"
TOUCH = f"touch {CANARY}"


@dataclass(frozen=True)
class Case:
    """A command that reads a malformed file: it must be refused in one message that holds `named`.

    `odd`: the file may also be taken, where it is only strange; then nothing else may happen.
    """

    command: list[str]
    named: str
    odd: bool = False


class Call:
    """A pickle of it calls `function` when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def flipped(data: bytes, seed: int, count: int = 8) -> bytes:
    """The data with a few bits turned over."""
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for place in rng.integers(0, len(data), count):
        changed[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(changed)


def bent(good: bytes, flips: int = 4) -> dict[str, tuple[bytes, bool]]:
    """What happens to any file: content, and whether it may still be taken."""
    rng = np.random.default_rng(len(good))
    return {
        "empty": (b"", False),
        "text": (b"hello", False),
        "a web page": (b"<!DOCTYPE html><html><body>Sign in</body></html>", False),
        "zeros": (bytes(200), False),
        "noise": (rng.bytes(500), False),
        **{f"cut at {share} %": (good[: len(good) * share // 100], False) for share in (5, 50, 90)},
        **{f"flipped bits {i}": (flipped(good, i), True) for i in range(flips)},
    }


# Files that are no files ------------------------------------------------------------------------------------------


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILES = {
    "a folder": _directory,
    "a pipe": _pipe,
    "a dangling link": _dangling,
    "a link to itself": _loop,
    "an endless device": _endless,
}


# Images -----------------------------------------------------------------------------------------------------------


@cache
def picture(kind: str, size: tuple[int, int] = (40, 40), **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, data: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG file that claims a size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def many_scans() -> bytes:
    """A progressive JPEG of 4 megapixels whose last scan stands there a thousand times."""
    buffer = io.BytesIO()
    Image.new("L", (2000, 2000), 128).save(buffer, format="JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 1000 + data[-2:]


@cache
def images() -> dict[str, tuple[bytes, bool]]:
    text = b"comment\0\0" + zlib.compress(bytes(80_000_000), 1)
    bomb = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n(canary) (w) file closefile\nshowpage\n"
    found = {
        "claims 3.6 gigapixels": (png(60_000, 60_000), False),
        "claims 120 megapixels": (png(12_000, 10_000), False),
        "claims 2^31 pixels a side": (png(2**31 - 1, 2**31 - 1), False),
        "no pixels": (png(0, 0), False),
        "no data": (png(40, 40), False),
        "text that unpacks to 80 MB": (png(40, 40, bytes(40 * 121), extra=bomb), True),
        "a thousand scans": (many_scans(), False),
        "PostScript": (script, False),
        "PostScript in a DOS header": (
            b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, len(script)) + bytes(20) + script,
            False,
        ),
        "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", False),
        "PDF": (b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", False),
        "GIF": (picture("GIF"), True),
        "TIFF": (picture("TIFF"), True),
        "wrong magic": (b"\x89PNG\r\n\x1a\n" + picture("JPEG"), False),
    }
    found |= {f"PNG, {name}": content for name, content in bent(picture("PNG")).items()}
    found |= {f"JPEG, {name}": content for name, content in bent(picture("JPEG"), 2).items() if "t" in name}
    return found | {
        f"WebP, {name}": (data, True) for name, (data, _) in bent(picture("WEBP"), 2).items() if "cut" in name
    }


SUITE: dict[str, Any] = {
    "suite": "small",
    "size": 32,
    "data": [{"name": "synthfaces", "train": 2, "test": 2}],
    "methods": ["mean"],
    "conditions": ["center/25"],
    "metrics": ["psnr"],
    "report": {"main": ["psnr"]},
}
RUN = ["--plan", "--out", "runs"]


def as_data(folder: str) -> list[str]:
    """The command that reads a folder of images as a data set."""
    Path("suite.yaml").write_text(yaml.safe_dump(SUITE))
    return ["run", "suite.yaml", "--data", folder, *RUN]


def as_completed(folder: str) -> list[str]:
    """The command that reads a folder of images as results of a method."""
    Path("truth").mkdir()
    for file in Path(folder).iterdir():
        Path("truth", file.stem + ".png").write_bytes(picture("PNG"))
    return ["evaluate", folder, "truth", "--metrics", "psnr"]


def as_masks(folder: str) -> list[str]:
    """The command that reads a folder of mask files."""
    return ["masks", "check", folder, "--size", "32"]


def as_labels(folder: str) -> list[str]:
    """The command that reads a folder of images as label maps."""
    if (good := Path(folder, "good.png")).exists():
        Image.fromarray(np.asarray(Image.open(good)) // 15).save(good)  # hair
    Path("suite.yaml").write_text(yaml.safe_dump(SUITE))
    return ["run", "suite.yaml", "--labels", folder, *RUN]


READERS = {"data": as_data, "completed": as_completed, "masks": as_masks, "labels": as_labels}


def image_case(reader: str, content: bytes, odd: bool) -> Case:
    folder = Path("pictures")
    folder.mkdir()
    good = np.zeros((40, 40), np.uint8)
    good[8:30, 8:30] = 255
    Image.fromarray(good).save(folder / "good.png")
    (folder / "bad.png").write_bytes(content)
    return Case(READERS[reader]("pictures"), "bad.png", odd)


def no_image_case(reader: str, make: Callable[[Path], None]) -> Case:
    folder = Path("pictures")
    folder.mkdir()
    make(folder / "bad.png")
    return Case(READERS[reader]("pictures"), "pictures")


def named_image_case(reader: str, name: bytes) -> Case:
    folder = Path("pictures")
    folder.mkdir()
    Path(os.fsdecode(b"pictures/" + name)).write_bytes(b"no picture")
    return Case(READERS[reader]("pictures"), "pictures")


NAMES = {
    "an escape sequence": b"\x1b[2J\x1b]0;gone\x07.png",
    "a new line": b"a\nerror: b.png",
    "250 bytes": b"x" * 246 + b".png",
    "right to left": "\u202egnp.exe.png".encode(),
    "markup": b"<img src=x onerror=alert(1)>[bold].png",
    "no UTF-8": b"\xff\xfe.png",
}


def image_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for reader in READERS:
        for name, (content, odd) in images().items():
            yield f"{reader}: {name}", partial(image_case, reader, content, odd)
        for name, make in NO_FILES.items():
            yield f"{reader}: {name}", partial(no_image_case, reader, make)
        for name, raw in NAMES.items():
            yield f"{reader}: a name with {name}", partial(named_image_case, reader, raw)


# Captions ---------------------------------------------------------------------------------------------------------

TEXTS = {
    "nothing": b"",
    "empty lines": b" \n" * 400_000,
    "no UTF-8": b"\xff\xfe\x00",
    "zeros": bytes(100),
    "an escape sequence": b"\x1b[2J\x1b]0;gone\x07",
    "right to left": "\u202egnp.exe".encode(),
    "a long line": b"a " * 1000,
    "three megabytes": b"She smiles.\n" * 2**18,
}


def caption_case(make: Callable[[Path], Any]) -> Case:
    folder = Path("texts")
    folder.mkdir()
    make(folder / "bad.txt")
    Path("suite.yaml").write_text(yaml.safe_dump(SUITE))
    return Case(["run", "suite.yaml", "--captions", "texts", *RUN], "texts")


def caption_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for name, content in TEXTS.items():
        yield f"captions: {name}", partial(caption_case, partial(_write, content))
    for name, make in NO_FILES.items():
        yield f"captions: {name}", partial(caption_case, make)


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


# Mask sets and other archives -------------------------------------------------------------------------------------


@cache
def mask_set() -> tuple[np.ndarray, dict[str, Any]]:
    made = masks.MaskSet.make("irregular/20-30", 32, 4, 0)
    return made._bits, made.manifest


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for name, content in entries.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def claiming(data: bytes, size: int) -> bytes:
    """The archive, each of whose entries claims an unpacked size."""
    changed, place = bytearray(data), data.index(b"PK\x01\x02")
    while place >= 0:
        changed[place + 24 : place + 28] = struct.pack("<I", size)
        place = data.find(b"PK\x01\x02", place + 4)
    return bytes(changed)


def npy(shape: str, dtype: str = "|u1", content: bytes = b"") -> bytes:
    """An array that claims a shape."""
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + content


def mask_sets() -> dict[str, tuple[bytes, bool]]:
    bits, manifest = mask_set()

    def changed(**facts: Any) -> bytes:
        return npz(bits=bits, manifest=np.array(json.dumps(manifest | facts)))

    text = np.array(json.dumps(manifest))
    attack = np.array([Call(os.system, TOUCH)], dtype=object)
    many = {"n": 10**9, "size": [32, 32], "ratios": [0.25]}
    found = {
        "an object array": npz(bits=attack, manifest=text),
        "an object manifest": npz(bits=bits, manifest=attack),
        "no manifest": npz(bits=bits),
        "no masks": npz(manifest=text),
        "a manifest that is no JSON": npz(bits=bits, manifest=np.array("{")),
        "a manifest that is a list": npz(bits=bits, manifest=np.array("[1]")),
        "a deep manifest": npz(bits=bits, manifest=np.array("[" * 100_000)),
        "a manifest of numbers": npz(bits=bits, manifest=np.arange(5)),
        "masks of floats": npz(bits=bits.astype(float), manifest=text),
        "fewer masks": npz(bits=bits[:2], manifest=text),
        "other masks": npz(bits=bits ^ 1, manifest=text),
        "three dimensions": npz(bits=bits[None], manifest=text),
        "a billion masks": changed(**many),
        "masks of 10^9 pixels a side": changed(size=[10**9, 10**9]),
        "no size": changed(size=[0, 0]),
        "a negative size": changed(size=[-32, 32]),
        "a size of text": changed(size="ab"),
        "a size that is NaN": changed(size=[float("nan"), 32]),
        "three sizes": changed(size=[32, 32, 32]),
        "ratios that are NaN": changed(ratios=[float("nan")] * 4),
        "no ratios": changed(ratios=None),
        "an unknown condition": changed(condition="nothing/10-20"),
        "a condition that is a number": changed(condition=5),
        "a condition with a command": changed(condition=f"folder:$({TOUCH})/10-20"),
        "another bucket": changed(condition="irregular/60-70"),
        "another format": changed(format="masks 99"),
        "paths that lead out": archive({"../../bits.npy": npy("(4, 128)"), "/tmp/manifest.npy": b""}),
        "claims 10^12 masks": archive({"bits.npy": npy("(1000000000000, 128)"), "manifest.npy": npy("()", "<U9")}),
        "a text of 10^12 characters": archive(
            {"bits.npy": npy("(4, 128)"), "manifest.npy": npy("()", "<U999999999999")}
        ),
        "a broken header": archive(
            {"bits.npy": b"\x93NUMPY\x01\x00\x04\x00((((", "manifest.npy": b"\x93NUMPY\x09\x09"}
        ),
        "a header that is code": archive(
            {"bits.npy": npy(f"__import__('os').system('{TOUCH}')"), "manifest.npy": b"x"}
        ),
        "claims 4 GB": claiming(changed(), 2**32 - 2),
        "an empty archive": archive({}),
    }
    return {name: (data, False) for name, data in found.items()} | bent(changed(), 6)


def mask_set_case(content: bytes, odd: bool) -> Case:
    Path("bad.npz").write_bytes(content)
    return Case(["masks", "check", "bad.npz"], "bad.npz", odd)


def no_file_case(name: str, command: list[str], make: Callable[[Path], None]) -> Case:
    make(Path(name))
    return Case(command, name)


def golden_case(content: bytes, odd: bool) -> Case:
    Path("golden").mkdir()
    Path("golden/aot.npz").write_bytes(content)
    return Case(["verify", "golden", "golden", "--keys", "golden"], "aot.npz", odd)


def archive_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for name, content in mask_sets().items():
        yield f"mask set: {name}", partial(mask_set_case, *content)
    for name, make in NO_FILES.items():
        if name != "a folder":
            yield f"mask set: {name}", partial(no_file_case, "bad.npz", ["masks", "check", "bad.npz"], make)
    golden = {
        "an object array": npz(meta=np.array([Call(os.system, TOUCH)], dtype=object)),
        "no facts": npz(out_x=np.zeros(3)),
        "facts that are no JSON": npz(meta=np.array("{")),
        "facts that are a list": npz(meta=np.array("[]")),
        "a deep meta": npz(meta=np.array("[" * 100_000)),
        "claims 4 GB": claiming(npz(meta=np.array("{}")), 2**32 - 2),
        "text": b"hello",
        "cut": npz(meta=np.array("{}"))[:60],
    }
    for name, data in golden.items():
        yield f"golden file: {name}", partial(golden_case, data, False)


# Checkpoints ------------------------------------------------------------------------------------------------------


def saved(value: Any, new: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def tensors() -> dict[str, Any]:
    return {"w": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2)}


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tar(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        entry = tarfile.TarInfo(name)
        entry.size = 5
        opened.addfile(entry, io.BytesIO(b"hello"))
    return buffer.getvalue()


def deep(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = {"a": value}
    return value


def raw(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def checkpoints() -> dict[str, tuple[str, bytes, bool]]:
    attack = tensors() | {"x": Call(os.system, TOUCH)}
    f32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    rebuilt = saved(tensors())
    found: dict[str, tuple[str, bytes]] = {
        **{f"os.system, pickle {p}": ("pkl", pickle.dumps({"x": Call(os.system, TOUCH)}, p)) for p in range(6)},
        "eval": ("pkl", pickle.dumps(Call(eval, f"__import__('os').system('{TOUCH}')"))),
        "exec": ("pkl", pickle.dumps(Call(exec, f"open('{CANARY}', 'w')"))),
        "open": ("pkl", pickle.dumps(Call(open, CANARY, "w"))),
        "os.system by INST": ("pkl", f"(S'{TOUCH}'\nios\nsystem\n.".encode()),
        "os.system in a new file of torch": ("pth", saved(attack)),
        "os.system in an old file of torch": ("pth", saved(attack, new=False)),
        "os.system in a safetensors file": ("safetensors", pickle.dumps(Call(os.system, TOUCH))),
        "an old archive that leads out": ("pth", tar("../../storages")),
        "an archive that leads out": ("pth", archive({"../../../x/data.pkl": pickle.dumps({}), "../../canary": b""})),
        "a compressed archive": ("pth", archive({"a/data.pkl": pickle.dumps(tensors())}, zipfile.ZIP_DEFLATED)),
        "an archive that claims 4 GB": ("pth", claiming(rebuilt, 2**32 - 2)),
        "an archive without a pickle": ("pth", archive({"a/other": b""})),
        "an archive of nothing": ("pth", archive({})),
        "TorchScript": ("pth", archive({"a/data.pkl": b"", "a/constants.pkl": b"", "a/code/x.py": TOUCH.encode()})),
        "a tensor larger than its storage": ("pth", saved({"w": torch.zeros(1).expand(30_000, 30_000)})),
        "a number": ("pth", saved(5)),
        "a text": ("pth", saved("hello")),
        "no tensors": ("pth", saved({"a": {"b": [1, 2]}})),
        "a list of nothing": ("pth", saved([])),
        "deep tables": ("pth", saved(deep(torch.ones(1), 150))),
        "nothing but an end": ("pkl", b"."),
        "an unknown opcode": ("pkl", b"\x80\x04\xfe."),
        "a memory that is not there": ("pkl", raw(b"h\x05")),
        "a text of 2^62 bytes": ("pkl", raw(b"\x8d", struct.pack("<Q", 2**62))),
        "a number of 2^30 bytes": ("pkl", raw(b"\x8b", struct.pack("<i", 2**30))),
        "marks without end": ("pkl", raw(b"(" * 100_000)),
        "lists inside lists": ("pkl", raw(b"]" * 100_000 + b"a" * 99_999)),
        "a reference to another file": ("pkl", raw(b"K\x01Q")),
        "a header of 2^60 bytes": ("safetensors", struct.pack("<Q", 2**60)),
        "a header that is no JSON": ("safetensors", safetensors(b"{{{{")),
        "a header that is a list": ("safetensors", safetensors([])),
        "a deep header": ("safetensors", safetensors(b"[" * 100_000)),
        "data that is not there": ("safetensors", safetensors({"w": f32 | {"data_offsets": [0, 2**40]}})),
        "data before the start": ("safetensors", safetensors({"w": f32 | {"data_offsets": [8, 0]}}, bytes(8))),
        "data that overlaps": ("safetensors", safetensors({"w": f32, "v": f32}, bytes(8))),
        "an unknown type": ("safetensors", safetensors({"w": f32 | {"dtype": "F99"}}, bytes(8))),
        "a shape that does not fit": ("safetensors", safetensors({"w": f32 | {"shape": [3]}}, bytes(8))),
        "a shape that overflows": ("safetensors", safetensors({"w": f32 | {"shape": [2**62, 2**62]}}, bytes(8))),
        "no content": ("safetensors", safetensors({})),
    }
    for name, structure in {"no JSON": "{", "unknown": '"v"', "deep": "[" * 10_000, "a number": "5"}.items():
        data = to_safetensors({"w": torch.ones(2)}, {"structure": structure})
        found[f"a structure that is {name}"] = ("safetensors", data)
    made = {name: (suffix, data, False) for name, (suffix, data) in found.items()}
    odd = {"../../canary": torch.ones(1), "\x1b[31m": torch.ones(1), "a" * 10_000: torch.full((2,), torch.nan)}
    made["keys that are paths"] = ("pth", saved(odd), True)
    for suffix, good in (
        ("pth", rebuilt),
        ("pt", saved(tensors(), new=False)),
        ("safetensors", to_safetensors(tensors())),
    ):
        made |= {f"{suffix}, {name}": (suffix, *content) for name, content in bent(good, 5).items()}
    return made


def checkpoint_case(suffix: str, content: bytes, odd: bool) -> Case:
    Path(f"bad.{suffix}").write_bytes(content)
    return Case(["weights", "convert", f"bad.{suffix}", "out.safetensors"], f"bad.{suffix}", odd)


def checkpoint_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for name, content in checkpoints().items():
        yield f"checkpoint: {name}", partial(checkpoint_case, *content)
    for suffix in ("pth", "safetensors"):
        command = ["weights", "convert", f"bad.{suffix}", "out.safetensors"]
        for name, make in NO_FILES.items():
            yield f"checkpoint, {suffix}: {name}", partial(no_file_case, f"bad.{suffix}", command, make)


# Suites -----------------------------------------------------------------------------------------------------------


def texts() -> dict[str, bytes]:
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    merges = "m0: &m0 {x: 1}\n" + "".join(
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}\n" for i in range(1, 12)
    )
    good = yaml.safe_dump(SUITE)
    found = {
        "empty": "",
        "a list": "- 1\n- 2\n",
        "a text": "hello",
        "an open bracket": "suite: [",
        "a tab": "suite:\n\tname: x\n",
        "only comments": "# nothing\n",
        "billion laughs": laughs + good,
        "billion merges": merges + good,
        "inside itself": "data: &d [*d]\n",
        "100,000 brackets": "suite: " + "[" * 100_000,
        "60 brackets": "title: " + "[" * 60 + "]" * 60 + "\n" + good,
        "two documents": good + "---\n" + good,
        "a key that stands twice": good + "suite: other\n",
        "an unknown anchor": "suite: *nobody\n",
        "os.system": f"suite: !!python/object/apply:os.system ['{TOUCH}']\n",
        "a Python name": "suite: !!python/name:os.system\n",
        "a Python module": "suite: !!python/module:os\n",
        "an object": "suite: !!python/object/new:subprocess.Popen [[touch, canary]]\n",
        "an unknown tag": "suite: !mine x\n",
        "a number of 10,000 digits": "seed: " + "9" * 10_000 + "\n",
        "a number of base 60": "seed: 1" + ":59" * 20_000 + "\n",
        "a date that is not": "title: 2001-99-99\n" + good.replace("title", "t"),
        "an escape sequence": 'title: "\\e[2J\\e]0;gone\\a"\n' + good,
        "a zero byte": good.replace("center/25", '"center\\0"'),
        "a key that is a list": "? [a, b]\n: 1\n" + good,
        "a key that is a number": "5: 6\n" + good,
        "300 KB": good + "# " + "x" * 300_000,
    }
    return {name: text.encode() for name, text in found.items()} | {
        "UTF-16": good.encode("utf-16"),
        "not UTF-8": b"suite: \xff\xfe",
        "a picture": picture("PNG"),
        "cut": good[:-30].encode(),
    }


def changes() -> dict[str, dict[str, Any]]:
    def data(**facts: Any) -> dict[str, Any]:
        return {"data": [SUITE["data"][0] | facts]}

    def method(**facts: Any) -> dict[str, Any]:
        return {"methods": [{"method": "aot"} | facts]}

    found: dict[str, dict[str, Any]] = {
        "a name that leads out": {"suite": "../../etc"},
        "an absolute name": {"suite": "/etc/passwd"},
        "a name of dots": {"suite": ".."},
        "a name of another folder": {"suite": "jobs"},
        "a name of the cache": {"suite": "cache"},
        "a name of 100,000 letters": {"suite": "a" * 100_000},
        "a name with a line": {"suite": "a\nb"},
        "data that lead out": data(name="../x"),
        "data of 300 letters": data(name="ü" * 300),
        "data without a name": {"data": [{}]},
        "data twice": {"data": SUITE["data"] * 2},
        "10^12 images": data(train=10**12),
        "-1 images": data(test=-1),
        "a title of another folder": method(title="Original"),
        "a title of 100,000 letters": method(title="a" * 100_000),
        "titles of one folder": {"methods": [{"method": "mean", "title": "a b"}, {"method": "telea", "title": "a/b"}]},
        "a size below zero": {"size": -1},
        "a size of 10^9": {"size": 10**9},
        "a size of text": {"size": "large"},
        "a size that is NaN": {"size": float("nan")},
        "a size that is infinite": {"size": float("inf")},
        "no seeds": {"seeds": []},
        "seeds of text": {"seeds": ["a"]},
        "seeds in a table": {"seeds": {"a": 1}},
        "a seed below zero": {"seed": -5},
        "no methods": {"methods": []},
        "methods that are a number": {"methods": 5},
        "a method that is a list": {"methods": [["mean"]]},
        "a method that is nothing": {"methods": [None]},
        "an unknown method": {"methods": ["os.system"]},
        "unknown options": method(options={"nothing": 1}),
        "options of another type": method(options={"width": "wide"}),
        "options that are a list": method(options=[1]),
        "weights that are not there": method(weights="nowhere.pth"),
        "weights that are this suite": method(weights="bad.yaml", preset="nothing"),
        "data that are a text": {"data": "faces"},
        "data that are a table": {"data": {"name": "x"}},
        "training that is a list": {"train": [1]},
        "no steps": {"train": {"steps": 0}},
        "unknown features": {"train": {"features": "mine"}},
        "an unknown key": {"metods": []},
        "no conditions": {"conditions": []},
        "conditions that are a text": {"conditions": "center/25"},
        "metrics that are a number": {"metrics": 7},
        "an unknown metric": {"metrics": ["psnr", "x" * 5000]},
        "two kinds of SSIM": {"metrics": ["ssim", "ssim@ec51"], "report": {"main": ["ssim", "ssim@ec51"]}},
        "expectations that are rubbish": {"expect": ["mean < < [psnr"]},
        "10^9 cells": {
            "seeds": list(range(1000)),
            "shots": list(range(1, 1001)),
            "conditions": ["center/25", "half/left"],
        },
    }
    conditions = (
        "irregular/20-10",
        "irregular/1-",
        "irregular/99.9999999999999999-100",
        "irregular/" + "9" * 5000 + "-100",
        "nothing",
        "center/1e9",
        "center/-5",
        "center/nan",
        "folder:",
        "folder:nowhere",
        "folder:nowhere/10-20/>999",
        "a/" * 5000,
        "half/up/down",
        "",
        " ",
        "irregular/10-20/10-20",
    )
    return found | {f"the condition {name[:30]!r}": {"conditions": [name]} for name in conditions}


def suite_case(content: bytes, *options: str) -> Case:
    Path("bad.yaml").write_bytes(content)
    return Case(["run", "bad.yaml", *options, *RUN], "")


def suite_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for name, content in texts().items():
        yield f"suite: {name}", partial(suite_case, content)
    for name, change in changes().items():
        yield f"suite: {name}", partial(suite_case, yaml.safe_dump(SUITE | change).encode())
    broken = {
        "methods": {"smoke": {}, "methods": 3},
        "rows": {"smoke": {"expect": []}, "methods": [4]},
        "train": {"train": 5},
        "conditions": {"conditions": 1},
    }
    for name, change in broken.items():
        text = yaml.safe_dump(SUITE | change).encode()
        yield f"suite with --smoke: {name}", partial(suite_case, text, "--smoke")
        yield f"suite with options: {name}", partial(suite_case, text, "--steps", "2", "--masks", "m", "--shots", "²")
    for name, make in NO_FILES.items():
        yield f"suite: {name}", partial(no_file_case, "bad.yaml", ["run", "bad.yaml", *RUN], make)


# Results ----------------------------------------------------------------------------------------------------------

SMALL = {
    "conditions": ("irregular/10-20", "center/25"),
    "metrics": ("psnr",),
    "methods": {"mean": "Mean", "aot": "AOT"},
}


def results(change: Callable[[Path], None], named: str, odd: bool = False) -> Case:
    """A run's folder in which something is changed."""
    change(made_up.write_run(Path("run"), made_up.rows(**SMALL), pictures=1, size=32, images=4))
    return Case(["report", "run"], named, odd)


def written(name: str, content: bytes, run: Path) -> None:
    (run / name).write_bytes(content)


def replaced(name: str, make: Callable[[Path], None], run: Path) -> None:
    (run / name).unlink()
    make(run / name)


def assigned(name: str, facts: dict[str, Any], run: Path) -> None:
    table = pd.read_parquet(run / name)
    for column, value in facts.items():
        table[column] = [value] * len(table)
    table.to_parquet(run / name)


def dropped(name: str, column: str, run: Path) -> None:
    pd.read_parquet(run / name).drop(columns=column).to_parquet(run / name)


def protocol(facts: dict[str, Any], run: Path) -> None:
    (run / "protocol.json").write_text(json.dumps(made_up.PROTOCOL | facts))


def repeated(run: Path) -> None:
    table = pd.read_parquet(run / "results.parquet")
    pd.concat([table, table]).to_parquet(run / "results.parquet")


def emptied(run: Path) -> None:
    pd.read_parquet(run / "results.parquet").iloc[:0].to_parquet(run / "results.parquet")


def enormous(run: Path) -> None:
    """A million equal rows and more: a few kilobytes."""
    first, rows = pd.read_parquet(run / "results.parquet").iloc[0], 1_100_000
    none = pa.array(np.zeros(rows, np.int8))
    columns = {name: pa.DictionaryArray.from_arrays(none, pa.array([value])) for name, value in first.items()}
    pq.write_table(pa.table(columns), run / "results.parquet", compression="zstd")


def linked(name: str, run: Path) -> None:
    """A link in the place of a folder that reports are written to."""
    Path("elsewhere").mkdir()
    Path("elsewhere/precious.txt").write_text("precious")
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(Path("elsewhere").resolve())


def pictured(content: bytes | Callable[[Path], None], run: Path) -> None:
    path = run / "samples/made-up faces/irregular_10-20/masked/000.png"
    path.unlink()
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)


def result_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    def case(
        name: str, change: Callable[[Path], None], named: str, odd: bool = False
    ) -> tuple[str, Callable[[], Case]]:
        return f"results: {name}", partial(results, change, named, odd)

    buffer = io.BytesIO()
    made_up.rows(**SMALL).to_parquet(buffer)
    for name, (content, odd) in bent(buffer.getvalue(), 5).items():
        yield case(f"a table, {name}", partial(written, "results.parquet", content), "results.parquet", odd)
    yield case(
        "a table of attacks", partial(written, "results.parquet", pickle.dumps(Call(os.system, TOUCH))), "results"
    )
    for column in ("value", "metric", "title", "condition", "seed", "n", "extractor"):
        yield case(f"without {column}", partial(dropped, "results.parquet", column), "results.parquet")
    for column, value in (
        ("value", "a lot"),
        ("value", [1.0, 2.0]),
        ("low", "x"),
        ("n", "many"),
        ("n", [1]),
        ("seed", [1]),
        ("seed", "a"),
        ("high", {"a": 1}),
        ("value", b"x"),
    ):
        yield case(f"{column} = {value!r}", partial(assigned, "results.parquet", {column: value}), "results.parquet")
    for column in ("title", "dataset", "condition", "note", "extractor"):
        yield case(
            f"{column} of 100,000 letters", partial(assigned, "results.parquet", {column: "x" * 100_000}), "results"
        )
    yield case("no rows", emptied, "results.parquet")
    yield case("rows twice", repeated, "results.parquet")
    yield case("a million rows in a few kilobytes", enormous, "results.parquet")
    odd = {
        "infinite values": {"value": float("inf"), "low": float("-inf"), "high": 1e308},
        "names that lead out": {"dataset": "../../..", "title": "..", "condition": "../../../.."},
        "names of markup": {"dataset": "<script>x</script>", "metric_title": "\\input{/etc/passwd}", "note": "](x) `|"},
    }
    for name, facts in odd.items():
        unlike = {column: value for column, value in facts.items() if column != "title"}
        yield case(name, partial(assigned, "results.parquet", unlike), "results.parquet", True)
    for name in ("results.parquet", "protocol.json", "per_image.parquet"):
        for kind, make in NO_FILES.items():
            if kind in ("a folder", "a pipe"):
                yield case(f"{name} is {kind}", partial(replaced, name, make), name)
    for name, content in {
        "empty": b"",
        "a list": b"[]",
        "cut": b'{"suite": ',
        "deep": b"[" * 100_000,
        "noise": b"\xff\xfe",
        "deep facts": b'{"a": ' * 60 + b"1" + b"}" * 60,
    }.items():
        yield case(f"protocol {name}", partial(written, "protocol.json", content), "protocol.json")
    for key, value in (
        ("missing", 5),
        ("stand_ins", {"a": [1]}),
        ("suite", {"report": {"main": 5}}),
        ("stand_ins", [5]),
        ("suite", {"report": [1]}),
        ("suite", {"report": {"main": [["a"]]}}),
    ):
        yield case(f"protocol with {key} = {value}", partial(protocol, {key: value}), "protocol.json")
    for name, content in {
        "text": b"hello",
        "cut": picture("PNG")[:100],
        "claims 3.6 gigapixels": png(60_000, 60_000),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    }.items():
        yield case(f"a picture, {name}", partial(pictured, content), "000.png")
    yield case("a picture that is a pipe", partial(pictured, _pipe), "000.png")
    yield case("a picture of another size", partial(pictured, picture("PNG", (16, 16))), "000.png", True)
    yield case("per-image rows, text", partial(written, "per_image.parquet", b"hello"), "per_image.parquet")
    yield case("per-image rows without id", partial(dropped, "per_image.parquet", "id"), "per_image.parquet")
    yield case("per-image values of text", partial(assigned, "per_image.parquet", {"value": "x"}), "per_image.parquet")
    for name in ("losses.parquet", "costs.parquet"):
        yield case(f"{name} is text", partial(written, name, b"hello"), name)
    for name in ("report", "report/tables", "report/figures", "report/images"):
        yield case(f"{name} is a link", partial(linked, name), name)


CASES: dict[str, Callable[[], Case]] = {
    **dict(image_cases()),
    **dict(caption_cases()),
    **dict(archive_cases()),
    **dict(checkpoint_cases()),
    **dict(suite_cases()),
    **dict(result_cases()),
}

if sys.platform == "win32":  # no pipes, and links need rights
    CASES = {name: make for name, make in CASES.items() if not any(kind in name for kind in (*NO_FILES, "a link"))}
