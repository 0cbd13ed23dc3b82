"""Plain text made safe for Markdown, LaTeX and HTML. Names come from users: nothing in them may become markup."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable

_OPENING, _LONE_DASH = re.compile(r'(^|[\s(\[/=])"'), re.compile(r"-\{\}(?!-)")
_MARKDOWN = re.compile(r"([\\`*_\[\]|~#$])")
_COMMANDS = (  # of formulas in titles and captions
    "alpha|approx|ast|beta|cdot|circ|dagger|delta|downarrow|ell|epsilon|gamma|geq|infty|lambda|leq|mathbf|mathcal|mathrm|"
    "mu|pm|rightarrow|sigma|star|text|times|uparrow"
)
_KEPT = re.compile(
    rf"(\$(?:\\(?:{_COMMANDS})(?![A-Za-z])|[A-Za-z0-9 ^_{{}}+\-=.,:;/()|<>*'!])+\$"
    r"|\\(?:[cC]ite[a-z]*|[cC]?ref|autoref|emph|textbf|textit|textsc)\*?(?:\[[^][\\${}]*\]){0,2}\{[^\\${}]*\})"
)
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "≈": r"$\approx$",
    "≠": r"$\neq$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": "$-$",
    # A row that starts with [ or * would be read as an argument of the \\ before it; "--" would become a dash.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "-": "-{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}
_LATEX |= {  # without omicron and the final sigma
    letter: f"$\\{unicodedata.name(letter).split()[-1].lower().replace('lamda', 'lambda')}$"
    for letter in "αβγδεζηθικλμνξπρστυφχψω"
}
# Beyond ASCII, pdfTeX's standard fonts have the letters from ¡ to ſ without these, and a few signs.
_ABSENT = frozenset("«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")
_SIGNS = frozenset("–—‘’“”…‰€™")


class _Letters(dict[int, str]):
    """What each character becomes, for `str.translate`; worked out once for each that occurs."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        self._rule = rule

    def __missing__(self, code: int) -> str:
        self[code] = self._rule(chr(code))
        return self[code]


_ONE_LINE = _Letters(lambda c: " " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c)


def line(text: str) -> str:
    """One line: control characters and runs of white space become single spaces."""
    return " ".join(text.translate(_ONE_LINE).split())


def markdown(text: str) -> str:
    """Escape for GitHub-flavoured Markdown, also inside a table cell."""
    return _MARKDOWN.sub(r"\\\1", html.escape(line(text), quote=False))


def latex(text: str) -> str:
    """Escape for LaTeX text mode, also at the start of a table row and in a caption.

    Straight double quotes become typographic ones. A character that pdfTeX's standard fonts lack is printed by
    XeTeX and LuaTeX; pdfTeX prints its letter without the accent, or its code.
    """
    return _typed(line(text))


def paper(text: str) -> str:
    """As `latex`, but math and references stay: `$L_1$`, `\\cite{a}`, `\\ref{b}`, `\\emph{c}`, `\\textbf{d}`.

    No other command passes, so that no name of a run can do anything but be printed.
    """
    parts = _KEPT.split(line(text))
    return "".join(part if i % 2 else _typed(part) for i, part in enumerate(parts) if part)


def _typed(text: str) -> str:
    typed = _OPENING.sub(r"\1“", unicodedata.normalize("NFC", text)).replace('"', "”")
    return _LONE_DASH.sub("-", typed.translate(_IN_LATEX))


def _latex(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii() or character in _SIGNS or ("¡" <= character <= "ſ" and character not in _ABSENT):
        return character
    letter = unicodedata.normalize("NFD", character)[0]
    plain = letter if letter.isascii() and letter.isalpha() else f"U+{ord(character):04X}"
    return rf"\ifx\Umathchar\undefined {plain}\else {character}\fi{{}}"


_IN_LATEX = _Letters(_latex)


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
