"""What a suite is expected to show, in short lines, and whether it does.

    grig < telea [lpips@vgg, irregular/40-50]      a row against a row; also >
    aot l1@hole irregular/20-30 < 0.12             a bound; also >
    exegan fid freeform/60-70 = 11.86 ± 5 %        a value; without ± it must agree in every digit that stands there
    each < mean [l1@hole]                          every row of the suite, one expectation each
    facemug center/25+sketch < center/25 [psnr]    a row against itself in another condition
    simswap identity@dlib/exemplar < identity@dlib/other [swap]    one of its numbers against another one
    grig params = 31.76 M ± 0.5 %                  size of the published network; also macs; nothing is run
    edgeconnect params [edge_generator + inpaint_generator] = 21.54 M
    celeba-hq train = 28000                        images of a published split; also test; nothing is run

A row is named by its title, its method, or `method (variant)`. Brackets hold the metric and, in any order, a condition,
a data set and a number of shots (`10 shots`); in front of a number they may be left out. What is not named is averaged,
except data sets. `<` and `>` compare numbers, whatever the metric's direction.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bench import metrics, registry
from bench.data import catalogue
from bench.errors import BenchError
from bench.framing import Size, told

if TYPE_CHECKING:
    import pandas as pd

EACH = "each"
COSTS = ("params", "macs")
COUNTS = ("train", "test")
UNITS = {"": 1.0, "dB": 1.0, "%": 0.01, "k": 1e3, "M": 1e6, "G": 1e9}
SHOWN = 12  # cells of a mean in a message; more are summed up

_SIZE = r"\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_VALUE = re.compile(rf"([-+]?{_SIZE})\s*(%|dB|k|M|G)?(?:\s*(?:±|\+/?-)\s*({_SIZE})\s*(%)?)?")
_SIGN = re.compile(r"\s+([<>=])\s+(?![^()]*\))")  # not inside parentheses: `grig (T = 1)`
_BRACKETS = re.compile(r"\[([^\]]*)\]$")


class Row(Protocol):
    """What is read of a row of a suite."""

    @property
    def method(self) -> str: ...
    @property
    def options(self) -> dict[str, Any]: ...
    def with_variant(self, name: str) -> str: ...


class Named(Protocol):
    """What is read of a data set."""

    @property
    def name(self) -> str: ...


class Suite(Protocol):
    """What is read of a suite: `bench.suite`, which stands on this module."""

    @property
    def suite(self) -> str: ...
    @property
    def size(self) -> Size: ...
    @property
    def methods(self) -> Sequence[Row]: ...
    @property
    def data(self) -> Sequence[Named]: ...
    @property
    def measured(self) -> Sequence[str]: ...
    @property
    def conditions(self) -> Sequence[str]: ...
    def conditions_of(self, entry: Any) -> Sequence[str]: ...
    @property
    def shots(self) -> Sequence[int | str]: ...
    def title_of(self, entry: Any) -> str: ...


@dataclass(frozen=True)
class Expectation:
    """One line, read: which number of which row, and what it must be."""

    text: str  # as written, with the row's name in the place of `each`
    left: str  # title of a row, or name of a data set
    quantity: str  # metric, or one of COSTS and COUNTS
    sign: Literal["<", ">", "="]
    right: str | float  # title of the other row, or a number in the metric's unit
    tolerance: float = 0.0  # of `=`, in the metric's unit
    condition: str | None = None
    against: str | None = None  # condition of the right side, where it is the same row in another one
    versus: str | None = None  # metric of the right side, where two numbers of the same row are compared
    dataset: str | None = None
    shots: str | None = None
    networks: tuple[str, ...] = ()  # of the card, for COSTS

    @property
    def measured(self) -> bool:
        """Whether jobs must have run before it can be checked."""
        return self.quantity not in COSTS + COUNTS

    @property
    def titles(self) -> tuple[str, ...]:
        """The rows that it speaks of."""
        return (self.left, self.right) if isinstance(self.right, str) else (self.left,)

    @property
    def sides(self) -> list[tuple[str, Expectation]]:
        """The rows that are compared, each with the cells that count."""
        if self.versus is not None:
            return [(self.left, replace(self, quantity=name, versus=None)) for name in (self.quantity, self.versus)]
        if self.against is None:
            return [(title, self) for title in self.titles]
        return [(self.left, replace(self, condition=where, against=None)) for where in (self.condition, self.against)]

    def covers(self, row: Mapping[str, str], trained: bool = True) -> bool:
        """Whether a job or result row with these columns counts; an untrained row stands for every number of shots."""
        return (
            self.measured
            and row["title"] in self.titles
            and (self.condition is None or row["condition"] in (self.condition, self.against))
            and self.dataset in (None, row["dataset"])
            and (self.shots in (None, row["shots"]) or not trained)
        )


@dataclass(frozen=True)
class Verdict:
    """Whether an expectation holds, and the numbers behind it."""

    passed: bool
    explanation: str
    reason: str  # the end of it in one line: how far the numbers are apart, or which of them is missing
    compared: bool = True  # whether there are numbers
    absent: str = ""  # "not computed: ...", where the network behind it is not on this machine: neither holds nor fails


def read(line: str, suite: Suite) -> list[Expectation]:
    """The expectations of one line. BenchError says which word is not understood and names the closest one."""
    try:
        return _read(" ".join(line.split()), suite)
    except BenchError as error:
        raise BenchError(f"{line!r}: {error}") from None


def check(expected: Expectation, suite: Suite, rows: pd.DataFrame | None = None) -> Verdict:
    """Hold an expectation against result rows (`bench.results.rows`); COSTS and COUNTS need none."""
    sides = [_side(title, one, suite, rows) for title, one in expected.sides]
    lines = [f"expected: {expected.text}", *_head(expected, suite), *(line for _, shown in sides for line in shown)]
    values = [value for value, _ in sides]
    if missing := [shown[-1].strip() for value, shown in sides if value is None]:
        text, absent = "\n".join([*lines, "There is no value to compare."]), _absent(expected, rows)
        return Verdict(False, text, absent or missing[0], compared=False, absent=absent)
    left = float(values[0])  # type: ignore[arg-type]
    right = float(values[1] if len(values) > 1 else expected.right)  # type: ignore[arg-type]
    name = expected.versus or expected.against or expected.right
    if not isinstance(name, str):
        name = "the bound" if expected.sign != "=" else "the expected value"
    passed = {"<": left < right, ">": left > right, "=": abs(left - right) <= expected.tolerance}[expected.sign]
    first = expected.left if expected.against is None else f"{expected.left}, {expected.condition},"
    first = first if expected.versus is None else f"{expected.left}, {expected.quantity},"
    difference = _difference(first, left, name, right, expected)
    return Verdict(passed, "\n".join([*lines, difference]), difference)


def value(expected: Expectation, rows: pd.DataFrame) -> tuple[float, float | None] | None:
    """The measured value of the left row and half the width of its 95 % interval, where it is a single cell."""
    cells = _cells(expected.left, expected, rows)
    if cells.empty or cells["value"].isna().any():
        return None
    half = float(cells["high"].iloc[0] - cells["low"].iloc[0]) / 2 if len(cells) == 1 else None
    return float(cells["value"].mean()), half if half is None or half == half else None


def _read(line: str, suite: Suite) -> list[Expectation]:
    parts = _SIGN.split(line)
    if len(parts) != 3:
        raise BenchError(
            "write for example `grig < telea [l1, center/25]`, `grig psnr > 20` or `grig params = 31.76 M`"
        )
    left, sign, right = parts
    number = _VALUE.fullmatch(right)
    name = ""
    if number:
        title, words = _split(left, suite)
        goal, tolerance = _goal(number, sign)
    else:
        if sign == "=":
            raise BenchError(f"{right!r} is not a number; rows are compared with < or >")
        if not (found := _BRACKETS.search(right)):
            raise BenchError(f"say in brackets what is compared: {line} [{suite.measured[0]}, {suite.conditions[0]}]")
        name, words, tolerance = right[: found.start()].strip(), _words(found[1]), 0.0
        if name in suite.conditions:
            return _itself(line, left, words, sign, suite, against=name)
        if metric := _metric(name, suite.measured):
            return _itself(line, left, words, sign, suite, versus=metric)
        title = _row(left, suite)
    where = _where(words, title, suite)
    condition = where.get("condition")
    others: list[str | float] = [goal] if number else [*_expand(_row(name, suite), suite, condition)]
    expected = [
        Expectation(_named(line, one, other), one, sign=sign, right=other, tolerance=tolerance, **where)  # type: ignore[arg-type]
        for one in _expand(title, suite, condition)
        for other in others
        if one != other
    ]
    if not expected and title == others[0]:
        raise BenchError(f"{title} is compared with itself: name another row, or another metric or condition of it")
    for one in expected:
        _check_conditions(one, suite)
    return expected


def _check_conditions(expected: Expectation, suite: Suite) -> None:
    """BenchError where a row has no number in the condition, or two rows have theirs in different ones."""
    own = {title: suite.conditions_of(e) for e in suite.methods if (title := suite.title_of(e)) in expected.titles}
    for title, conditions in own.items():
        for name in (expected.condition, expected.against):
            if name is not None and name not in conditions:
                raise BenchError(f"{title} does not run in {name}, only in {', '.join(conditions)}")
    if expected.condition is None and len(set(map(tuple, own.values()))) > 1:
        raise BenchError(f"{' and '.join(own)} run in different conditions: say in brackets in which they are compared")


def _itself(line: str, left: str, words: list[str], sign: str, suite: Suite, **other: str) -> list[Expectation]:
    """The expectations of a line that holds a row `against` itself in another condition, or `versus` another metric."""
    title, before = _split(f"{left} ", suite)  # a row alone, too
    where = _where([*before, *words], title, suite)
    condition, against = where.get("condition"), other.get("against")
    if against and not condition:
        raise BenchError(f"say in which condition {title} is held against {against}: {title} {suite.conditions[0]}")
    found = [
        Expectation(_named(line, one, one), one, sign=sign, right=one, **other, **where)  # type: ignore[arg-type]
        for one in _expand(title, suite, condition, against)
    ]
    for one in found:
        _check_conditions(one, suite)
    return found


def _named(line: str, left: str, right: str | float) -> str:
    """The line with the titles of rows in the places of `each`."""
    first, sign, second = _SIGN.split(line)
    first = re.sub(rf"^{EACH}\b", lambda _: left, first)
    second = re.sub(rf"^{EACH}\b", lambda _: str(right), second)
    return f"{first} {sign} {second}"


def _expand(title: str, suite: Suite, *conditions: object) -> list[str]:
    """A row, or each that runs in these conditions (None: whatever its own are)."""
    if title != EACH:
        return [title]
    wanted = {name for name in conditions if name is not None}
    rows = [e for e in suite.methods if registry.get(e.method).card.evaluated]
    return [suite.title_of(e) for e in rows if wanted <= {*suite.conditions_of(e)}]


def _goal(number: re.Match[str], sign: str) -> tuple[float, float]:
    """The number and its tolerance; by default half a unit of the last digit."""
    digits, unit, tolerance, percent = number.groups()
    factor = UNITS[unit or ""]
    goal = float(digits) * factor
    if sign != "=":
        if tolerance:
            raise BenchError(f"a bound has no tolerance: leave out ± {tolerance}")
        return goal, 0.0
    if not tolerance:
        return goal, 0.5 * factor * 10.0 ** int(Decimal(digits).as_tuple().exponent)
    return goal, abs(goal) * float(tolerance) / 100 if percent else float(tolerance) * factor


def _names(suite: Suite) -> dict[str, list[Row]]:
    """Every name, in small letters, under which rows can be called."""
    found: dict[str, list[Row]] = {}
    for entry in suite.methods:
        names = {suite.title_of(entry)} | ({entry.with_variant(entry.method)} if not entry.options else set())
        for name in {name.lower() for name in names}:
            found.setdefault(name, []).append(entry)
    for entry in suite.methods:
        if entry.method not in found:
            found[entry.method] = [e for e in suite.methods if e.method == entry.method]
    return found


def _row(name: str, suite: Suite) -> str:
    """The title of the row of that name."""
    if name.lower() == EACH:
        return EACH
    names = _names(suite)
    rows = names.get(name.lower(), [])
    if len(rows) > 1:
        raise BenchError(f"{name!r} may be any of {', '.join(suite.title_of(row) for row in rows)}: write the title")
    if not rows:
        raise BenchError(_unknown("row", name, names))
    return suite.title_of(rows[0])


def _split(left: str, suite: Suite) -> tuple[str, list[str]]:
    """The row (or data set) that a line begins with, and the words after it."""
    data = [data.name for data in suite.data]
    for name in sorted([EACH, *_names(suite), *data], key=len, reverse=True):
        rest = left[len(name) :]
        if left.lower().startswith(name.lower()) and rest[:1] in (" ", "["):
            inside = _BRACKETS.search(rest)
            words = _words(inside[1]) if inside else []
            words = [*re.findall(r"\S+ shots|\S+", rest[: inside.start()] if inside else rest), *words]
            return (name if name in data else _row(name, suite)), words
    head = left.split(" ")[0] if " " in left else left
    raise BenchError(_unknown("row", head, [*_names(suite), *data]))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _where(words: Sequence[str], title: str, suite: Suite) -> dict[str, object]:
    """What the words of a line name: the quantity, and the cells that count."""
    fixed = next((word for word in words if word in COSTS + COUNTS), None)
    if fixed in COSTS:
        networks = tuple(n.strip() for word in words if word != fixed for n in re.split(r"\+(?!\d)", word) if n.strip())
        for one in _expand(title, suite):
            _size(one, fixed, networks, suite)
        return {"quantity": fixed, "networks": networks}
    if fixed in COUNTS:
        _count(title, fixed)
        return {"quantity": fixed}
    data = [data.name for data in suite.data]
    found: dict[str, str] = {}
    known: list[str] = []
    choices = {"quantity": suite.measured, "condition": suite.conditions, "dataset": data}
    choices["shots"] = [f"{shots} shots" for shots in suite.shots]
    for word in words:
        for kind, names in choices.items():
            name = _metric(word, names) if kind == "quantity" else word if word in names else None
            if name is not None:
                if kind in found:
                    raise BenchError(f"it names two of one kind: {found[kind]} and {word}")
                found[kind] = name
                break
            known += names
        else:
            raise BenchError(_unknown("word", word, dict.fromkeys([*known, *COSTS])))
    if "quantity" not in found:
        raise BenchError(f"it names no metric: the suite has {', '.join(suite.measured)}")
    if len(data) > 1 and "dataset" not in found:
        raise BenchError(f"say on which data set: {', '.join(data)}")
    return found | {"shots": found["shots"].removesuffix(" shots") if "shots" in found else None}


def _metric(word: str, names: Sequence[str]) -> str | None:
    """The metric of that name, or the only one of a family: `lpips` for `lpips@vgg`; never a stand-in's number, and
    never that of another network for a name that means one: `fid` is Inception's."""
    if word in names:
        return word
    family = [name for name in names if name.partition("@")[0] == word and not name.endswith("@embedded")]
    return family[0] if len(family) == 1 and word not in metrics.names() else None


