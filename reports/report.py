"""Builds a run's report: `RUN/report/report.md` with its tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bench.store import file_slug, write_text
from reports import grid, markup, plots, published, results, style, tables
from reports.results import Results
from reports.table import Table


def build(run: str | Path) -> Path:
    """Write the report of a run's folder and return the path of `report.md`.

    Writes `report/report.md`, `report/results.csv`, `report/tables/*.md|csv|tex` and `report/figures/*.png|svg|pdf`;
    tables and figures of an earlier report that are no longer made are removed. The same input gives the same bytes.
    Raises BenchError for a missing, damaged or empty run.
    """
    found = results.load(Path(run))
    folder = Path(run) / "report"
    cells = results.over_seeds(found.rows)
    write_text(folder / "results.csv", found.rows.drop(columns="label").to_csv(index=False, lineterminator="\n"))
    made = _tables(found, cells)
    figures = _figures(found, cells, folder / "figures")
    written = {path for stem, table in made.items() for path in _write_table(table, folder / "tables" / stem)}
    _remove_stale(folder, written | {folder / "figures" / name for paths in figures.values() for name in paths})
    return write_text(folder / "report.md", _page(found, made, figures))


def _tables(found: Results, cells: pd.DataFrame) -> dict[str, Table]:
    """Every table by the stem of its files: the main one, then one a metric, plain and with intervals."""
    made = {"main": tables.main_table(found.rows, protocol=found.protocol)}
    if compared := published.beside(found.rows):
        made["published"] = compared
    if found.costs is not None:
        made["cost"] = tables.by_cost(cells, found.costs)
    for metric, stem in markup.slugs(cells["metric"], taken=tuple(made)).items():
        for intervals in (False, True):
            table = tables.by_condition(cells, [metric], found.per_image, intervals, found.protocol)
            made[f"{stem}-intervals" if intervals else stem] = table
    return made


def _write_table(table: Table, stem: Path) -> list[Path]:
    texts = {"md": table.to_markdown(), "csv": table.to_csv(), "tex": table.to_latex()}
    return [write_text(stem.with_name(f"{stem.name}.{suffix}"), text) for suffix, text in texts.items()]


def _figures(found: Results, cells: pd.DataFrame, folder: Path) -> dict[str, list[str]]:
    """Draw all figures; their caption and file names."""
    drawn = cells[cells["value"].notna()]
    styles = style.lines(dict.fromkeys(cells["label"]))
    made: dict[str, list[str]] = {}
    with style.context():
        for dataset, slug in markup.slugs(cells["dataset"]).items():
            here = drawn[drawn["dataset"] == dataset]
            if not here.empty:
                paths = style.save(plots.against_ratio(here, styles), folder / f"ratio-{slug}")
                made[f"{dataset}: metrics against the mask ratio"] = [path.name for path in paths]
            if here["shots"].nunique() > 1:
                paths = style.save(plots.against_shots(here, styles), folder / f"shots-{slug}")
                made[f"{dataset}: metrics against the number of training images"] = [path.name for path in paths]
            if found.costs is not None and not here.empty:
                metrics = tables.main_metrics(list(dict.fromkeys(here["metric"])), found.protocol)
                most = results.shots_in_order(here["shots"])[-1]
                compared = here[here["metric"].isin(metrics) & (here["shots"] == most)]
                paths = style.save(plots.against_cost(compared, found.costs, styles), folder / f"cost-{slug}")
                made[f"{dataset}: quality against cost"] = [path.name for path in paths]
            samples = found.samples / dataset
            chosen = grid.choose(samples, list(cells["condition"]))
            if chosen:
                titles = _sample_titles(samples, chosen, cells)
                figure, dpi = grid.picture_grid(samples, chosen, titles)
                paths = style.save(figure, folder / f"grid-{slug}", ("png", "pdf"), dpi)
                made[f"{dataset}: masked input, completions, original"] = [path.name for path in paths]
    return made


def _sample_titles(samples: Path, chosen: list[tuple[Any, str]], cells: pd.DataFrame) -> dict[str, str]:
    """Folders of methods under `samples/` and their printed names, in the tables' order."""
    folders = {path.name for c, _ in chosen for path in (samples / c.slug).iterdir() if path.is_dir()}
    labels = dict(zip(cells["title"], cells["label"], strict=True))
    named = {name: label for title, label in labels.items() for name in (title, file_slug(title))}
    return {name: label for name, label in named.items() if name in folders}


def _remove_stale(folder: Path, written: set[Path]) -> None:
    for path in [*folder.glob("tables/*.*"), *folder.glob("figures/*.*")]:
        if path not in written:
            path.unlink()


def _page(found: Results, made: dict[str, Table], figures: dict[str, list[str]]) -> str:
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
        intervals = f"[with intervals and significance](tables/{stem}-intervals.md)"
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
