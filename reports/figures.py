"""The figures of a report: which there are, and their drawing, in several processes where there are many rows."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.device import cores
from bench.errors import BenchError
from bench.store import write_text
from reports import convergence, drawn, garbage, grid, markup, plots, results, scored, steps, style, tables
from reports.results import Results

DPI = 150  # of figures without pictures
MANY = 2000  # rows from which several processes are worth their start

Make = partial[Figure] | partial[tuple[Figure, float]]  # the figure, and its dots per inch where it asks for some
Figures = Iterator[tuple[str, str, Make]]  # caption, stem of the files, drawing


@dataclass(frozen=True)
class Drawn:
    """A figure of the report: its files, and what `drawn` keeps of them."""

    caption: str
    stem: str
    entry: drawn.Entry

    @property
    def names(self) -> list[str]:
        return [path.name for path in style.paths(Path(self.stem))]


@dataclass(frozen=True)
class _Part:
    """The figures of one kind of a data set, and what they show: it travels to another process."""

    family: Callable[[_Part], Figures]
    dataset: str
    slug: str
    found: Results
    cells: pd.DataFrame
    styles: plots.Styles
    folder: Path
    before: dict[str, drawn.Entry]

    def draw(self) -> list[Drawn]:
        """Write the figures that do not stand there already."""
        folders: drawn.Folders = {}
        return [
            Drawn(caption, stem, self._entry(stem, make, drawn.shown(make, folders)))
            for caption, stem, make in self.family(self)
        ]

    def _entry(self, stem: str, make: Make, shows: str) -> drawn.Entry:
        before = self.before.get(stem)
        if before and drawn.stands(before, shows, self.folder / stem):
            return before
        with garbage.once(), style.context():
            return drawn.entry(shows, self._save(stem, make))

    def _save(self, stem: str, make: Make) -> list[Path]:
        """By itself, so that nothing holds the figure when garbage is searched for."""
        made = make()
        figure, dpi = made if isinstance(made, tuple) else (made, DPI)
        return style.save(figure, self.folder / stem, dpi=dpi)


@contextmanager
def drawing(found: Results, cells: pd.DataFrame, report: Path) -> Iterator[Callable[[], dict[str, list[str]]]]:
    """Draw the figures of `found` into `report/figures`; the value ends it, and gives captions and file names.

    What an earlier report drew of the same is left as it is.
    """
    parts = _parts(found, cells, report)
    others = min(len(parts), cores()) - 1
    if len(cells) < MANY or others < 1 or multiprocessing.parent_process():
        yield lambda: _finished((part.draw() for part in parts), report)
        return
    with ProcessPoolExecutor(others, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(part.draw) for part in parts]

        def finish() -> dict[str, list[str]]:
            here = {i: parts[i].draw() for i in reversed(range(len(parts))) if futures[i].cancel()}
            made = (here[i] if i in here else future.result() for i, future in enumerate(futures))
            return _finished(made, report)

        try:
            yield finish
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def one(run: Path, name: str, metrics: Sequence[str] | None = None) -> Figure:
    """One figure of a run's report: `ratio`, or `ratio-ffhq` where there are several data sets.

    Raises BenchError with those that there are where it is none of them, and for metrics that the run has not.
    """
    found = results.load(run)
    known = list(dict.fromkeys(found.rows["metric"]))
    if unknown := [metric for metric in metrics or () if metric not in known]:
        raise BenchError(f"unknown metric {', '.join(unknown)}; {run} has {', '.join(known)}")
    cells = results.over_seeds(found.rows[found.rows["metric"].isin(metrics or known)])
    there = {stem: make for part in _parts(found, cells, run / "report") for _, stem, make in part.family(part)}
    fitting = [stem for stem in there if name == stem or stem.startswith(f"{name}-")]
    if len(fitting) != 1:
        listed = ", ".join(fitting or there)
        raise BenchError(f"{run} has {'several figures' if fitting else 'no figure'} {name!r}: choose from {listed}")
    with style.context():
        made = there[fitting[0]]()
    return made if isinstance(made, Figure) else made[0]


def _parts(found: Results, cells: pd.DataFrame, report: Path) -> list[_Part]:
    styles, folder, before = style.lines(dict.fromkeys(cells["label"])), report / "figures", drawn.read(report)
    parts = []
    for dataset, slug in markup.slugs(cells["dataset"]).items():
        losses = None if found.losses is None else found.losses[found.losses["dataset"] == dataset]
        scores = None if found.scores is None else found.scores[found.scores["dataset"] == dataset]
        less = replace(found, rows=found.rows.iloc[:0], per_image=None, losses=losses, scores=scores)
        here = cells[cells["dataset"] == dataset]
        parts += [_Part(family, dataset, slug, less, here, styles, folder, before) for family in (_plots, _pictures)]
    return parts


def _finished(parts: Iterable[list[Drawn]], report: Path) -> dict[str, list[str]]:
    figures = [figure for part in parts for figure in part]
    kept = {figure.stem: figure.entry for figure in figures}
    write_text(report / drawn.FILE, json.dumps(kept, indent=1) + "\n")
    return {figure.caption: figure.names for figure in figures}


def _plots(part: _Part) -> Figures:
    """The figures of a data set's numbers."""
    found, dataset, slug, styles = part.found, part.dataset, part.slug, part.styles
    here = part.cells[part.cells["value"].notna()]
    if not here.empty:
        make: Make = partial(plots.against_ratio, here, styles)
        yield f"{dataset}: metrics against the mask ratio", f"ratio-{slug}", make
    if here["shots"].nunique() > 1:
        make = partial(plots.against_shots, here, styles)
        yield f"{dataset}: metrics against the number of training images", f"shots-{slug}", make
    if found.costs is not None and not here.empty:
        metrics = tables.main_metrics(list(dict.fromkeys(here["metric"])), found.protocol)
        most = results.shots_in_order(here["shots"])[-1]
        compared = here[here["metric"].isin(metrics) & (here["shots"] == most)]
        make = partial(plots.against_cost, compared, found.costs, styles)
        yield f"{dataset}: quality against cost", f"cost-{slug}", make
    if found.losses is not None and not found.losses.empty:
        yield f"{dataset}: training losses", f"losses-{slug}", partial(convergence.convergence, found.losses)