def _unknown(kind: str, name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.4)
    return f"unknown {kind} {name!r}: " + (f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}")


def _size(title: str, quantity: str, networks: Sequence[str], suite: Suite) -> float:
    """Parameters or multiply-accumulates on a card, of the first network there unless others are named."""
    card = registry.get(next(e.method for e in suite.methods if suite.title_of(e) == title)).card
    sizes = card.params if quantity == "params" else card.macs
    if not sizes:
        raise BenchError(f"the card of {card.slug} gives no {quantity}")
    for name in networks:
        if name not in sizes:
            raise BenchError(_unknown("network", name, sizes))
    return float(sum(sizes[name] for name in networks or list(sizes)[:1]))


def _count(name: str, part: str) -> int:
    """Images of a part of a published split."""
    return int(getattr(catalogue.find(name), part))


def _absent(expected: Expectation, rows: pd.DataFrame | None) -> str:
    """The reason where all values that are missing were not computed for want of a network, else nothing."""
    if rows is None:
        return ""
    sides = [_cells(title, one, rows) for title, one in expected.sides]
    notes = [note for cells in sides if len(cells) for note in cells.loc[cells["value"].isna(), "note"]]
    return notes[0] if notes and all(note.startswith(metrics.ABSENT) for note in notes) else ""


