"""Plain text made safe for Markdown, LaTeX and HTML. Names come from users: nothing in them may become markup."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection, Iterable

_MARKDOWN = re.compile(r"([\\`*_\[\]|~#$])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "−": "$-$",
    # A row that starts with [ or * would be read as an argument of the \\ before it; "--" would become a dash.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "-": "-{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def line(text: str) -> str:
    """One line: control characters and runs of white space become single spaces."""
    cleaned = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)
    return " ".join(cleaned.split())


def markdown(text: str) -> str:
    """Escape for GitHub-flavoured Markdown, also inside a table cell."""
    return _MARKDOWN.sub(r"\\\1", html.escape(line(text), quote=False))


def latex(text: str) -> str:
    """Escape for LaTeX text mode, also at the start of a table row."""
    escaped = "".join(_LATEX.get(character, character) for character in line(text))
    return re.sub(r"-\{\}(?!-)", "-", escaped)


def slugs(names: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """File names, one for each name: lower case letters, digits and dashes; a number where two would be alike.

    `taken` are file names that something else has.
    """
    made: dict[str, str] = {}
    for name in dict.fromkeys(names):
        slug = base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "unnamed"
        count = 1
        while slug in taken or slug in made.values():
            slug = f"{base}-{(count := count + 1)}"
        made[name] = slug
    return made
