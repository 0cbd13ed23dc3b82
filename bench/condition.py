"""Test conditions: what is erased, what guides the completion, or how a picture is degraded.

irregular/20-30               a mask (see `masks`)
frozen:FILE.npz               the very masks of another run
center/25+sketch+colour       a mask, and what a method is shown of the erased pixels
swap, relabel, restyle, repose  a picture that is seen as a whole is edited: short for what `EDITS` says
degraded/blind                nothing is left but a degraded copy, by a recipe of `bench.data.degradation`
degraded/given                the degraded copies come with the data set, as files of the same names
degraded/itself               the pictures themselves are degraded: there is no ground truth
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import masks
from bench.data import degradation
from bench.data.degradation import GIVEN, ITSELF
from bench.errors import BenchError

DEGRADED = "degraded"
EDITS = {
    "swap": "face+source+exemplar",  # the face becomes that of the exemplar's person
    "relabel": "face+source+semantics+layout",  # its parts go where another label map has them
    "restyle": "whole+source+exemplar",  # the whole picture takes the exemplar's style
    "repose": "whole+source+attributes+wanted",  # the face takes another one's pose and expression
}


@dataclass(frozen=True)
class Condition:
    """A condition's name, read.

    masks: name of the masks (`masks.parse`).
    guides: what is shown to a method beside what it always needs (see `bench.data.guides`).
    source: of a degraded copy: a recipe, "given" or "itself"; "" for other conditions.
    """

    masks: str
    guides: tuple[str, ...] = ()
    source: str = ""

    @property
    def degraded(self) -> bool:
        """Whether a degraded picture is restored; else holes are filled."""
        return bool(self.source)

    @property
    def has_truth(self) -> bool:
        """Whether the completed pictures can be compared with what they should be."""
        return self.source != ITSELF


@lru_cache(maxsize=4096)
def parse(name: str) -> Condition:
    """The condition of that name. MaskError or BenchError says what is wrong with it."""
    name = EDITS.get(name, name)
    head, slash, rest = name.partition("/")
    if head == DEGRADED:
        if not slash:
            raise BenchError(f"condition '{name}': write degraded/RECIPE, degraded/given or degraded/itself")
        if rest not in (GIVEN, ITSELF):
            degradation.recipe(rest)
        return Condition("whole", (DEGRADED,), rest)
    if difflib.get_close_matches(head, [DEGRADED], cutoff=0.8):
        raise BenchError(f"condition '{name}': did you mean {DEGRADED}/{rest}?")
    erased, guides = name, list[str]()
    known = _guides() if "+" in name else []
    while erased.rpartition("+")[2] in known and not Path(erased.removeprefix("folder:")).is_dir():
        erased, _, guide = erased.rpartition("+")
        guides.insert(0, guide)
    if "+" in erased and not erased.startswith(("folder:", "frozen:")):
        unknown = erased.rpartition("+")[2]
        close = difflib.get_close_matches(unknown, known, n=1)
        hint = f": did you mean {close[0]}?" if close else ""
        raise BenchError(f"condition '{name}': a completion is guided by {', '.join(known)}, not by {unknown!r}{hint}")
    if len(set(guides)) < len(guides):
        raise BenchError(f"condition '{name}': a guide stands there twice")
    masks.parse(erased)
    return Condition(erased, tuple(guides))


def _guides() -> list[str]:
    from bench.data import guides  # slow to import: only guided conditions pay for it

    return guides.shown()
