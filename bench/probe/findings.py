"""What a probe found: which fault each metric notices, from which strength on, and which metrics agree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile

import pandas as pd

from bench import metrics
from bench.metrics import ABSENT
from bench.probe.faults import INVISIBLE, NONE, Fault

HARDLY = 0.05  # share of what lies between two halves of the real set, below which a score of sets is blind
LEGEND = (
    "A number is the first strength at which the metric is beyond its floor. A percentage: never beyond it, and how "
    "much of the way it gets. `~`: it does not get worse with every step. blind: it hardly moves. "
    "n/a: so few faces give it no floor, two halves score as well as the originals themselves. "
    "agrees: the median of Spearman's rank correlation with the other metrics over all faults, strengths and holes."
)


@dataclass(frozen=True)
class Answer:
    """How a metric answers to a fault in one kind of hole, over its strengths."""

    rises: bool
    """Whether it gets worse with every step, from no fault on."""
    seen: int | None
    """The first strength at which it is beyond its floor."""
    share: float
    """How far the strongest fault takes it, 1 being the floor."""
    unnoticed: tuple[int, ...]
    """The strengths, from the weakest on, that it hardly notices."""

    @property
    def text(self) -> str:
        """For a cell of the table."""
        uneven = "" if self.rises else "~"
        if self.seen is not None:
            return f"{self.seen}{uneven}"
        return f"{100 * self.share:.0f} %{uneven}" if self.share >= HARDLY else "blind"


@dataclass(frozen=True)
class Findings:
    """Values of all metrics at all strengths of all faults, and what follows from them.

    `rows`: hole, fault, strength, metric, value, note. Scores of sets are the mean over two halves of the faces.
    `floors`: of scores of sets, the value between these halves, untouched: it has the same n.
    The floor of all other metrics is their value where JPEG of quality 95 fills the hole, which nobody sees.
    """

    rows: pd.DataFrame
    floors: dict[str, float | None]
    faults: tuple[Fault, ...]
    n: int
    size: int

    @property
    def holes(self) -> list[str]:
        return list(dict.fromkeys(self.rows["hole"]))

    @cached_property
    def names(self) -> list[str]:
        """The metrics that have a value."""
        return list(dict.fromkeys(self.rows.loc[self.rows["value"].notna(), "metric"]))

    @cached_property
    def absent(self) -> dict[str, list[str]]:
        """Why the others have none -> their names."""
        left = self.rows[~self.rows["metric"].isin(self.names)].drop_duplicates("metric")
        reasons = left["note"].str.removeprefix(ABSENT)
        return {reason: list(found) for reason, found in left["metric"].groupby(reasons, sort=False)}

    @cached_property
    def _bad(self) -> dict[tuple[str, str, str, int], float]:
        """(metric, hole, fault, strength) -> the value, turned so that more is worse."""
        return {
            (row.metric, row.hole, row.fault, row.strength): _sign(row.metric) * row.value
            for row in self.rows.itertuples()
        }

    def floor(self, name: str, hole: str) -> float:
        """The value that a fault must pass to count as noticed; NaN where there is none at this n."""
        if metrics.get(name).kind == "set":
            known = self.floors.get(name)
            return math.nan if known is None else known
        return _sign(name) * self._bad[name, hole, INVISIBLE.name, INVISIBLE.strengths[0]]

    def answer(self, name: str, hole: str, fault: Fault) -> Answer | None:
        """How a metric answers to a fault; None where it has no value or no floor."""
        start = self._bad[name, hole, NONE.name, NONE.strengths[0]]
        at = {strength: self._bad[name, hole, fault.name, strength] for strength in fault.strengths}
        values = list(at.values())
        floor = least = _sign(name) * self.floor(name, hole)
        share = 0.0
        if metrics.get(name).kind == "set":
            if not floor > start:  # too few faces
                return None
            share = (values[-1] - start) / (floor - start)
            least = start + HARDLY * (floor - start)
        if any(map(math.isnan, (start, floor, *values))):
            return None
        return Answer(
            rises=all(a < b for a, b in pairwise([start, *values])),
            seen=next((strength for strength, value in at.items() if value > floor), None),
            share=share,
            unnoticed=tuple(takewhile(lambda strength: at[strength] <= least, at)),
        )

    def agreement(self) -> pd.DataFrame:
        """Spearman's rank correlation of every two metrics over all faults, strengths and holes; 1: the same order."""
        faults = [fault.name for fault in self.faults]
        worse = {
            name: [bad for (metric, _, fault, _), bad in self._bad.items() if metric == name and fault in faults]
            for name in self.names
        }
        return pd.DataFrame(worse).rank().corr()

    def blind(self) -> dict[str, list[str]]:
        """Metrics -> the faults of which they hardly notice most strengths in any kind of hole, and up to which."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            for fault in self.faults:
                answers = [self.answer(name, hole, fault) for hole in self.holes]
                least = min((len(answer.unnoticed) if answer else 0 for answer in answers), default=0)
                if 2 * least > len(fault.strengths):
                    end = "" if least == len(fault.strengths) else f" up to {fault.told(fault.strengths[least - 1])}"
                    found.setdefault(name, []).append(f"{fault.name}{end}")
        return found

    def table(self, hole: str) -> pd.DataFrame:
        """What people read: a line a metric, a column a fault."""
        agreement = self.agreement()
        lines = []
        for name in self.names:
            answers = {fault: self.answer(name, hole, fault) for fault in self.faults}
            cells = {fault.name: found.text if found else "n/a" for fault, found in answers.items()}
            floor, others = self.floor(name, hole), agreement[name].drop(name)
            lines.append(
                {"metric": name, "floor": "n/a" if math.isnan(floor) else f"{floor:.3g}", **cells}
                | {"agrees": f"{others.median():.2f}" if others.notna().any() else "-"}
            )
        return pd.DataFrame(lines)

    def notes(self) -> Iterator[str]:
        """What stands below the tables: the faults, the marks, what was not computed."""
        strengths = {fault: ", ".join(map(fault.told, fault.strengths)) for fault in self.faults}
        yield "; ".join(f"{fault.name} ({fault.title}): {told}" for fault, told in strengths.items())
        yield LEGEND
        for reason, names in self.absent.items():
            yield f"not computed ({', '.join(names)}): {reason}"

    def markdown(self) -> str:
        """The tables, one for each kind of hole, as GitHub-flavoured Markdown."""
        parts = [f"{self.n} faces at {self.size} px."]
        for hole in self.holes:
            table = self.table(hole)
            lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
            parts += [f"### Holes: `{hole}`", "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)]
        return "\n\n".join([*parts, *self.notes()]) + "\n"

    def csv(self) -> str:
        """All values, a line each, with the floor of its metric."""
        floors = [self.floor(row.metric, row.hole) for row in self.rows.itertuples()]
        return self.rows.assign(floor=floors, n=self.n, size=self.size).to_csv(index=False, lineterminator="\n")


def _sign(name: str) -> int:
    return -1 if metrics.get(name).higher_is_better else 1
