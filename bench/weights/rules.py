"""What the names in a pickle stand for: the few constructors of a checkpoint, written again without side effects."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.weights.records import Array, Global, NumberType, Order, Record, Refused, read_array

LARGEST_VIEW = 2**20  # elements of a tensor that repeats its storage
ATTACKS = {  # modules whose functions no checkpoint needs
    "os", "posix", "nt", "sys", "subprocess", "socket", "shutil", "pty", "runpy", "importlib", "ctypes", "code",
    "webbrowser", "builtins",
}  # fmt: skip


def _frombuffer(data: Any, dtype: NumberType, shape: tuple[int, ...], order: Order) -> Array:
    array = Array()
    array.value = read_array(data, dtype, shape, order)
    return array


def _scalar(dtype: NumberType, data: Any) -> Any:
    return read_array(data, dtype, (), "C").item()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"text in {encoding}")
    return text.encode("latin-1")


def _pairs(entries: Any = ()) -> dict[Any, Any]:
    return {key(name): value for name, value in entries}


def key(name: Any) -> Any:
    """A key of a dictionary. Other kinds name no tensor, and the hash of nested tuples could overflow the stack."""
    return name if isinstance(name, str | bytes | int | float | Global | None) else id(name)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    if math.prod(size) > max(len(storage), LARGEST_VIEW):
        raise Refused("a tensor that is larger than its storage")
    return storage.as_strided(size, stride, offset)  # checks the bounds


def _typed_tensor(_rebuild: Any, _type: Any, arguments: tuple[Any, ...], _state: Any) -> Tensor:
    return _tensor(*arguments)


def _storage(data: bytes) -> Tensor:
    try:
        storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except AssertionError as error:  # of torch, for damaged files
        raise Refused(f"a damaged tensor ({error})") from error
    return torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage)


def _reconstruct(cls: Global, *_: Any) -> Record:
    return Record(cls.name)


def _persistent(meta: Any) -> Record:
    """An object of StyleGAN2-ADA's `torch_utils.persistence`; its source code stays text."""
    meta = meta.items if isinstance(meta, Record) else meta
    return Record(str(meta["class_name"]), state=meta["state"])


RULES: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _pairs,
    "collections.defaultdict": lambda _factory=None, entries=(): _pairs(entries),
    "builtins.dict": _pairs,
    "builtins.list": lambda entries=(): list(entries),
    "builtins.tuple": lambda entries=(): tuple(entries),
    "builtins.set": lambda entries=(): list(entries),
    "builtins.frozenset": lambda entries=(): list(entries),
    "builtins.bytes": lambda: b"",
    "builtins.bytearray": lambda data=b"", encoding="latin1": _encode(data) if isinstance(data, str) else bytes(data),
    "builtins.slice": lambda *_: None,
    "builtins.range": lambda *_: None,
    "builtins.complex": complex,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstruct,
    "copyreg.__newobj__": lambda cls, *arguments: Record(cls.name, arguments),
    "torch.Size": lambda size=(): tuple(size),
    "torch.storage._load_from_bytes": _storage,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    "torch._tensor._rebuild_from_type_v2": _typed_tensor,
    "numpy.dtype": NumberType,
    "numpy.core.multiarray._reconstruct": lambda *_: Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _frombuffer,
}
NAMES_ONLY = {"builtins.object", "builtins.int", "builtins.float", "builtins.str", "builtins.bool", "builtins.type"}
RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "numpy._core": "numpy.core"}


def named(module: str, attribute: str) -> Global:
    """The name of a class or function; an error for one that only an attack needs."""
    for old, new in RENAMED.items():
        module = re.sub(rf"^{re.escape(old)}\b", new, module)
    name = f"{module}.{attribute}"
    if module.partition(".")[0] in ATTACKS and name not in RULES and name not in NAMES_ONLY:
        raise Refused(f"it asks to run {name}: no checkpoint needs that, do not trust this file")
    return Global(name)


def call(target: Any, arguments: Any) -> Any:
    """What the opcodes REDUCE and NEWOBJ give: never a call of what the file names."""
    if not isinstance(target, Global) or not isinstance(arguments, tuple):
        raise Refused("a call of something that is no name")
    if target.name.endswith("persistence._reconstruct_persistent_obj"):
        return _persistent(*arguments)
    rule = RULES.get(target.name)
    return rule(*arguments) if rule else Record(target.name, arguments)


def build(target: Any, state: Any) -> None:
    """The opcode BUILD: give an object its state."""
    if isinstance(target, Record):
        target.state = state
    elif isinstance(target, Array | NumberType):
        target.build(state)
    elif not isinstance(target, dict | Tensor):  # their attributes are not needed
        raise Refused("state for something that has none")
