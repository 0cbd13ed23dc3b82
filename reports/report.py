"""Builds a run's report: `RUN/report/report.md` and `report.html` with their tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.store import atomic_write, write_text
from bench.target import check
from reports import groups, layouts, markup, page, paper, published, results, scored, study, tables
from reports.figures import drawing
from reports.joined import joined
from reports.marks import PerImage
from reports.results import Results
from reports.table import Table

COLUMNS = 12  # most of a table of data sets or conditions × metrics


def build(run: str | Path, mix: bool = False, others: Sequence[Path] = ()) -> Path:
    """Write the report of a run's folder, with rows of `others` (see `reports.joined`); return the path of the page.

    Writes `report/report.md`, the page `report/report.html` (see `reports.page`), `report/results.csv`,
    `report/tables/*.md|csv|tex` and `report/figures/*.png|svg|pdf`; for large runs `report/data/*.js` for the page;
    tables and figures of an earlier report that are no longer made are removed. The same input gives the same bytes.
    Raises BenchError for a missing, damaged or empty run, and for rows of different protocols unless `mix`.
    """
    found = joined(Path(run), others, mix)
    folder = Path(run) / "report"
    for place in (folder, *(folder / name for name in ("tables", "figures", page.DATA, page.pictures.FOLDER))):
        if place.is_symlink():  # what is written or removed there would be another folder's
            raise BenchError(f"{place} is a link to another place: remove it")
    found, cells = _with_values(found, results.over_seeds(found.rows))
    with atomic_write(folder / "results.csv", "w") as handle:
        found.rows.drop(columns="label").to_csv(handle, index=False, lineterminator="\n")
    studies = study.of_run(Path(run))
    shown = replace(found, per_image=None, scores=scored.kept(found))
    with drawing(shown, cells, folder) as finish:
        made = _tables(found, cells) | {stem: one for judged in studies for stem, one in study.tables(judged).items()}
        written = {path for stem, table in made.items() for path in write_table(table, folder / "tables" / stem)}
        found = shown  # the largest table goes, of which figures and page need little
        figures = finish() | {
            caption: names for judged in studies for caption, names in study.draw(judged, folder / "figures").items()
        }
    _remove_stale(folder, written | {folder / "figures" / name for paths in figures.values() for name in paths})
    write_text(folder / "report.md", _markdown(found, made, figures))
    return page.write(folder / "report.html", found, cells, made, figures)


def paper_tables(run: str | Path, file: Path, mix: bool = False, others: Sequence[Path] = ()) -> list[Path]:
    """Write the tables of a paper, as a YAML file asks for them (see `reports.paper`); returns the files."""
    return paper.write(joined(Path(run), others, mix), file)


def scores(run: str | Path, file: Path, mix: bool = False, others: Sequence[Path] = ()) -> Path:
    """Write the scores of single images to a CSV file: a line for each image and method, a column for each metric.

    Metrics of whole sets have no scores of single images. Raises BenchError where a run kept none, and where the file
    is there and of something else.
    """
    places = ["dataset", "condition", "id", "title", "method", "preset", "shots", "seed"]
    check(file, {".csv": ",".join(places).encode()})
    found = joined(Path(run), others, mix).per_image
    names = [] if found is None else results.single(found["metric"])
    if found is None or not names:
        raise BenchError(f"{run} has no scores of single images: its metrics are those of whole sets")
    chosen = found[found["metric"].isin(names)].astype(dict.fromkeys([*places, "metric"], object))
    wide = chosen.pivot(index=places, columns="metric", values="value")[names].reset_index()
    return write_text(file, wide.to_csv(index=False, lineterminator="\n"))


def _with_values(found: Results, cells: pd.DataFrame) -> tuple[Results, pd.DataFrame]:
    """The cells of the metrics that have a value anywhere; of the others the protocol's `missing` says why.

    Their tables would be "n/a" all over. Where no metric has a value, all stay.
    """
    told, empty = [], []
    for metric, rows in cells.groupby("metric", sort=False):
        if rows["value"].isna().all():
            empty.append(metric)
            notes = rows["note"][rows["note"] != ""].mode()  # what is said of most of them
            told.append(f"{rows['metric_title'].iloc[0]}: {notes.iloc[0] if len(notes) else 'no value'}")
    if not empty or len(empty) == cells["metric"].nunique():
        return found, cells
    protocol = found.protocol | {"missing": [*(found.protocol.get("missing") or []), *told]}
    return replace(found, protocol=protocol), cells[~cells["metric"].isin(empty)]


def _tables(found: Results, cells: pd.DataFrame) -> dict[str, Table]:
    """Every table by the stem of its files: the main one, then one a metric, plain and with intervals."""
    leading = tables.main_metrics(list(dict.fromkeys(cells["metric"])), found.protocol)
    per_image = PerImage(found.per_image, cells)
    made = {"main": tables.by_condition(cells, leading, per_image, found.protocol)}
    if compared := published.beside(found.rows):
        made["published"] = compared
    if found.costs is not None:
        made["cost"] = tables.by_cost(cells, found.costs)
    made |= _papers(found, cells, leading, per_image)
    made |= groups.tables(found, cells)
    for metric, stem in markup.slugs(cells["metric"], taken=tuple(made)).items():
        made[stem] = tables.by_condition(cells, [metric], per_image, found.protocol)
        made[f"{stem}-intervals"] = replace(made[stem], intervals=True)
    return made


def _papers(found: Results, cells: pd.DataFrame, leading: list[str], per_image: PerImage) -> dict[str, Table]:
    """The layouts of papers that these results fill: with all metrics where they fit the page, else the main ones."""
    chosen = {}
    datasets, conditions = cells["dataset"].nunique(), cells["condition"].nunique()
    if datasets > 1:
        chosen["by-dataset"] = (layouts.BY_DATASET, leading)
    for stem, layout, count in (
        ("by-dataset-and-metric", layouts.BY_DATASET_AND_METRIC, datasets),
        ("by-condition-and-metric", layouts.BY_CONDITION_AND_METRIC, conditions),
    ):
        every = tables.compatible(list(dict.fromkeys(cells["metric"])))
        metrics = every if count * len(every) <= COLUMNS else leading
        if count > 1 and 1 < len(metrics) <= COLUMNS / count:
            chosen[stem] = (layout, metrics)
    return {
        stem: layouts.arrange(found.rows, layout, metrics=metrics, per_image=per_image, protocol=found.protocol)
        for stem, (layout, metrics) in chosen.items()
    }


def write_table(table: Table, stem: Path) -> list[Path]:
    """Write a table as Markdown, CSV and LaTeX."""
    texts = {"md": table.to_markdown(), "csv": table.to_csv(), "tex": table.to_latex()}
    return [write_text(stem.with_name(f"{stem.name}.{suffix}"), text) for suffix, text in texts.items()]


def _remove_stale(folder: Path, written: set[Path]) -> None:
    for path in [*folder.glob("tables/*.*"), *folder.glob("figures/*.*")]:
        if path not in written and (path.is_file() or path.is_symlink()):
            path.unlink()


def _markdown(found: Results, made: dict[str, Table], figures: dict[str, list[str]]) -> str:
    """The text of report.md."""
    suite = found.protocol.get("suite", "")
    name, title = (suite.get("suite", ""), suite.get("title", "")) if isinstance(suite, dict) else (str(suite), "")
    parts = [f"# {markup.markdown(name or 'Report')}", markup.markdown(title)]
    parts += [_list("Not computed", found.protocol.get("missing")), _list("Stand-ins", found.protocol.get("stand_ins"))]
    parts += ["## Main table", made["main"].to_markdown()]
    parts.append("## Figures")
    for caption, names in figures.items():
        links = ", ".join(f"[{Path(name).suffix[1:].upper()}](figures/{name})" for name in names)
        parts += [f"![{markup.markdown(caption)}](figures/{names[0]})", f"{markup.markdown(caption)} ({links})."]
    parts.append("## All tables")
    for stem, table in made.items():
        links = ", ".join(f"[{suffix}](tables/{stem}.{suffix})" for suffix in ("md", "csv", "tex"))
        intervals = f"[with intervals](tables/{stem}-intervals.md)"
        more = f"; {intervals}" if f"{stem}-intervals" in made else ""
        if stem != "main" and not table.intervals:
            parts += [f"### {markup.markdown(table.title)}", table.to_markdown(), f"Files: {links}{more}."]
    parts += ["## Protocol", *_protocol(found)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _list(heading: str, entries: Any) -> str:
    if not entries:
        return ""
    return "\n".join([f"**{heading}**", "", *(f"- {markup.markdown(str(entry))}" for entry in entries)])


def _protocol(found: Results) -> Iterator[str]:
    """Every fact of the protocol, and every extractor that stands behind a number."""
    used = found.rows[found.rows["extractor"] != ""].drop_duplicates(["metric_title", "extractor"])
    yield _list("Extractors", [f"{row.metric_title}: {row.extractor}" for row in used.itertuples()])
    yield "\n".join(["**Settings and data**", "", *_facts(found.protocol, 0)])


def _facts(value: Any, depth: int) -> Iterator[str]:
    entries = value.items() if isinstance(value, dict) else ((None, entry) for entry in value)
    for key, entry in entries:
        name = "" if key is None else f"{markup.markdown(str(key).replace('_', ' '))}: "
        nested = isinstance(entry, dict | list) and entry
        if nested and isinstance(entry, list) and not any(isinstance(x, dict | list) or " " in str(x) for x in entry):
            entry, nested = ", ".join(map(str, entry)), False
        text = "none" if entry is None or entry == [] or entry == {} else markup.markdown(str(entry))
        yield f"{'  ' * depth}- {name}{'' if nested else text}".rstrip()
        if nested:
            yield from _facts(entry, depth + 1)
