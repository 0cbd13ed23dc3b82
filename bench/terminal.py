"""The consoles of the command line: whatever name a file gave is shown, and none of it steers the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.segment import Segment

CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 without tab and line feed
BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they make a text read as another one
_UNSAFE = re.compile(f"[{CONTROLS}{BIDI}]")


def visible(text: str) -> str:
    """The text with `U+FFFD` in the place of every character that steers a terminal or turns the text around."""
    return _UNSAFE.sub("\ufffd", text)


class Terminal(Console):
    """A Rich console whose content cannot hold control sequences; those that Rich itself makes stay."""

    def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
        for segment in super().render(*arguments, **options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)
