"""Reads checkpoints of every official kind. Nothing in them is executed."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.weights import dlib
from bench.weights.modules import DEEPEST, MOST, plain
from bench.weights.records import Global, Refused
from bench.weights.rules import LARGEST_VIEW
from bench.weights.unpickle import parse

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how files of `torch.save` before 1.6 start
PAGES = (b"<!doctype", b"<html")
POINTER = b"version https://git-lfs"  # what Git leaves in the place of a large file
OTHERS = {
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"RIFF": "a picture",
    b"\x93NUMPY": "a NumPy array",
}  # fmt: skip
KINDS = "safetensors, files of torch.save (.pth, .pt, .ckpt), pickles of networks (.pkl) and networks of dlib (.dat)"
AGAIN = "fetch or save it again"
PROGRAM = "/code/"  # folder of the program in files of `torch.jit.save`
STORAGES = {
    f"torch.{name}Storage": dtype
    for name, dtype in {
        "Double": torch.float64, "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16,
        "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
        "Bool": torch.bool, "ComplexFloat": torch.complex64, "ComplexDouble": torch.complex128,
    }.items()
}  # fmt: skip


def read(file: str | Path) -> Mapping[str, Any]:
    """The tensors of a checkpoint, under the names of its makers.

    Takes ``.safetensors``, files of `torch.save` (read with `weights_only`; where they hold more than tensors, by
    `unpickle`), pickles of networks (``.pkl``), whose tensors get the names ``G_ema.synthesis.b4.const``, and networks
    of dlib (``.dat``).
    Raises BenchError for a file that is damaged, holds no tensors, or asks to run something.
    """
    path = Path(file)
    try:
        if not path.is_file():  # reading a pipe would wait without end
            raise Refused("it is no file" if path.exists() else "there is no such file")
        with path.open("rb") as handle:
            start = handle.read(max(len(LEGACY), len(POINTER)))
        if not start:
            raise Refused(f"it is empty: {AGAIN}")
        if start.lstrip().lower().startswith(PAGES):
            raise Refused(f"it is a web page, as a download that failed leaves it: {AGAIN}")
        if start.startswith(POINTER):
            raise Refused("it is a pointer of Git LFS, not the file itself: fetch that with `git lfs pull`")
        if other := next((kind for sign, kind in OTHERS.items() if start.startswith(sign)), None):
            raise Refused(f"it is {other}: give {KINDS}")
        if path.suffix.lower() == ".safetensors":
            return _read_safetensors(path)
        if start.startswith(LEGACY) or start.startswith(b"PK"):
            return _read_torch(path)
        if start.startswith(dlib.START):
            return dlib.parse(path.read_bytes())
        return _read_pickle(path)
    except OSError as error:
        raise BenchError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    except Refused as error:
        raise BenchError(f"cannot read the checkpoint {path}: {error}") from error
    except Exception as error:  # a damaged or hostile file can raise anything
        reason = f"it is damaged, or holds more than tensors: {AGAIN}"
        raise BenchError(f"cannot read the checkpoint {path}: {reason}") from error


def walk(value: Any) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
    """Each tensor in nested dictionaries and lists, with the keys that lead to it; other content is left out."""
    work: list[tuple[tuple[Any, ...], Any]] = [((), value)]
    for _ in range(MOST):
        if not work:
            return
        keys, item = work.pop()
        if len(keys) > DEEPEST:
            break
        if isinstance(item, Tensor):
            yield keys, item
        elif isinstance(item, Mapping | list | tuple):
            parts = item.items() if isinstance(item, Mapping) else enumerate(item)
            work += [
                ((*keys, key), part)
                for key, part in reversed([*parts])
                if isinstance(part, Tensor | Mapping | list | tuple)
            ]
    raise Refused("more content than a checkpoint has")


def joined(keys: tuple[Any, ...]) -> str:
    """The name that a tensor behind these keys gets: ``g_ema.conv.weight``."""
    return ".".join(map(str, keys))


def flatten(value: Any) -> dict[str, Tensor]:
    """The tensors of nested dictionaries and lists; names are joined by dots, other content is left out.

    Raises Refused where two tensors would get the same name: ``{"a.b": ..., "a": {"b": ...}}``.
    """
    found: dict[str, tuple[tuple[Any, ...], Tensor]] = {}
    for keys, tensor in walk(value):
        first, _ = found.setdefault(joined(keys), (keys, tensor))
        if first is not keys:
            raise Refused(f"two of its tensors would be named {joined(keys)!r}: {place(first)} and {place(keys)}")
    return {name: tensor for name, (_, tensor) in found.items()}


def place(keys: tuple[Any, ...]) -> str:
    """Where a tensor lies, as Python says it: ``['g_ema'][0]``. It tells the keys 0 and "0" apart."""
    return "".join(f"[{key!r}]" for key in keys)


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import safe_open

    structure = metadata(path).get("structure")
    with safe_open(path, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dictionary)
    if not structure:
        return tensors
    content = _rebuild(json.loads(structure), tensors)
    if len({id(tensor) for _, tensor in walk(content)}) < len(tensors):
        raise Refused("its `structure` leaves some of its tensors out")
    return _named(content)


def metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself; nothing of files of other kinds."""
    from safetensors import safe_open

    if path.suffix.lower() != ".safetensors":
        return {}
    with safe_open(path, "pt") as opened:
        return opened.metadata() or {}


