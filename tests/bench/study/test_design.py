"""Who is asked what: balance, controls, and the file that keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.study import files
from bench.study.design import ORIGINAL, Design, Place, Question, contests, draw, obvious_for

METHODS = ("Lama", "MAT", "TFill", "ZITS", "GRIG")
PLACES = [Place("FFHQ", "irregular/10-60", METHODS), Place("PSV", "irregular/10-60", METHODS)]
IMAGES = {place: [f"{place.dataset}-{i:03}" for i in range(100)] for place in PLACES}


def drawn(kind: str, people: int, against: str | None = None, **changes: int) -> list[list[Question]]:
    design = Design(kind, **changes)  # type: ignore[arg-type]
    return draw(design, contests(PLACES, design.kind, against), IMAGES, people)


def asked(people: Sequence[Sequence[Question]]) -> list[Question]:
    return [question for person in people for question in person if question.role == "asked"]


def even(counts: Counter[object], size: int, most: int = 1) -> bool:
    return len(counts) == size and max(counts.values()) - min(counts.values()) <= most


def test_the_published_design_gives_the_published_number_of_votes() -> None:
    people = drawn("ranking", 31, questions=40)
    votes = Counter((q.dataset, name) for q in asked(people) for name in q.shown)
    assert set(votes.values()) == {620}  # thesis, table 4.2: 31 participants, 620 votes for each method
    place = Place("CelebA-HQ", "whole+semantics+text", ("FACEMUG", "ColDiffusion", "Unite&Conquer"))
    pairs = contests([place], "2afc", "FACEMUG")
    people = draw(Design("2afc", questions=40), pairs, {place: [str(i) for i in range(100)]}, 52)
    assert set(Counter(frozenset(q.shown) for q in asked(people)).values()) == {1040}  # table 6.3


@pytest.mark.parametrize(("kind", "k"), [("ranking", 5), ("best", 5), ("2afc", 2)])
def test_methods_sides_and_images_are_balanced(kind: str, k: int) -> None:
    people = drawn(kind, 30)
    assert all(len([q for q in person if q.role == "asked"]) == 20 for person in people)
    for dataset in ("FFHQ", "PSV"):
        here = [q for q in asked(people) if q.dataset == dataset]
        sides = Counter((name, side) for q in here for side, name in enumerate(q.shown))
        assert even(sides, 5 * k, most=6 if kind == "2afc" else 1)  # of ten pairs each may be one question apart
        assert even(Counter(q.image for q in here), 100, most=10 if kind == "2afc" else 1)
    for person in people:
        topics = [(q.dataset, q.image, frozenset(q.shown)) for q in person if q.role == "asked"]
        assert len(set(topics)) == len(topics)


def test_more_people_leave_the_first_ones_as_they_were() -> None:
    assert drawn("ranking", 20)[:7] == drawn("ranking", 7)
    assert drawn("ranking", 7) != drawn("ranking", 7, seed=1)


def test_controls() -> None:
    for person in drawn("ranking", 10, repeated=3):
        for number, question in enumerate(person):
            if question.role == "repeated":
                asked = ((i, q) for i, q in enumerate(person) if q.role == "asked")
                first = next(i for i, q in asked if set(q.shown) == set(question.shown)
                             and q.image == question.image)  # fmt: skip
                assert person[first].shown == question.shown[::-1] and number > first
        obvious = [q for q in person if q.role == "obvious"]
        assert len(obvious) == 3 and person[0].role == "asked"
        assert len({q.shown.index(ORIGINAL) for q in obvious}) >= 2  # always the same position never passes
    for person in drawn("2afc", 10):
        assert Counter(q.shown.index(ORIGINAL) for q in person if q.role == "obvious") == {0: 3, 1: 3}


@pytest.mark.parametrize(("k", "count"), [(2, 6), (3, 4), (5, 3), (9, 2)])
def test_guessing_seldom_passes(k: int, count: int) -> None:
    compared = contests([Place("d", "center/25", tuple(map(str, range(k))))], "best")
    assert obvious_for(compared) == count
    assert k**-count <= 0.02 < k ** -(count - 1)


def test_what_cannot_be_asked() -> None:
    with pytest.raises(BenchError, match=r"would judge 60 images .* has 100|raise --images"):
        drawn("ranking", 1, questions=300)
    with pytest.raises(BenchError, match="--repeated: of 20 questions at most 10"):
        drawn("ranking", 1, repeated=11)
    with pytest.raises(BenchError, match="no comparison of 'Nobody' with another one"):
        contests(PLACES, "2afc", "Nobody")
    with pytest.raises(BenchError, match="no comparison of two methods"):
        contests([Place("d", "center/25", ("alone",))], "ranking")
    with pytest.raises(BenchError, match=r"would show 10 pictures .* name at most 9 with --methods"):
        contests([Place("d", "center/25", tuple(map(str, range(10))))], "best")


def test_the_assignment_file(tmp_path: Path) -> None:
    people = dict(zip(files.names(3), drawn("2afc", 3), strict=True))
    path = files.write_assignment(tmp_path / "assignment.csv", people)
    assert files.read_assignment(path) == people
    text = path.read_text()
    for wrong, message in (
        (text.replace("role", "roles"), "lacks the columns role"),
        (text.replace("01,2,", "01,3,"), "line 3: questions of a person are numbered 1, 2"),
        (text.replace("obvious", "odd"), "role is asked, repeated or obvious"),
        (text.splitlines()[0] + "\n", "asks nothing of anybody"),
    ):
        path.write_text(wrong)
        with pytest.raises(BenchError, match=message):
            files.read_assignment(path)
    with pytest.raises(BenchError, match="cannot read"):
        files.read_assignment(tmp_path / "none.csv")


def test_a_folder_that_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"is not the folder of a study .* `facebench study make RUN`"):
        files.Study.read(tmp_path)
    (tmp_path / "studies" / "best").mkdir(parents=True)
    (tmp_path / "studies" / "best" / "study.json").write_text('{"format": "other"}')
    with pytest.raises(BenchError, match=r"did you mean .*studies/best"):
        files.Study.read(tmp_path)
    with pytest.raises(BenchError, match=r"study.json is damaged"):
        files.Study.read(tmp_path / "studies" / "best")
