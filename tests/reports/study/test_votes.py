"""Files of votes: which are read, and whose count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.study.files import Study
from reports.study import votes
from tests.reports.study import made_up


def test_a_person_who_answers_at_random_is_found_and_left_out(tmp_path: Path) -> None:
    for kind, seeds in (("2afc", 20), ("ranking", 20), ("best", 20)):
        found, blamed = 0, 0
        for seed in range(seeds):
            made = made_up.study(tmp_path / kind / str(seed), kind, people=6, seed=seed)
            made_up.vote(made, seed=seed, careless=("03",))
            people = {person.name: person.reason for person in votes.read(made).people}
            found += people["03"].endswith("obvious questions wrong")
            blamed += sum(bool(reason) for name, reason in people.items() if name != "03")
        assert found >= seeds - 1 and blamed == 0  # at most 2 of 100 pass by chance


def test_always_the_same_position_is_found(tmp_path: Path) -> None:
    made = made_up.study(tmp_path, "2afc", people=3)
    made_up.vote(made)
    made_up.write(made, "02", [[0]] * len(made.questions["02"]))
    people = votes.read(made).people
    assert [person.name for person in people if person.reason] == ["02"]
    assert "3 of 6 obvious questions wrong" in people[1].reason
    assert not [person for person in votes.read(made, mistakes=3).people if person.reason]


def test_only_first_answers_without_controls_count(tmp_path: Path) -> None:
    made = made_up.study(tmp_path, people=5)
    made_up.vote(made)
    counted = votes.read(made).counted
    assert len(counted) == 5 * 20
    assert {vote.question.role for vote in counted} == {"asked"}
    exact = votes.read(_of_one_mind(tmp_path / "one"))
    assert [person.alike for person in exact.people] == [1.0] * 5


def _of_one_mind(folder: Path) -> object:
    made = made_up.study(folder, people=5)
    made_up.vote(made, {name: 50.0 * i for i, name in enumerate(made_up.STRENGTHS)})
    return made


def test_files_from_anywhere_below_and_copies(tmp_path: Path) -> None:
    made = made_up.study(tmp_path, people=3)
    made_up.vote(made)
    answers = json.loads((tmp_path / "votes-02.json").read_text())["answers"]
    (tmp_path / "votes-02.json").unlink()
    made_up.write(made, "02", answers, "mail/votes-02 (1).json")
    made_up.write(made, "02", answers, "mail/votes-02.json")
    assert len(votes.read(made).people) == 3
    made_up.write(made, "02", [*answers[:-1], answers[0][::-1]], "late/votes-02.json")
    with pytest.raises(BenchError, match="are both of person 02, and differ"):
        votes.read(made)


def test_who_has_not_finished_is_named(tmp_path: Path) -> None:
    made = made_up.study(tmp_path, people=3)
    made_up.vote(made)
    answers = json.loads((tmp_path / "votes-01.json").read_text())["answers"]
    made_up.write(made, "01", [*answers[:7], *[None] * (len(answers) - 7)])
    found = votes.read(made)
    assert found.people[0].reason == "not finished: 7 of 25 answers"
    assert {vote.person for vote in found.counted} == {"02", "03"}


def test_what_is_no_vote(tmp_path: Path) -> None:
    made = made_up.study(tmp_path, people=2)
    with pytest.raises(BenchError, match=r"has no votes-ID.json"):
        votes.read(made)
    made_up.vote(made)
    path = tmp_path / "votes-01.json"
    good = json.loads(path.read_text())
    for change, message in (
        ({"study": "another"}, "holds votes of the study another"),
        ({"person": "09"}, r"votes-01.json: page 09 is not part of this study, whose pages are 01, 02: move the file"),
        ({"person": ["09"]}, "damaged"),
        ({"format": "votes 9"}, "damaged"),
        ({"answers": good["answers"][:-1]}, "damaged"),
        ({"answers": [[0, 0, 1, 2, 3], *good["answers"][1:]]}, "damaged"),
        ({"answers": [[0, 1, 2, 3, 9], *good["answers"][1:]]}, "damaged"),
        ({"answers": [0, *good["answers"][1:]]}, "damaged"),
        ({"answers": [[float(i) for i in good["answers"][0]], *good["answers"][1:]]}, "damaged"),
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(BenchError, match=message):
            votes.read(made)
    path.write_text("{")
    with pytest.raises(BenchError, match=r"votes-01.json is damaged: ask for the file again"):
        votes.read(made)
    path.unlink()
    made_up.write(made, "02", [None] * len(made.questions["02"]))
    with pytest.raises(BenchError, match=r"nobody's votes count .02: not finished"):
        votes.read(made)


def test_a_hundred_people_and_more(tmp_path: Path) -> None:
    """Also a study of an earlier version, whose people had three digits."""
    made = made_up.study(tmp_path / "new", people=101)
    assert [*made.questions][:2] + [*made.questions][-3:] == ["01", "02", "99", "100", "101"]
    for folder, people in (("new", made.questions), ("old", {f"{int(i):03}": q for i, q in made.questions.items()})):
        of_version = Study(tmp_path / folder, made.facts, dict(people))
        of_version.write()
        made_up.vote(of_version)
        found = votes.read(Study.read(tmp_path / folder))
        assert [person.name for person in found.people] == [*people] and len(found.counted) == 101 * 20
