"""What names may do to a terminal: nothing."""

from __future__ import annotations

import io

from rich.table import Table

from bench.progress import Board
from bench.terminal import Terminal, visible

ATTACK = "a\x1b[2J\x1b]0;gone\x07\x9b31m\r\u202egnp"


def test_names_cannot_steer_the_terminal() -> None:
    text = io.StringIO()
    console = Terminal(file=text, width=100)
    table = Table(ATTACK)
    table.add_row(ATTACK)
    console.print(ATTACK, markup=False)
    console.print(table)
    assert not set(text.getvalue()) & set("\x1b\x07\x9b\r\u202e")
    assert text.getvalue().count("\ufffd[2J") == 3


def test_styles_of_rich_stay() -> None:
    text = io.StringIO()
    Terminal(file=text, force_terminal=True).print(ATTACK, style="red", highlight=False)
    assert text.getvalue().startswith("\x1b[31m")
    assert "\x1b[2J" not in text.getvalue()


def test_lines_and_tabs_are_text() -> None:
    assert visible("é\t中\n") == "é\t中\n"


def test_a_title_like_markup_is_shown_as_it_is(monkeypatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr("bench.progress.console", Terminal(file=text, force_terminal=True, width=80))
    with Board() as board:
        board.update("train [/nothing] on [bold]faces", 1, 3)
        assert board.bars is not None
        board.bars.refresh()
    assert "[/nothing]" in text.getvalue()
