"""Who judges which pictures in which order: kinds of question, balanced draws, controls.

A *place* is a data set under a condition, with the methods whose pictures are judged there. A *contest* is what one
question shows of a place: all methods (ranking, best of k), or two of them (two-alternative forced choice).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from bench.errors import BenchError
from bench.store import derive_seed

Kind = Literal["ranking", "2afc", "best"]
KINDS: tuple[str, ...] = get_args(Kind)
Role = Literal["asked", "repeated", "obvious"]
T = TypeVar("T")
ORIGINAL = "(original)"  # what an obvious question shows beside holes of one colour
FLAT = "(flat {})"
GUESSED = 0.02  # most that a person who answers at random may pass all obvious questions by chance
MOST = 9  # pictures of a question: each has a key


@dataclass(frozen=True)
class Place:
    """A data set under a condition, and the printed names of the methods that are judged there."""

    dataset: str
    condition: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Contest:
    """What is compared in one question."""

    place: Place
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One question of one person. `shown`: what stands in the first, second, ... position."""

    role: Role
    dataset: str
    condition: str
    image: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Design:
    """How a study is drawn. The same design and seed give the same questions, and the first people of a larger one."""

    kind: Kind
    questions: int = 20
    """That count, of a person; controls come on top."""
    repeated: int = 2
    """Of them that each person is asked again, with the positions turned round."""
    obvious: int | None = None
    """Questions with one right answer; default: `obvious_for`."""
    seed: int = 0


def contests(places: Sequence[Place], kind: Kind, against: str | None = None) -> list[Contest]:
    """Everything that is compared; with `against`, only pairs with this method, which then comes first.

    Raises BenchError where there is nothing to compare.
    """
    found = []
    for place in places:
        pairs: Sequence[tuple[str, ...]] = [place.methods]
        if kind == "2afc":
            pairs = list(combinations(place.methods, 2))
        if against is not None:
            pairs = [(against, *(name for name in pair if name != against)) for pair in pairs if against in pair]
        found += [Contest(place, pair) for pair in pairs if len(pair) > 1]
    if not found:
        whom = f"of {against!r} with another one" if against else "of two methods"
        raise BenchError(
            f"the study has no comparison {whom}: every place has fewer pictures; see --methods, --against"
        )
    if most := next((contest for contest in found if len(contest.methods) > MOST), None):
        raise BenchError(
            f"a question would show {len(most.methods)} pictures of {most.place.dataset}, {most.place.condition}: name "
            f"at most {MOST} with --methods, or compare two at a time with --kind 2afc"
        )
    return found


def obvious_for(compared: Sequence[Contest]) -> int:
    """How many obvious questions leave a person who answers at random a chance of at most `GUESSED` to pass.

    One shows k pictures and is passed by chance 1 / k; so n = ceil(log GUESSED / log 1/k).
    """
    return math.ceil(math.log(GUESSED) / -math.log(min(len(contest.methods) for contest in compared)))


def draw(
    design: Design, compared: Sequence[Contest], images: Mapping[Place, Sequence[str]], people: int
) -> list[list[Question]]:
    """The questions of each person, in the order in which they are asked.

    Every contest, and every image of it, is asked as often as every other (the numbers differ by at most one), no
    image of a contest twice of one person; every method stands in every position equally often (Latin squares).
    `images`: those of each place. Raises BenchError where there are fewer images than questions.
    """
    for contest in compared:
        of_each = math.ceil(design.questions / len(compared))
        if len(images[contest.place]) < of_each:
            raise BenchError(
                f"a person would judge {of_each} images of {contest.place.dataset}, {contest.place.condition}, and the "
                f"study has {len(images[contest.place])}: raise --images, or lower --questions"
            )
    if not 0 <= design.repeated <= design.questions // 2:
        raise BenchError(f"--repeated: of {design.questions} questions at most {design.questions // 2} are asked again")
    drawer = _Drawer(design, compared, images)
    return [drawer.person() for _ in range(people)]