def _cells(title: str, expected: Expectation, rows: pd.DataFrame) -> pd.DataFrame:
    """The result rows behind one side."""
    chosen = rows[(rows["title"] == title) & (rows["metric"] == expected.quantity)]
    return chosen[[expected.covers(row) for row in chosen.to_dict("records")]]  # type: ignore[arg-type]


def _side(title: str, expected: Expectation, suite: Suite, rows: pd.DataFrame | None) -> tuple[float | None, list[str]]:
    """The number of one side, and the lines that show where it comes from."""
    if expected.quantity in COSTS:
        size = _size(title, expected.quantity, expected.networks, suite)
        return size, [f"  {title}: {size:,.0f} {expected.quantity} on its card"]
    if expected.quantity in COUNTS:
        count = _count(title, expected.quantity)
        return count, [f"  {title}: {count:,} images to {expected.quantity}"]
    cells = None if rows is None else _cells(title, expected, rows)
    if cells is None or cells.empty:
        return None, [f"  {title}: not measured"]
    shown = [f"  {title}, {_cell(row)}" for row in cells.head(SHOWN).itertuples()]
    if len(cells) > SHOWN:
        shown.append(f"  {title}: and {len(cells) - SHOWN} more")
    if cells["value"].isna().any():
        return None, shown
    mean = float(cells["value"].mean())
    return mean, [*shown, f"  {title}: mean {mean:.4g}"] if len(cells) > 1 else shown


