"""Scores of the pictures that a run kept, and which of them are a method's worst and best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.store import file_slug, image_file
from reports import conditions, numbers, results
from reports.grid import MASKED, read
from reports.results import Results
from reports.sheet import Sheet

MOST = 3  # pictures at each end
COLUMNS = ["dataset", "condition", "title", "metric", "file", "value"]


def kept(found: Results) -> pd.DataFrame | None:
    """The rows of `per_image` whose pictures lie in the run, as `COLUMNS`; None where there are none.

    Of several shots and seeds the last one's pictures were kept, and so are its scores.
    """
    if found.per_image is None:
        return None
    rows = found.per_image
    files = {name: image_file(name) for name in map(str, rows["id"].unique())}
    places = rows[["dataset", "condition"]].drop_duplicates().itertuples(index=False, name=None)
    there = {}
    for dataset, condition in places:
        folder = found.pictures(str(dataset)) / conditions.parse(str(condition)).slug / MASKED
        there[dataset, condition] = {path.name for path in folder.glob("*.png")}
    every = set().union(*there.values())
    few = {name for name, file in files.items() if file in every}
    rows = rows[rows["id"].isin(few) & rows["metric"].isin(results.single(rows["metric"].unique()))]
    rows = rows.assign(file=rows["id"].map(files)).drop_duplicates(COLUMNS[:-1], keep="last").astype(object)
    rows = rows.assign(value=rows["value"].astype(float))
    here = [row.file in there[row.dataset, row.condition] for row in rows.itertuples()]
    rows = rows.loc[here, COLUMNS]
    return None if rows.empty else rows.reset_index(drop=True)


def texts(rows: pd.DataFrame | None, dataset: str, condition: str) -> dict[tuple[str, str], dict[str, str]]:
    """Scores as they are printed, by metric and the method's folder, of each file."""
    made: dict[tuple[str, str], dict[str, str]] = {}
    if rows is not None:
        for row in rows[(rows["dataset"] == dataset) & (rows["condition"] == condition)].itertuples():
            if not pd.isna(row.value):
                text = numbers.printed(row.value, numbers.decimals(row.metric))
                made.setdefault((row.metric, file_slug(row.title)), {})[row.file] = text
    return made


def extremes(
    samples: Path, rows: pd.DataFrame, metric: str, higher_is_better: bool, titles: Mapping[str, str]
) -> tuple[Figure, float]:
    """A row a method: its completions with the worst and the best scores, from left to right, and what they are.

    `rows` are those of `kept` of one data set, `samples` its folder; `titles` maps a method's folder to its printed
    name. Returns the figure and its dots per inch. Raises BenchError that names a damaged picture.
    """
    rows = rows[(rows["metric"] == metric) & rows["value"].notna()]
    slugs = rows["title"].map({name: file_slug(name) for name in rows["title"].unique()})
    parts = dict(list(rows.groupby(slugs, sort=False)))
    lines = {}
    for folder, title in titles.items():
        found = list(_ends(parts.get(file_slug(folder), rows.iloc[:0]), metric, higher_is_better))
        if found:
            lines[title] = [(read(samples / c.slug / folder / file), f"{c.title}: {text}") for c, file, text in found]
    width = max(map(len, lines.values()), default=1)
    sheet = Sheet(max(1, len(lines)), width, [picture for line in lines.values() for picture, _ in line])
    for r, (title, line) in enumerate(lines.items()):
        sheet.beside(r, title)
        for c, (picture, text) in enumerate(line):
            sheet.place(r, c, picture)
            sheet.say(r, c, text)
    sheet.above(0, "Worst")
    if width > 1:
        sheet.above(width - 1, "Best")
    return sheet.finished()


def _ends(rows: pd.DataFrame, metric: str, higher_is_better: bool) -> Iterable[tuple[conditions.Condition, str, str]]:
    """Condition, file and score of the worst and of the best pictures, from the worst on."""
    rows = rows.sort_values(["value", "condition", "file"], ascending=[higher_is_better, True, True])
    few = min(MOST, (len(rows) + 1) // 2)
    for row in pd.concat([rows.iloc[:few], rows.iloc[max(few, len(rows) - few) :]]).itertuples():
        yield conditions.parse(row.condition), row.file, numbers.printed(row.value, numbers.decimals(metric))
