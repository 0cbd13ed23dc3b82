"""Test conditions as a reader sees them: `irregular/10-20` is the column "10-20%" of the group "irregular"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bench.store import file_slug

_FROZEN = re.compile(r"frozen:(?:.*/)?([^/]+)\.npz((?:\+[a-z]+)*)")
_RATIO = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?$")


@dataclass(frozen=True)
class Condition:
    """One test condition.

    `family` is the mask generator or degradation, `label` what stands in a column's head, `low` and `high` the mask
    ratio in percent (both None where the condition has none).
    """

    name: str
    family: str
    label: str
    low: float | None = None
    high: float | None = None

    @property
    def title(self) -> str:
        """Family and label on one line."""
        return f"{self.family} {self.label}".strip()

    @property
    def slug(self) -> str:
        """Name of the condition's folder under `samples/`."""
        return file_slug(self.name)


def parse(name: str) -> Condition:
    """Split a condition's name: `family/low-high` or `family/ratio`; every other name is its own label.

    What guides the completion, behind a plus sign, stands with the family. A frozen set is called like its file.
    """
    if frozen := _FROZEN.fullmatch(name):
        return Condition(name, " + ".join(["frozen", *frozen[2].split("+")[1:]]), frozen[1])
    masks, *guides = name.split("+") if ":" not in name else [name]
    if guides:
        found = parse(masks)
        shown = " + ".join([found.family or found.label, *guides])
        return replace(found, name=name, family=shown, label=found.label if found.family else "")
    if name.startswith("degraded/"):
        family, label = name.split("/", 1)
        return Condition(name, family, label)
    family, _, rest = name.rpartition("/")
    match = _RATIO.match(rest)
    if not family or not match:
        kind, _, folder = name.partition(":")
        return Condition(name, kind, Path(folder).name) if Path(folder).name else Condition(name, "", name)
    low = float(match[1])
    high = float(match[2]) if match[2] else low
    kind, _, folder = family.partition(":")
    family = f"{kind}: {Path(folder).name or folder}" if folder else kind
    return Condition(name, family, f"{rest}%", low, high)


def ordered(names: Iterable[str]) -> list[Condition]:
    """Conditions without repeats: families in the order of appearance, ratios ascending inside a family."""
    conditions = [parse(name) for name in dict.fromkeys(names)]
    titles = Counter(condition.title for condition in conditions)
    conditions = [replace(c, family=c.name.rpartition("/")[0]) if titles[c.title] > 1 else c for c in conditions]
    families = list(dict.fromkeys(condition.family for condition in conditions))
    return sorted(conditions, key=lambda c: (families.index(c.family), c.low or 0.0, c.high or 0.0))
