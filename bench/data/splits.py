"""Splits: which images train and which test; drawn by seed, saved as a file, refused when the data changed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bench.data.folder import natural, words
from bench.errors import BenchError
from bench.progress import say
from bench.store import write_json

SHOTS = (5, 10, 30, 50)
"""The few-shot sizes of the suites; any other number works too."""
PART_OF = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), "test"),
}
"""The words in a folder's name that say which part of a split it holds."""
DOUBTFUL = {"train", "val", "dev"}
"""Of these, what also names a vehicle and people (`Val_Kilmer/`, `Dev_Patel/`): one folder among many."""
MANY = 2
"""Folders that say nothing of a split, beside which a doubtful word alone says nothing either."""
_WORD = re.compile(
    f"({'|'.join(sorted(PART_OF, key=len, reverse=True))})|data|sets?|splits?|images?|imgs?|pictures?|photos?|faces?"
)
_GLUED = re.compile(f"(?:{_WORD.pattern})+")
_CAMEL = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SAY_WHICH = (
    "rename or remove folders until each part has one, or say which pictures are for what with `split` or numbers "
    "(`train`, `test`) in a suite"
)


class Split(BaseModel):
    """Ids of the training, validation and test images of one data set. No image is in two parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name of the data set."""
    fingerprint: str
    """Content of the data set that was split (SHA-256)."""
    seed: int
    """Decides a drawn split, and always the order of few-shot draws."""
    rule: Literal["seed", "order", "folder", "list", "identity", "training"]
    """How the images were told apart."""
    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...]
    copies: tuple[tuple[str, str], ...] = ()
    """(image, test image) that are equal: the image would have been drawn for training or validation, and is not."""

    @model_validator(mode="after")
    def _apart(self) -> Split:
        parts = (*self.train, *self.validation, *self.test)
        if len(set(parts)) != len(parts):
            raise ValueError("an image stands twice, so training and test images may overlap")
        return self

    def without(self, copies: Mapping[str, str]) -> Split:
        """This split without training and validation images that equal a test image: id -> id of the test image.

        Raises BenchError when nothing is left to train.
        """
        train, validation = (
            tuple(name for name in part if name not in copies) for part in (self.train, self.validation)
        )
        if self.train and not train:
            raise BenchError(f"{self.name}: every training image equals a test image: add images that differ")
        pairs = tuple(sorted(copies.items()))
        return self.model_copy(update={"train": train, "validation": validation, "copies": pairs})

    def save(self, path: str | Path) -> Path:
        """Write the split as JSON; equal splits give equal bytes."""
        return write_json(path, self.model_dump())


def load(path: str | Path, fingerprint: str) -> Split:
    """Read a saved split of the data with this fingerprint.

    Raises BenchError when the file is missing or damaged, or when the data changed since the split was drawn.
    """
    try:
        split = Split.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise BenchError(f"cannot read the split {path}: {error.strerror}; draw it again") from error
    except ValidationError as error:
        reason = error.errors()[0]
        where = ".".join(map(str, reason["loc"])) or "file"
        raise BenchError(
            f"{path} is not a sound split ({where}: {reason['msg']}): delete it and draw it again"
        ) from error
    if split.fingerprint != fingerprint:
        raise BenchError(
            f"the images of {split.name} changed since {path} was drawn "
            f"(then {split.fingerprint[:12]}, now {fingerprint[:12]}): bring the same images back, or delete the file "
            "and draw a new split (results of the two splits must not be compared)"
        )
    return split


def shots(split: Split, n: int | Literal["all"]) -> tuple[str, ...]:
    """The n training images of a few-shot run: 5 lie within 10 within 30 within 50.

    They are the first n of one fixed order, which follows from the split's seed and the ids alone.
    Raises BenchError when there are fewer than n.
    """
    if n == "all":
        return split.train
    if n < 1:
        raise BenchError(f"{split.name}: {n} shots were asked for: give at least 1, or 'all'")
    if n > len(split.train):
        raise BenchError(
            f"{split.name}: {n} shots were asked for and the split has {len(split.train)} training images: "
            "ask for fewer shots or add images"
        )
    return tuple(_shuffled(split.train, split.seed, "shots")[:n])


