"""Whether official weights were trained on the pictures that test them: what is said under a row's numbers.

A card says in `trained_on`, for each data set, what its official weights saw of it: "all" images, those that "train" in
the published split, all but a published test of `bench.data.lists.HELD_OUT` ("lama"), or "" where nobody has said. A
row may give the list itself (`trained_on: FILE`), for weights of other origin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench import fit, registry
from bench.data import catalogue, lists
from bench.data.catalogue import DATASETS
from bench.data.numbering import numbered
from bench.data.splits import Split
from bench.suite import Data, Entry, Suite

SAME = ("celeba", "celeba-isfrnet", "celeba-apfi", "celeba-hq", "celeba-test")
"""Data sets that show the same pictures, cut or degraded otherwise."""
UPPER_BOUND = "at most, for some of the list were held out"


def remarks(
    entry: Entry, suite: Suite, data: Data, ids: Sequence[str], split: Split, named: bool = True
) -> Iterator[str]:
    """What a reader of a row must know: of its own official weights, then of those of its priors.

    `ids`: of all images of the data set that tests, and whether they are `named` by its makers.
    """
    if data.name == "synthfaces":
        return
    if entry.weights:
        said = _remark(entry, data, ids, split, named)
        if said:
            yield f"official weights: {said}"
    for prior in fit.required(entry, suite)[0]:
        for said in remarks(prior, suite, data, ids, split, named):
            name = registry.get(prior.method).card.name
            yield said if said.startswith("prior ") else f"prior {name}, {said}"


def _remark(entry: Entry, data: Data, ids: Sequence[str], split: Split, named: bool) -> str:
    """What is to be said of one file of weights; "" where the test images are none that it saw."""
    tested = len(split.test)
    if entry.trained_on:
        return _overlap(lists.among(entry.trained_on, ids, data.name, named), split)
    saw = registry.get(entry.method).card.trained_on
    published = catalogue.key(data.name) if data.published else None
    if published is None:
        sets = ", ".join(DATASETS[name].title if name in DATASETS else name for name in saw) or "an unknown data set"
        return f"trained on {sets}; whether the test images are among what they saw is not known"
    kin = [name for name in saw if name == published or {name, published} <= {*SAME}]
    if not kin:
        return ""
    seen = _seen(saw[published], ids, split, DATASETS[published], named) if published in saw else None
    if seen is None:
        return f"trained on images of {DATASETS[kin[0]].title}, of which is not known: test images may be among them"
    if saw[published] == "all":
        return f"trained on all images of {DATASETS[published].title}, the {tested:,} test images among them"
    said = _overlap(seen, split)
    if said and saw[published] in lists.HELD_OUT:
        said += f" ({UPPER_BOUND}); `split: {saw[published]}` avoids them"
    return said


def _seen(which: str, ids: Sequence[str], split: Split, published: catalogue.Dataset, named: bool) -> set[str] | None:
    """The images that weights saw of a data set, as its card says; None where it cannot be told."""
    if which == "all":
        return set(ids)
    if which == "train" and split.rule in ("order", "folder"):  # it is the published split
        return set(split.train)
    known = named or published.in_order  # makers' names that sort as they count
    numbers: Mapping[int, str] | None = numbered(ids, published.needed) if known else None
    if numbers is None or not (which in lists.HELD_OUT or (which == "train" and published.in_order)):
        return None
    if which == "train":
        return {name for number, name in numbers.items() if number < published.train}
    held_out = set(map(int, lists.lines(lists.HELD_OUT[which])))
    return {name for number, name in numbers.items() if number not in held_out}


def _overlap(seen: set[str], split: Split) -> str:
    found = len(seen & set(split.test))
    return f"{found:,} of {len(split.test):,} test images stand in the list of their training" if found else ""