class _Drawer:
    """Draws one person after another, and knows what is drawn."""

    def __init__(self, design: Design, compared: Sequence[Contest], images: Mapping[Place, Sequence[str]]) -> None:
        self._design, self._compared, self._images = design, compared, images
        self._rng = np.random.default_rng(derive_seed("study", design.kind, design.seed))
        self._used: Counter[Contest] = Counter()
        self._seen: dict[Contest | Place, Counter[str]] = defaultdict(Counter)  # how often each image was asked
        self._orders = {contest: self._squares(len(contest.methods)) for contest in compared}
        self._sides = {size: self._squares(size) for size in {len(contest.methods) for contest in compared}}

    def person(self) -> list[Question]:
        base, more = divmod(self._design.questions, len(self._compared))
        counts = dict.fromkeys(self._compared, base)
        for contest in self._least(self._compared, self._used.__getitem__, more):
            counts[contest] += 1
        self._used.update(counts)
        mine: dict[Place, Counter[str]] = defaultdict(Counter)
        asked = [q for contest, count in counts.items() for q in self._asked(contest, count, mine[contest.place])]
        asked = self._shuffled(asked)
        half = len(asked) // 2
        again = [
            replace(asked[i], role="repeated", shown=asked[i].shown[::-1])
            for i in self._rng.permutation(half)[: self._design.repeated]
        ]
        return self._spread(asked[:half] + self._shuffled(asked[half:] + again))

    def _asked(self, contest: Contest, count: int, mine: Counter[str]) -> list[Question]:
        """Questions of the images that were asked least: in this contest, then of this person, then of all."""
        place, seen, all_seen = contest.place, self._seen[contest], self._seen[contest.place]
        images = self._images[place]
        chosen = self._least(images, lambda image: (seen[image], mine[image], all_seen[image]), count)
        for counter in (seen, mine, all_seen):
            counter.update(chosen)
        return [
            Question("asked", place.dataset, place.condition, image, self._in_order(contest, contest.methods))
            for image in chosen
        ]

    def _in_order(self, contest: Contest, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(names[i] for i in next(self._orders[contest]))

    def _spread(self, asked: list[Question]) -> list[Question]:
        """The questions, with the obvious ones spread evenly between them, the first one not at the start."""
        count = obvious_for(self._compared) if self._design.obvious is None else self._design.obvious
        made, done = [], 0
        for turn in range(count):
            low, high = (len(asked) * turn // count, len(asked) * (turn + 1) // count)
            until = int(self._rng.integers(low, high)) + 1 if high > low else high
            made += [*asked[done:until], self._obvious()]
            done = until
        return made + asked[done:]

    def _obvious(self) -> Question:
        """The original beside holes of one colour; it stands in every position equally often."""
        contest = self._compared[int(self._rng.integers(len(self._compared)))]
        names = [ORIGINAL, *(FLAT.format(i) for i in range(1, len(contest.methods)))]
        place = contest.place
        image = self._images[place][int(self._rng.integers(len(self._images[place])))]
        shown = tuple(names[i] for i in next(self._sides[len(names)]))
        return Question("obvious", place.dataset, place.condition, image, shown)

    def _squares(self, size: int) -> Iterator[tuple[int, ...]]:
        """Rows of one Latin square after another: a random order, then the same turned by one, two, ..."""
        while True:
            order = self._rng.permutation(size)
            for turn in self._rng.permutation(size):
                yield tuple(int(i) for i in np.roll(order, turn))

    def _least(self, among: Sequence[T], used: Callable[[T], Any], count: int) -> list[T]:
        """Those that were used least, by chance where several were."""
        tie = self._rng.permutation(len(among))
        order = sorted(range(len(among)), key=lambda i: (used(among[i]), tie[i]))
        return [among[i] for i in order[:count]]

    def _shuffled(self, questions: list[Question]) -> list[Question]:
        return [questions[i] for i in self._rng.permutation(len(questions))]