def _pictures(part: _Part) -> Figures:
    """The figures of a data set's pictures."""
    dataset, slug, cells = part.dataset, part.slug, part.found.pictured(part.cells)
    samples, names = part.found.pictures(dataset), list(cells["condition"])
    chosen = grid.choose(samples, names)
    if not chosen:
        return
    titles = grid.method_folders([samples / condition.slug for condition, _ in chosen], cells)
    caption = f"{dataset}: input, completions, original"
    yield caption, f"grid-{slug}", partial(grid.picture_grid, samples, chosen, titles)
    details = partial(grid.zoomed_grid, samples, grid.choose(samples, names, rows=3), titles)
    yield f"{caption}, with the detail where the methods err most", f"zoom-{slug}", details
    if (scores := part.found.scores) is not None:
        known = list(dict.fromkeys(scores["metric"]))
        metric = next((m for m in tables.main_metrics(known, part.found.protocol) if m in known), None)
        for row in cells[cells["metric"] == metric].iloc[:1].itertuples():
            told = (
                f"{dataset}: completions with the worst and the best {row.metric_title}, of the pictures that are kept"
            )
            ends = partial(scored.extremes, samples, scores, row.metric, bool(row.higher_is_better), titles)
            yield told, f"extremes-{slug}", ends
    stems = markup.slugs(titles)
    for folder, title in titles.items():
        if left := steps.choose(samples, folder, names):
            caption = f"{dataset}: {title} step by step, with the residual |r(t) - r(t-1)| for images in [-1, 1]"
            yield caption, f"steps-{slug}-{stems[folder]}", partial(steps.step_maps, samples, left)
