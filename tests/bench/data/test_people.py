"""Lists of people: whom each picture shows, and what follows for exemplars and drawn splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import jobs, registry, suite
from bench.data import guides
from bench.data.guides.exemplar import triples
from bench.data.guides.guide import Asked
from bench.errors import BenchError

PEOPLE, EACH = 6, 5
SAID = "whom its pictures show is not known, so an exemplar may show the same person: give a list of people"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Pictures in a folder a person, as LFW has them."""
    rng = np.random.default_rng(0)
    for person in range(PEOPLE):
        folder = tmp_path / "faces" / f"Person_{person}"
        folder.mkdir(parents=True)
        for i in range(EACH):
            pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"Person_{person}_{i:04d}.png")
    return tmp_path / "faces"


def listed(faces: Path, path: Path, lines: int = PEOPLE * EACH) -> Path:
    """A list in the form of identity_CelebA.txt, of this many pictures and of one that is not here."""
    names = sorted(file.name for file in faces.rglob("*.png"))[:lines]
    path.write_text("".join(f"{name} {2000 - int(name[7])}\n" for name in ["Person_9_0000.png", *names]))
    return path


def planned(
    faces: Path, root: Path, conditions: tuple[str, ...] = ("center/25+exemplar",), **data: object
) -> jobs.Plan:
    content = {
        "suite": "people", "size": 32, "methods": ["mean"], "conditions": list(conditions), "metrics": ["psnr"],
        "data": [{"name": "mine", "folder": str(faces)} | data],
    }  # fmt: skip
    return jobs.plan(suite.parse(content, "here"), root)


def person(name: str) -> str:
    return name.partition("/")[0]


def same_person(made: jobs.Plan) -> int:
    """How many test pictures are guided by one of the same person."""
    images, tested = made.data["mine"].images, made.data["mine"].test
    pairs = triples(Asked(images, "a test", tested))
    return sum(person(images.ids[i]) == person(images.ids[j]) for i, (j, _) in zip(tested, pairs, strict=True))


def test_people_of_a_list_are_kept_apart(tmp_path: Path, faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In exemplars and in the split that is drawn, whatever numbers people have; a given split stays."""
    path = listed(faces, tmp_path / "identity.txt")
    made = planned(faces, tmp_path / "runs", identities=str(path))
    split = made.data["mine"].split
    assert split.rule == "identity" and len(split.test) >= 10
    assert {*map(person, split.train)}.isdisjoint(map(person, split.test))
    assert same_person(made) == 0 and SAID not in capsys.readouterr().err
    renamed = tmp_path / "other.csv"
    renamed.write_text(path.read_text().replace(" ", ",id-"))
    assert planned(faces, tmp_path / "b", identities=str(renamed)).data["mine"].split == split
    for part in ("train", "test"):
        (tmp_path / part).write_text("\n".join(f"Person_{i}_000{int(part == 'test')}" for i in range(PEOPLE)))
    given = {"train": str(tmp_path / "train"), "test": str(tmp_path / "test")}
    assert len(planned(faces, tmp_path / "c", identities=str(path), split=given).data["mine"].test) == PEOPLE


def test_that_people_are_not_known_is_said_once(
    tmp_path: Path, faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = planned(faces, tmp_path / "a", ("center/25+exemplar", "center/50+exemplar", "restyle"))
    assert " ".join(capsys.readouterr().err.split()).count(f"mine: {SAID}") == 1
    assert same_person(made) > 0
    planned(faces, tmp_path / "b", ("center/25",))
    assert SAID not in " ".join(capsys.readouterr().err.split())


def test_a_list_decides_what_reads_it(tmp_path: Path, faces: Path) -> None:
    """Pictures that an exemplar guides, and training that learns whom pictures show."""
    path, conditions = listed(faces, tmp_path / "identity.txt"), ("center/25", "center/25+exemplar")
    made = planned(faces, tmp_path / "runs", conditions, identities=str(path))
    beside = {job.row["condition"]: job.identity["beside"] for job in made.jobs if job.kind == "complete"}
    images = made.data["mine"].images
    assert beside == {
        "center/25": {},
        "center/25+exemplar": {"identities": images.companions["identities"].fingerprint},
    }
    assert guides.get("identity").learned(registry.get("arcface").card)
    numbers = guides.makers(["identity"], Asked(images, "arcface"))["identity"](range(len(images)))
    assert numbers.tolist() == [PEOPLE - 1 - i // EACH for i in range(PEOPLE * EACH)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Person_0_0000.png 1\nPerson_0_0001.png\n", "no list of people: its line 'Person_0_0001.png' is not `NAME"),
        ("\n", "no list of people: give lines as in CelebA's identity_CelebA.txt"),
        ("Person_0_0000.png 1\nPerson_0_0000 2\n", "says of Person_0/Person_0_0000.png that it shows 1 and 2"),
        ("Person_0_0000.png 1\n", r"does not say whom 29 of 30 images of mine show \(Person_0/Person_0_0001.png, "),
    ],
)
def test_what_a_list_lacks_is_said(tmp_path: Path, faces: Path, text: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(BenchError, match=message):
        planned(faces, tmp_path / "runs", identities=str(tmp_path / "list.txt"))


def test_equal_pictures_of_two_names_do_not_train(tmp_path: Path, faces: Path) -> None:
    path = listed(faces, tmp_path / "identity.txt")
    split = planned(faces, tmp_path / "a", identities=str(path)).data["mine"].split
    Image.open(faces / split.test[0]).save(faces / split.train[0], compress_level=1)
    again = planned(faces, tmp_path / "b", identities=str(path)).data["mine"].split
    assert again.copies == ((split.train[0], split.test[0]),)
