"""The one question about the licence of pictures."""

from __future__ import annotations

import pytest

from bench.commands import licence
from bench.errors import BenchError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions to a person who can answer, and says yes."""
    found: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(licence.typer, "confirm", lambda text, default: found.append(text) or not default)
    return found


def test_a_person_is_asked_once_for_all_data_sets(asked: list[str]) -> None:
    assert licence.may_show(["celeba-hq", "mine", "synthfaces", "celeba-hq"], None)
    (question,) = asked
    assert "of celeba-hq (non-commercial research only), mine, or made from them. Does" in question


def test_what_needs_no_question(asked: list[str]) -> None:
    assert licence.may_show(["synthfaces"], None, needed=True)
    assert licence.may_show(["mine"], True) and not licence.may_show(["mine", "synthfaces"], False)
    assert asked == []


def test_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert not licence.may_show(["mine"], None)
    assert "no pictures of mine: nobody has said that others may see them. Say --pictures if" in capsys.readouterr().out
    for said in (None, False):
        with pytest.raises(BenchError, match=r"worth nothing without pictures\. Say --pictures if the licence"):
            licence.may_show(["mine"], said, needed=True)
    assert capsys.readouterr().out == ""