def _cell(row: object) -> str:
    """One result row for people."""
    get = row.__getattribute__
    shots = "" if get("shots") == "all" else f"{get('shots')} shots, "
    seed = f"seed {get('seed')}, " if get("seed") else ""
    where = f"{get('dataset')}, {shots}{seed}{get('condition')}"
    if get("value") != get("value"):
        return f"{where}: no value ({get('note') or 'not finite'})"
    interval = f"95 % interval {get('low'):.4g} to {get('high'):.4g}, " if get("low") == get("low") else ""
    return f"{where}: {get('value'):.4g} ({interval}n = {get('n')})"


def _head(expected: Expectation, suite: Suite) -> list[str]:
    if not expected.measured:
        return []
    metric = metrics.get(expected.quantity)
    better = "higher" if metric.higher_is_better else "lower"
    unit = f" in {metric.unit}" if metric.unit else ""
    return [f"{metric.title}{unit}, {better} is better; suite {suite.suite}, {told(suite.size)} px:"]


def _difference(left_name: str, left: float, right_name: str, right: float, expected: Expectation) -> str:
    """How far the two sides are apart, in words."""
    apart = left - right
    goal = "" if isinstance(expected.right, str) else f", {_short(right, expected)}"
    if not apart:
        return f"{left_name} equals {right_name}{goal}."
    share = f" ({abs(apart / right):.1%})" if right else ""
    side = "above" if apart > 0 else "below"
    allowed = f"; allowed is {_short(expected.tolerance, expected)}" if expected.sign == "=" else ""
    return f"{left_name} is {_short(abs(apart), expected)}{share} {side} {right_name}{goal}{allowed}."


def _short(number: float, expected: Expectation) -> str:
    unit = {"params": " M", "macs": " G"}.get(expected.quantity, "")
    return f"{number / UNITS[unit.strip()]:.4g}{unit}"