def _rebuild(structure: Any, tensors: Mapping[str, Tensor]) -> Any:
    """`structure` with each name replaced by its tensor: what a converted file held before."""
    if isinstance(structure, dict):
        return {key: _rebuild(part, tensors) for key, part in structure.items()}
    if isinstance(structure, list):
        return [_rebuild(part, tensors) for part in structure]
    return tensors[structure]


def _read_torch(path: Path) -> Mapping[str, Any]:
    if zipfile.is_zipfile(path) and _check_archive(path):
        return _read_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if not zipfile.is_zipfile(path):
            raise
        return _read_archive(path)
    tensors = [*walk(content)]
    if not tensors:
        raise Refused("it holds no tensors")
    for keys, tensor in tensors:
        elements = tensor.untyped_storage().nbytes() // tensor.element_size()
        if tensor.device.type != "cpu" or tensor.numel() > max(elements, LARGEST_VIEW):
            raise Refused(f"the tensor {joined(keys)!r} is larger than its storage")
    return _named(content)


def _named(content: Any) -> Mapping[str, Any]:
    """The content with its names; what has none, such as a list, gets the names of `flatten`."""
    return content if isinstance(content, Mapping) else flatten(content)


def _read_pickle(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as handle:
        tensors = flatten(plain(parse(handle)))
    if not tensors:
        raise Refused("it holds no tensors")
    return tensors


def _read_archive(path: Path) -> Mapping[str, Any]:
    """A file of `torch.save` (since 1.6) that holds more than tensors, or of `torch.jit.save`, without its program."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if PROGRAM not in name]
        pickled = next(name for name in names if name.rpartition("/")[2] == "data.pkl")
        folder = pickled.rpartition("/")[0]
        known: dict[str, Tensor] = {}

        def storage(identity: Any) -> Tensor:
            _, kind, key, _, count = identity
            if "/" in key:
                raise Refused("a tensor outside of its folder")
            if key not in known:
                known[key] = _stored(archive, f"{folder}/data/{key}", kind)
            if len(known[key]) < count:
                raise Refused("a tensor is larger than its storage")
            return known[key]

        content = plain(parse(io.BytesIO(archive.read(pickled)), storage))
    if not [*walk(content)]:
        raise Refused("it holds no tensors")
    return _named(content)


def _check_archive(path: Path) -> bool:
    """Whether it is one of `torch.jit.save`: it holds a program, which is never read.

    All the rest is not compressed, so that an archive that would become larger than its file is an attack.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if entries and all(entry.filename.endswith(".npy") for entry in entries):
        raise Refused(f"it is an archive of NumPy arrays: give {KINDS}")
    scripted = any(entry.filename.endswith("/constants.pkl") for entry in entries)
    if scripted:
        entries = [entry for entry in entries if PROGRAM not in entry.filename]
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise Refused("it is compressed, which no checkpoint is")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise Refused("its parts are larger than the file")
    return scripted


def _stored(archive: zipfile.ZipFile, name: str, kind: Any) -> Tensor:
    """One storage of an archive, as a flat tensor."""
    if not isinstance(kind, Global) or kind.name not in STORAGES:
        raise Refused("a tensor of no known type")
    dtype = STORAGES[kind.name]
    data = bytearray(archive.read(name))
    return torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
