"""YAML that anybody may have written."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.yamlfile import DEEPEST, MOST, read_yaml


def read(tmp_path: Path, text: str):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return read_yaml(path)


def test_plain_data_with_anchors(tmp_path: Path) -> None:
    text = "a: &one {x: 1}\nb: *one\nc: {<<: *one, y: [1.5, true, ~, text]}\n"
    assert read(tmp_path, text) == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": [1.5, True, None, "text"]}}


def test_what_an_alias_stands_for_counts_each_time(tmp_path: Path) -> None:
    row = "[" + "1," * 999 + "]"
    few, many = (f"a: &a {row}\nb: [{', '.join(['*a'] * count)}]\n" for count in (90, 110))
    assert len(read(tmp_path, few)["b"]) == 90
    with pytest.raises(BenchError, match=f"x.yaml is not valid YAML: line 2, .*more than {MOST:,} values"):
        read(tmp_path, many)


def test_depth(tmp_path: Path) -> None:
    assert read(tmp_path, "[" * (DEEPEST - 1) + "[]" + "]" * (DEEPEST - 1))
    with pytest.raises(BenchError, match="inside each other"):
        read(tmp_path, "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
    aliases = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, DEEPEST + 1))
    with pytest.raises(BenchError, match="inside each other"):
        read(tmp_path, aliases)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1, d: 2, c: 3}", r"line 2, column 4: the key 'c' stands there twice"),
        ('a: "\\e[31m"', "control characters"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("a: 2001-99-99", "month"),
        ("a: [", "not valid YAML"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        read(tmp_path, text)
