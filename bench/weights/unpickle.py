"""Reads pickles that hold more than tensors, and executes nothing.

Official files of the StyleGAN2 family are pickles of whole objects that carry their own source code; `pickle.load`
would run it. Here `pickletools` cuts a file into opcodes and a small stack machine follows them. It can build
containers, numbers, text, tensors and arrays. Every class and function that a file names, and that is not in `RULES`,
is only a name (`Global`), and what would be an object of it is a `Record` that keeps its state.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from typing import IO, Any

from torch import Tensor

from bench.weights.records import Record, Refused
from bench.weights.rules import build, call, key, named

VALUES = ("BIN", "SHORT_BIN", "BYTEARRAY", "INT", "LONG", "FLOAT", "STRING", "UNICODE")  # starts of opcodes


def _extend(target: Any, values: list[Any]) -> None:
    if not isinstance(target, list | Record):
        raise Refused("elements for something that is no list")
    (target.elements if isinstance(target, Record) else target).extend(values)


def _fill(target: Any, flat: list[Any]) -> None:
    if not isinstance(target, dict | Record):
        raise Refused("items for something that is no dictionary")
    items = target.items if isinstance(target, Record) else target
    items.update({key(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)})


def parse(file: IO[bytes], storage: Callable[[Any], Tensor] | None = None) -> Any:
    """The object of a pickle, made of containers, numbers, text, tensors, arrays and records.

    `storage` gives the storage of a persistent identity, in files of `torch.save`. Raises `Refused`, and whatever a
    damaged file leads to.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def above() -> list[Any]:
        start = marks.pop()
        values = stack[start:]
        del stack[start:]
        return values

    opcodes: Iterator[tuple[Any, Any, int | None]] = pickletools.genops(file)
    for opcode, argument, _ in opcodes:
        match opcode.name:
            case "BINGET" | "LONG_BINGET" | "GET":
                stack.append(memo[argument])
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                memo[argument] = stack[-1]
            case "NONE":
                stack.append(None)
            case "NEWTRUE":
                stack.append(True)
            case "NEWFALSE":
                stack.append(False)
            case "MARK":
                marks.append(len(stack))
            case "POP_MARK":
                above()
            case "POP":
                stack.pop()
            case "DUP":
                stack.append(stack[-1])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST" | "EMPTY_SET":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "TUPLE":
                stack.append(tuple(above()))
            case "LIST" | "FROZENSET":
                stack.append(above())
            case "DICT":
                flat = above()
                stack.append({})
                _fill(stack[-1], flat)
            case "SETITEM":
                flat = [stack.pop(-2), stack.pop()]
                _fill(stack[-1], flat)
            case "SETITEMS":
                flat = above()
                _fill(stack[-1], flat)
            case "APPEND":
                value = stack.pop()
                _extend(stack[-1], [value])
            case "APPENDS" | "ADDITEMS":
                values = above()
                _extend(stack[-1], values)
            case "GLOBAL":
                module, _, attribute = argument.partition(" ")
                stack.append(named(module, attribute))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                stack.append(named(module, attribute))
            case "INST":
                module, _, attribute = argument.partition(" ")
                stack.append(call(named(module, attribute), tuple(above())))
            case "OBJ":
                target, *arguments = above()
                stack.append(call(target, tuple(arguments)))
            case "REDUCE" | "NEWOBJ":
                values = stack.pop()
                stack[-1] = call(stack[-1], values)
            case "NEWOBJ_EX":
                del stack[-1]  # keywords
                values = stack.pop()
                stack[-1] = call(stack[-1], values)
            case "BUILD":
                value = stack.pop()
                build(stack[-1], value)
            case "BINPERSID":
                if storage is None:
                    raise Refused("a reference to another file")
                stack[-1] = storage(stack[-1])
            case "PROTO" | "FRAME" | "STOP":
                pass
            case name if name.startswith(VALUES):
                stack.append(argument)
            case name:
                raise Refused(f"the opcode {name}")
    return stack.pop()
