"""Two runs image by image: how rows that both have differ, whether beyond chance, and on which images most."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.store import file_slug, write_text
from bench.target import check_set
from reports import conditions, markup, numbers, results, significance, style, tables
from reports.joined import why
from reports.marks import PerImage, Place
from reports.results import WITHDRAWN, Results, load
from reports.sheet import Picture, Sheet
from reports.table import Block, Cell, Column, Row, Table

SIDES = ("A", "B")
SHOWN = {"masked": "Input", "A": SIDES[0], "B": SIDES[1], "original": "Original"}
MOST = 3  # images at each end: those that are better in A, and in B
MEMORY = 100_000_000  # most counts of images in the draws of a test
COLUMN = ["dataset", "condition", "metric"]  # what a hash of the protocol is about
COLUMNS = (Column("A"), Column("B"), Column("B - A"), Column("p"), Column("n"))
HEAD = "# B against A, image by image"  # begins comparison.md
ROWS = "`facebench report A B` sets the rows of two runs beside each other"

Pictures = Mapping[str, Picture]
"""masked, completed, original: those that are known. Without an original, all that was known is black, and `hole` says
where."""
Line = tuple[Any, dict[str, Picture]]  # a row of `Comparison.changed`, and its pictures, as `SHOWN` names them
Find = Callable[[int, Place, str], Pictures]  # side (0: A), what it is about, image -> its pictures


@dataclass(frozen=True)
class Comparison:
    """What was compared, cell by cell, and the images that changed most.

    `cells`: dataset, shots, A and B (titles of rows), condition, metric, metric_title, higher_is_better, a, b,
    difference (b - a), low, high (its 95 % interval), p, p_corrected, n (pairs), note (what is left out). `changed`:
    dataset, shots, A, B, condition, metric, id, a, b. `left_out`: what cannot be compared, a sentence each.
    """

    names: tuple[str, str]  # of the two folders
    cells: pd.DataFrame
    changed: pd.DataFrame
    left_out: tuple[str, ...]

    @property
    def table(self) -> Table:
        """Conditions × A, B, difference with its interval, and p: a block for each data set, pair and metric."""
        shots = results.shots_titles(self.cells["shots"])
        blocks = []
        for (dataset, number, a, b, _), found in self.cells.groupby(["dataset", "shots", *SIDES, "metric"], sort=False):
            first = found.iloc[0]
            where = ", ".join(filter(None, (str(dataset), shots[str(number)])))
            title = f"{where}: {first.metric_title}, {_pair(str(a), str(b))}"
            blocks.append(Block(tuple(map(_row, found.itertuples())), title, bool(first.higher_is_better)))
        notes = (
            f"A: {self.names[0]}. B: {self.names[1]}.",
            "Means over the images that both have. B - A: with its 95% interval, an expanded percentile bootstrap over "
            f"images ({significance.DRAWS} draws or more); it says nothing of another training run. p: paired "
            "bootstrap, with Holm's correction over the rows and conditions of a metric. Bold: p is below "
            f"{significance.LEVEL:.0%}. n: pairs; fewer than {significance.MIN_IMAGES}: no claim. Infinite values: no "
            "difference.",
            *self.left_out,
        )
        return Table("B against A, image by image", "Condition", COLUMNS, tuple(blocks), notes, intervals=True)

    def write(self, folder: Path, find: Find) -> tuple[Path, str]:
        """Write comparison.md, .csv and .tex, changed.csv, and a figure for each pair and metric.

        `find` gives the pictures of an image, those that are known. Returns comparison.md, and a line that says how
        many images are not shown since a side has no picture of them; "" where all are. Raises BenchError where a file
        is there and of something else.
        """
        stems = (f"{stem}.png" for stem, _, _ in self._figures())
        others = (folder / name for name in ("comparison.csv", "comparison.tex", "changed.csv", *stems))
        check_set(folder / "comparison.md", {".md": HEAD.encode()}, others)
        write_text(folder / "comparison.md", f"{HEAD}\n")  # the rest follows: who is killed may start again
        write_text(folder / "comparison.csv", self.cells.to_csv(index=False, lineterminator="\n"))
        write_text(folder / "comparison.tex", self.table.to_latex())
        write_text(folder / "changed.csv", self.changed.to_csv(index=False, lineterminator="\n"))
        parts = [HEAD, self.table.to_markdown(), "## Images that changed most"]
        absent = 0
        for stem, title, found in self._figures():
            lines = [(row, _pictures(row, find)) for row in found.itertuples()]
            both = [line for line in lines if line[1].keys() >= {*SIDES}]
            if both:
                with style.context():
                    figure, dpi = changed_most(both)
                    style.save(figure, folder / stem, ["png"], dpi)
                parts.append(f"![{markup.markdown(title)}]({stem}.png)")
            parts.append(f"{markup.markdown(title)}.")
            if len(both) < len(lines):
                parts.append(markup.markdown(self._not_shown(lines)))
                absent += len(lines) - len(both)
        page = write_text(folder / "comparison.md", "\n\n".join(parts) + "\n")
        said = f"not shown: {absent} of {len(self.changed)} images that changed most: A or B has no picture of them"
        return page, said if absent else ""

    def _not_shown(self, lines: Sequence[Line]) -> str:
        """Which side has no picture of which images."""
        told = []
        for side, name in zip(SIDES, self.names, strict=True):
            images = [f"{row.id} ({conditions.parse(row.condition).title})" for row, line in lines if side not in line]
            told += [f"{name} ({side}) has no picture of {', '.join(images)}"] * bool(images)
        return f"Not shown: {'; '.join(told)}."

    def _figures(self) -> Iterator[tuple[str, str, pd.DataFrame]]:
        """Stem, caption and images of each figure."""
        titles = dict(zip(self.cells["metric"], self.cells["metric_title"], strict=True))
        groups = self.changed.groupby(["dataset", "shots", *SIDES, "metric"], sort=False)
        for (dataset, shots, a, b, metric), found in groups:
            names = dict.fromkeys(map(str, (dataset, shots, a, b, metric)))
            yield (
                "-".join(["changed", *map(file_slug, names)]),
                f"{dataset}: {titles[metric]}, {_pair(str(a), str(b))}: from the most in favour of A to that of B",
                found,
            )


def compare(
    a: str | Path,
    b: str | Path,
    pairs: Sequence[str] = (),
    metrics: Sequence[str] = (),
    called: tuple[str, str] | None = None,
) -> Comparison:
    """Pair the rows of two runs image by image, where their columns mean the same: equal `protocol` hashes.

    `pairs`: "ROW OF A=ROW OF B", by title; default: rows of one title or, of two runs with one row, these. `metrics`:
    default: the main ones of A. `called`: what to call the two, if not by their folders. Values are means over seeds.

    Raises BenchError where no column means the same, naming
    what differs, where a run has no values of single images, and for rows and metrics that are not there.
    """
    both, called = (load(Path(a)), load(Path(b))), called or (str(a), str(b))
    for folder, found in zip(called, both, strict=True):
        if said := found.older(folder):
            raise BenchError(said)
        if found.per_image is None:
            raise BenchError(f"{folder} has no values of single images (per_image.parquet): nothing can be paired")
    chosen = _paired(pairs, *([*dict.fromkeys(found.rows["title"])] for found in both))
    same, left_out = _same(called, *both)
    known = list(dict.fromkeys(metric for _, _, metric in same))
    if unknown := [metric for metric in metrics if metric not in known]:
        raise BenchError(f"unknown metric {unknown[0]}: what both runs measured alike is {', '.join(known)}")
    wanted = list(metrics) or tables.main_metrics(known, both[0].protocol)
    cells, changed = _cells(both, chosen, [column for column in same if column[2] in wanted])
    left_out += tuple(dict.fromkeys(_withdrawn(called, both, chosen, wanted)))
    if cells.empty:
        raise BenchError(f"{' and '.join(called)} have no value of the same image in {', '.join(wanted)}; {ROWS}")
    return Comparison(called, cells, changed, left_out)


def changed_most(lines: Sequence[Line]) -> tuple[Figure, float]:
    """Rows of `Comparison.changed` with their pictures: input, A with its score, B with its, original.

    Returns the figure and its dots per inch.
    """
    sheet = Sheet(len(lines), len(SHOWN), [picture for _, line in lines for picture in line.values()])
    for r, (row, line) in enumerate(lines):
        sheet.beside(r, conditions.parse(row.condition).title)
        for c, name in enumerate(SHOWN):
            sheet.place(r, c, line.get(name))
        for c, value in ((1, row.a), (2, row.b)):
            sheet.say(r, c, numbers.printed(value, numbers.decimals(row.metric)))
    for c, title in enumerate(SHOWN.values()):
        sheet.above(c, title)
    return sheet.finished()


def _pictures(row: Any, find: Find) -> dict[str, Picture]:
    """The pictures of an image, as `SHOWN` names them; what A or B does not know of the original, the other may."""
    shown: dict[str, Picture] = {}
    holes = {}
    for side, name in enumerate(SIDES):
        found = dict(find(side, Place(getattr(row, name), row.dataset, row.shots, row.condition, row.metric), row.id))
        if "completed" in found:
            shown[name] = found.pop("completed")
        holes[name] = found.pop("hole", None)
        shown = found | shown
    original = shown.get("original")
    for name, hole in holes.items():
        if original is not None and hole is not None and shown[name].shape == original.shape:
            shown[name] = np.where(hole, shown[name], original)
    return shown


def _paired(pairs: Sequence[str], a: list[str], b: list[str]) -> list[tuple[str, str]]:
    """Titles of the rows that are compared."""
    if pairs:
        return [_split(text, a, b) for text in pairs]
    if shared := [title for title in a if title in b]:
        return [(title, title) for title in shared]
    if len(a) == len(b) == 1:
        return [(a[0], b[0])]
    raise BenchError(
        f'no row is in both: say which are compared, --pair "{a[0]}={b[0]}". A has {", ".join(a)}; B has '
        f"{', '.join(b)}; {ROWS}"
    )


def _split(text: str, a: list[str], b: list[str]) -> tuple[str, str]:
    """The titles in "ROW OF A=ROW OF B"; a title may hold the sign itself."""
    for i, sign in enumerate(text):
        one, other = text[:i].strip(), text[i + 1 :].strip()
        if sign == "=" and one in a and other in b:
            return one, other
    raise BenchError(f"--pair {text}: write ROW OF A=ROW OF B. A has {', '.join(a)}; B has {', '.join(b)}")


def _same(called: tuple[str, str], a: Results, b: Results) -> tuple[list[tuple[str, str, str]], tuple[str, ...]]:
    """The columns that mean the same in both, and what is said of the others; BenchError where there are none."""
    ours, theirs = map(_hashes, (a.rows, b.rows))
    shared = [column for column in ours if column in theirs]
    same = [column for column in shared if ours[column] == theirs[column] and len(ours[column] - {""}) == 1]
    if not same:
        raise BenchError(f"{' and '.join(called)} cannot be compared image by image: {why(a.rows, b.rows)}")
    apart = len(shared) - len(same)
    if not apart:
        return same, ()
    others = [frame[[key not in same for key in _keys(frame)]] for frame in (a.rows, b.rows)]
    return same, (f"Left out, since they mean something else: {apart} of {len(shared)} columns: {why(*others)}.",)


def _withdrawn(
    called: Sequence[str], both: Sequence[Results], pairs: Sequence[tuple[str, str]], metrics: Sequence[str]
) -> Iterator[str]:
    """What is not compared since somebody took it back, and why."""
    for name, found, titles in zip(called, both, zip(*pairs, strict=True), strict=True):
        rows = found.rows[found.rows["title"].isin(titles) & found.rows["metric"].isin(metrics)]
        for row in rows[rows["note"].str.startswith(WITHDRAWN)].itertuples():
            yield f"{name}: {row.metric_title} of {row.title}, {conditions.parse(row.condition).title}: {row.note}."


def _hashes(rows: pd.DataFrame) -> dict[tuple[str, str, str], set[str]]:
    """What the columns mean: older results do not say it."""
    protocol = rows["protocol"] if "protocol" in rows else pd.Series("", index=rows.index)
    found: dict[tuple[str, str, str], set[str]] = {}
    for key, value in zip(_keys(rows), protocol, strict=True):
        found.setdefault(key, set()).add(value)
    return found


def _keys(rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(rows[COLUMN].itertuples(index=False, name=None))


def _cells(
    both: tuple[Results, Results], pairs: Sequence[tuple[str, str]], columns: Sequence[tuple[str, str, str]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The cells and the images of a `Comparison`."""
    frames = [pd.DataFrame() if found.per_image is None else found.per_image for found in both]
    marked = [found.rows.assign(title=side + found.rows["title"]) for side, found in zip(SIDES, both, strict=True)]
    rows = pd.concat(marked, ignore_index=True)
    per_image = pd.concat(
        [frame.assign(title=side + frame["title"].astype(str)) for side, frame in zip(SIDES, frames, strict=True)],
        ignore_index=True,
    )
    values = PerImage(per_image, rows.assign(label=rows["title"]))
    single = set(results.single(name for *_, name in columns))
    about = rows.drop_duplicates("metric").set_index("metric")
    made, changed = [], []
    for dataset, condition, metric in columns:
        for shots in results.shots_in_order(both[0].rows["shots"]):
            for pair in pairs:
                places = [Place(s + t, dataset, shots, condition, metric) for s, t in zip(SIDES, pair, strict=True)]
                ids, one, other = values.pairs(*places)
                if not len(ids):
                    continue
                note = _note(one, other, values.images(*places))
                what = {"dataset": dataset, "shots": shots, "A": pair[0], "B": pair[1], "condition": condition}
                what |= {"metric": metric}
                titles = about.loc[metric]
                made.append(
                    what
                    | {key: titles[key] for key in ("metric_title", "higher_is_better")}
                    | {
                        "a": one.mean(),
                        "b": other.mean(),
                        "note": note,
                        "values": significance.differences(one, other)[0],
                    }
                )
                if metric in single:
                    changed += [what | image for image in _ends(ids, one, other, bool(titles["higher_is_better"]))]
    found = pd.DataFrame(made)
    if found.empty:
        return found, found
    parts = [_tested(part) for _, part in found.groupby(["dataset", "shots", "metric"], sort=False)]
    order = {name: i for i, name in enumerate(c.name for c in conditions.ordered(found["condition"]))}
    cells = pd.concat(parts).assign(order=lambda rows: rows["condition"].map(order))
    cells = cells.sort_values("order", kind="stable").reset_index(drop=True)
    cells = cells[[*cells.columns.drop(["order", "values", "note"]), "note"]]
    return cells, _most(pd.DataFrame(changed))


