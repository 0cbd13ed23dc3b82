"""Reads YAML files that anybody may have written: plain data only, of bounded size."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import yaml

from bench.errors import BenchError

LARGEST = 1 << 18  # bytes
MOST = 100_000  # values, where what an alias stands for counts each time
DEEPEST = 50  # lists and tables inside each other
LONGEST = 50  # characters of a number


class _Refused(yaml.YAMLError):
    """Valid YAML that no suite needs."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses what grows without end, keys that stand twice, and control characters."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _measure(node, {})
        return node


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises BenchError that names the file and the line."""
    try:
        if not path.is_file():
            raise BenchError(f"cannot read {path}: {'it is no file' if path.exists() else 'it does not exist'}")
        if path.stat().st_size > LARGEST:
            raise BenchError(f"{path} has more than {LARGEST >> 10} KiB: no suite is that long")
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # derived from SafeLoader
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # such as a date with a month 13
        raise BenchError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise BenchError(f"{path} is not valid YAML: its brackets are too deep") from error


def _measure(node: yaml.Node, known: dict[int, tuple[int, int]], depth: int = 1) -> tuple[int, int]:
    """How many values a node stands for, and how deep. Raises _Refused for what the loader refuses."""
    if id(node) not in known:
        known[id(node)] = MOST + 1, 0  # while it is measured: it may hold itself
        parts = [_measure(part, known, depth + 1) for part in _parts(node)] if depth <= DEEPEST else [(0, DEEPEST)]
        known[id(node)] = 1 + sum(count for count, _ in parts), 1 + max((height for _, height in parts), default=0)
    count, height = known[id(node)]
    if count > MOST:
        raise _refused(node, f"it stands for more than {MOST:,} values")
    if height > DEEPEST:
        raise _refused(node, f"more than {DEEPEST} lists and tables inside each other")
    return count, height


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """The nodes inside a node, checked."""
    if isinstance(node, yaml.SequenceNode):
        return node.value
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key in (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key in seen:
                raise _refused(node, f"the key {key!r} stands there twice")
            seen.add(key)
        return [part for pair in node.value for part in pair]
    if any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in node.value):
        raise _refused(node, "control characters in a text")
    if len(node.value) > LONGEST and node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        raise _refused(node, f"a number of more than {LONGEST} characters")
    return []


def _refused(node: yaml.Node, why: str) -> _Refused:
    mark = node.start_mark
    return _Refused(f"line {mark.line + 1}, column {mark.column + 1}: {why}")
