"""User studies: the tables and figures of scored votes, as the report of their run shows them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports import markup, study
from reports.page import Blocks, table_html
from reports.report import write_table
from reports.site.gather import Source
from reports.site.pages import Pages, drawing
from reports.study.results import Scored
from reports.study.tables import titled


def write(pages: Pages, judged: Sequence[tuple[Source, Scored]]) -> None:
    """Write the page, if there is a study. `judged`: each scored study with its run."""
    names = [f"study {source.name} {scored.name}" for source, scored in judged]
    shown = []
    for stem, (source, scored) in zip(markup.slugs(names).values(), judged, strict=True):
        made = {name.replace(f"study-{scored.name}", stem, 1): one for name, one in study.tables(scored).items()}
        for name, table in made.items():
            write_table(table, pages.folder / "tables" / name)
        grids = {name: Markup(table_html(name, table, Blocks([], []))) for name, table in made.items()}
        figures = study.draw(scored, pages.folder / "figures" / stem)
        drawn = [
            drawing(caption, f"figures/{stem}/{name}")
            for caption, files in figures.items()
            for name in files
            if name.endswith(".svg")
        ]
        shown.append((titled(scored), source, grids, drawn))
    if shown:
        pages.write("studies.html", "User studies", "studies.html", shown=shown)