def _note(a: np.ndarray, b: np.ndarray, images: int) -> str:
    """What is left out of a cell, and why."""
    infinite = [f"{np.isinf(of).sum()} of {len(of)} images of {side}" for side, of in zip(SIDES, (a, b), strict=True)]
    there = [text for text, of in zip(infinite, (a, b), strict=True) if np.isinf(of).any()]
    said = [f"infinite for {' and '.join(there)}: not compared"] if there else []
    said += [f"n = {len(a)} of {images} images: the others have no value in A or B"] if len(a) < images else []
    return "; ".join(said)


def _tested(part: pd.DataFrame) -> pd.DataFrame:
    """The cells of one metric with difference, interval, p, and p corrected for all; NaN for infinite values."""
    able = np.array([np.isfinite(values).all() for values in part["values"]])
    tested, images = part["values"][able], max(map(len, part["values"]))
    draws = min(significance.enough(len(tested)), max(significance.DRAWS, MEMORY // images))
    made = np.full((len(part), 5), math.nan)  # difference, low, high, p, corrected
    for i, values in zip(np.flatnonzero(able), tested, strict=True):
        p = significance.paired_bootstrap(values[:, None], draws)[0]
        made[i, :4] = values.mean(), *significance.interval(values, draws), p
    made[able, 4] = significance.holm(made[able, 3])
    names = ("difference", "low", "high", "p", "p_corrected")
    return part.assign(**dict(zip(names, made.T, strict=True)), n=list(map(len, part["values"])))


def _ends(ids: np.ndarray, a: np.ndarray, b: np.ndarray, higher: bool) -> Iterator[dict[str, object]]:
    """The images that are most in favour of A, then of B."""
    gain = np.where(a == b, 0, significance.differences(a, b)[0]) * (1 if higher else -1)
    order = np.argsort(gain, kind="stable")
    few = min(MOST, len(order))
    chosen = dict.fromkeys([*order[:few].tolist(), *order[len(order) - few :].tolist()])
    for i in chosen:
        if gain[i]:
            yield {"id": str(ids[i]), "a": a[i], "b": b[i], "gain": gain[i]}


def _most(changed: pd.DataFrame) -> pd.DataFrame:
    """Of all conditions together, as many as of one."""
    keys = ["dataset", "shots", *SIDES, "metric"]
    if changed.empty:
        return pd.DataFrame(columns=[*keys, "condition", "id", "a", "b"])
    ranked = changed.sort_values(["gain", "condition", "id"], kind="stable").groupby(keys, sort=False)
    both = pd.concat([ranked.head(MOST), ranked.tail(MOST)])
    return both[~both.index.duplicated()].sort_values("gain").drop(columns="gain").reset_index(drop=True)


def _row(cell: object) -> Row:
    get = cell.__getattribute__
    places = numbers.decimals(get("metric"))
    beyond = get("p_corrected") < significance.LEVEL
    difference = Cell(
        get("difference"), places, get("low"), get("high"), signed=True, mark="best" if beyond else "", note=get("note")
    )
    values = (
        Cell(get("a"), places),
        Cell(get("b"), places),
        difference,
        Cell(get("p_corrected"), 4),
        Cell(get("n"), 0),
    )
    return Row(conditions.parse(get("condition")).title, values)


def _pair(a: str, b: str) -> str:
    return a if a == b else f"{a} (A) and {b} (B)"