def default_test(count: int) -> int:
    """How many of `count` images test when nothing else is said: a fifth, rounded, at least 10 and at most 2,000.

    44 images give 10 for the test and 34 for training.
    """
    return min(2000, max(10, (2 * count + 5) // 10))


def draw(
    name: str,
    fingerprint: str,
    ids: Sequence[str],
    seed: int,
    *,
    train: int | None = None,
    validation: int = 0,
    test: int | None = None,
    in_order: bool = False,
) -> Split:
    """Draw a split of `ids` by seed, the same on every machine; without `train`, all that is left trains.

    By seed, the images are shuffled and taken for test, validation, training: more training images leave the test as
    it is. With `in_order` they are taken in the natural order of their names for training, validation, test, as the
    makers of some data sets publish them. Raises BenchError when there are too few images.
    """
    test = default_test(len(ids)) if test is None else test
    if min(test, validation, 0 if train is None else train) < 0:
        raise BenchError(f"{name}: a split cannot have a negative number of images: give 0 or more")
    _enough(name, len(ids), 1 if train is None else train, validation, test)
    train = len(ids) - validation - test if train is None else train
    if in_order:
        order = sorted(ids, key=natural)
        parts = order[:train], order[train : train + validation], order[train + validation : train + validation + test]
    else:
        order = _shuffled(ids, seed, "split")
        rest = order[test + validation :]
        parts = rest[:train], order[test : test + validation], order[:test]
    chosen = [tuple(sorted(part)) for part in parts]
    rule: Literal["order", "seed"] = "order" if in_order else "seed"
    return Split(
        name=name, fingerprint=fingerprint, seed=seed, rule=rule, train=chosen[0], validation=chosen[1], test=chosen[2]
    )


def only_training(name: str, fingerprint: str, ids: Sequence[str], seed: int) -> Split:
    """All images train."""
    return Split(name=name, fingerprint=fingerprint, seed=seed, rule="training", train=tuple(ids), test=())


def by_folder(name: str, fingerprint: str, ids: Sequence[str], seed: int) -> Split | None:
    """The split by folders for training and test (and validation); None when no folder is named for a part.

    They lie side by side, at the top or in folders that hold all pictures. The words of their names count: `train`,
    `train_256`, `testA`, `valset`, `paris_eval_gt` (see `PART_OF`). Without a folder for the test, the images for
    validation are the test. Images outside these folders are not used, aloud. None, aloud, too, where all images lie in
    a folder for one part, or where a name may be that of a person. Raises BenchError where two folders are for one
    part, a name is for two, or folders for some parts alone are there, or out of place: a split that is drawn from
    all would mix what their makers kept apart.
    """
    paths = [tuple(image.split("/")) for image in ids]
    above = os.path.commonpath([os.path.dirname(image) for image in ids] or [""])
    shared = len(above.split("/")) if above else 0
    folders: dict[str, list[str]] = {}
    for image, path in zip(ids, paths, strict=True):
        if len(path) > shared + 1:
            folders.setdefault("/".join(path[: shared + 1]) + "/", []).append(image)
    holder: dict[str, list[str]] = {}
    for folder in folders:
        said = sorted({PART_OF[word] for word in _said(folder.split("/")[shared])})
        if len(said) > 1:
            raise BenchError(f"{name}: the folder {folder} is named for {' and for '.join(said)}: {_SAY_WHICH}")
        for part in said:
            holder.setdefault(part, []).append(folder)
    if "train" not in holder or len(holder) < 2:
        _check_no_part(name, paths, shared, folders, holder)
        return None
    for part, several in holder.items():
        if len(several) > 1:
            raise BenchError(f"{name}: the folders {' and '.join(several)} are all named for {part}: {_SAY_WHICH}")
    named = [several[0] for several in holder.values()]
    parts = {part: tuple(folders[several[0]]) for part, several in holder.items()}
    if unused := len(ids) - sum(map(len, parts.values())):
        say(f"{name}: {unused:,} of {len(ids):,} pictures are not used, for they lie outside of {', '.join(named)}")
    if "test" not in parts:
        parts["test"] = parts.pop("val")
    return Split(
        name=name,
        fingerprint=fingerprint,
        seed=seed,
        rule="folder",
        train=parts["train"],
        validation=parts.get("val", ()),
        test=parts["test"],
    )


def _said(folder: str) -> list[str]:
    """The words of `PART_OF` in one folder's name, also in `TrainImages`, `testset` and `held_out`."""
    plain = re.sub(r"(hold|held)[\W_]+out", r"\1out", _CAMEL.sub(" ", folder).lower())
    glued = [word for word in words(plain) if _GLUED.fullmatch(word)]
    return [part for word in glued for part in _WORD.findall(word) if part]


def _check_no_part(
    name: str,
    paths: Sequence[tuple[str, ...]],
    shared: int,
    folders: Mapping[str, Sequence[str]],
    holder: Mapping[str, Sequence[str]],
) -> None:
    """BenchError where folders show that the makers split the images, though not how; what is doubtful is said aloud.

    `shared`: levels of folders that hold all images; `folders`: those on the next level; `holder`: part -> which.
    """
    named = [folder for several in holder.values() for folder in several]
    elsewhere = len(paths) - sum(len(folders[folder]) for folder in named)
    inside = [folder for folder in paths[0][:shared] if _said(folder)] if paths and not named else []
    if inside or (len(holder) == 1 and not elsewhere):
        say(f"{name}: all pictures lie in {', '.join(named) or inside[-1] + '/'}: a split is drawn from them")
        return
    if not named:  # as in celeba/train/ and ffhq/train/
        below = sorted({path[:-1] for path in paths})
        named = ["/".join(path) + "/" for path in below if any(map(_said, path[shared + 1 :]))]
    said = {word for folder in named for part in folder.split("/")[shared:] for word in _said(part)}
    if not said:
        return
    shown = ", ".join(named[:3]) + (", ..." if len(named) > 3 else "")
    parts = sorted({PART_OF[word] for word in said})
    if said <= DOUBTFUL and len(parts) == 1 and len(folders.keys() - set(named)) >= MANY:
        say(f"{name}: {shown} counts as one of many folders, not as that for {parts[0]}: give `split` if it is that")
        return
    raise BenchError(
        f"{name}: {shown} is for {' and for '.join(parts)} by its name, but the folders do not say what each picture "
        f"is for: {_SAY_WHICH}"
    )


def by_identity(
    name: str,
    fingerprint: str,
    ids: Sequence[str],
    identity: Sequence[int],
    seed: int,
    train: int | None = None,
    test: int | None = None,
) -> Split:
    """Keep people apart: the first `train` images train, the first `test` images of other people after them test.

    `identity` gives the person of every id; pictures of one person stand together. Without `train`, the default test
    size is kept and as many whole people as possible train; without `test`, all the images that are left test.
    """
    count = len(ids)
    if train is None:
        train = count - (default_test(count) if test is None else test)
        while 0 < train < count and identity[train] == identity[train - 1]:
            train -= 1
    trained = set(identity[: max(train, 0)])
    others = [index for index in range(max(train, 0), count) if identity[index] not in trained]
    test = len(others) if test is None else test
    if train < 1 or train > count or test < 1 or test > len(others):
        raise BenchError(
            f"{name} has {count} images, too few for {max(train, 1)} to train and {max(test, 1)} of other people "
            "to test: make more images or ask for fewer"
        )
    return Split(
        name=name,
        fingerprint=fingerprint,
        seed=seed,
        rule="identity",
        train=tuple(ids[:train]),
        test=tuple(ids[index] for index in others[:test]),
    )


def draw_people(
    name: str,
    fingerprint: str,
    ids: Sequence[str],
    people: Sequence[int],
    seed: int,
    train: int | None = None,
    test: int | None = None,
) -> Split:
    """`by_identity`, of people in an order that the seed and who stands in which images decide, not their numbers."""
    first: dict[int, str] = {}
    for image, person in zip(ids, people, strict=True):
        first.setdefault(person, image)
    rank = {image: number for number, image in enumerate(_shuffled([*first.values()], seed, "split"))}
    order = sorted(range(len(ids)), key=lambda i: rank[first[people[i]]])
    named, shown = [ids[i] for i in order], [people[i] for i in order]
    split = by_identity(name, fingerprint, named, shown, seed, train, test)
    return split.model_copy(update={"train": tuple(sorted(split.train)), "test": tuple(sorted(split.test))})


def _enough(name: str, count: int, train: int, validation: int, test: int) -> None:
    if count < train + validation + test:
        parts = f"{train:,} to train, " + (f"{validation:,} to validate, " if validation else "") + f"{test:,} to test"
        raise BenchError(
            f"{name} has {count:,} images and the split needs {train + validation + test:,} ({parts}): "
            "add images or choose a smaller split (the name of a published data set asks for the published one)"
        )


def _shuffled(ids: Sequence[str], seed: int, purpose: str) -> list[str]:
    """The ids in an order that only the seed, the purpose and the ids decide (sorted by SHA-256)."""
    return sorted(ids, key=lambda name: hashlib.sha256(f"{purpose}\0{seed}\0{name}".encode()).digest())
