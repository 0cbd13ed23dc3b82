"""The tables of a paper, as a YAML file asks for them: what they show, in which order, and how it is called.

`facebench report RUN --tables FILE.yaml`; docs/reading-a-report.md shows a file and explains its keys.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bench.errors import BenchError
from bench.store import write_text
from bench.target import check_set
from bench.yamlfile import read_yaml
from reports import layouts, markup, results
from reports.latex import Style
from reports.layouts import Layout, Name
from reports.results import PUBLISHED, Results
from reports.table import Cell, Table, transposed
from reports.tables import NOT_RUN

Fact = Literal["method", "dataset", "shots", "condition", "metric"]
FIELDS: dict[Fact, str] = {
    "method": "label",
    "dataset": "dataset",
    "shots": "shots",
    "condition": "condition",
    "metric": "metric",
}
NEEDED, MORE = ("method", "condition", "metric", "value"), ("dataset", "shots", "note")  # columns of published rows
PLACE = ("dataset", "shots", "condition", "metric")
SIGN = "% This table was written by facebench report --tables."  # first line of a file that may be replaced

Printed = dict[tuple[str, ...], int]  # title and PLACE of a published number -> its decimals

Chosen = tuple[str, str, str]  # a name, its title ("" = as always), the heading above it


def _listed(value: Any) -> Any:
    """`[NAME, {NAME: TITLE}]`, or `{HEADING: [...]}`, as triples."""
    parts = value.items() if isinstance(value, dict) else [("", value)]
    found: list[Chosen] = []
    for heading, entries in parts:
        if not isinstance(entries, list):
            raise ValueError("give a list of NAME or {NAME: TITLE}, or {HEADING: list}")
        for entry in entries:
            pairs = entry.items() if isinstance(entry, dict) else [(entry, "")]
            if not all(isinstance(text, str | int) for pair in pairs for text in pair):
                raise ValueError(f"{entry!r} is neither NAME nor {{NAME: TITLE}}")
            found += [(str(name), str(title), str(heading or "")) for name, title in pairs]
    if len({name for name, *_ in found}) < len(found):
        raise ValueError("a name stands there twice")
    return tuple(found)


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


List = Annotated[tuple[Chosen, ...] | None, BeforeValidator(_listed)]
Facts = Annotated[tuple[Fact, ...], BeforeValidator(_several)]


class Section(BaseModel):
    """What a table shows and how it looks; all keys may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    caption: str = ""
    label: str = ""  # default: tab:NAME
    environment: Literal["table", "table*", "tabular"] = "table"  # the last: without float, caption and notes
    width: int | None = Field(default=None, ge=50, le=2000)  # points of a line in the document: \the\linewidth
    split: int | None = Field(default=None, ge=1)  # most columns beside each other
    metrics: List = None
    methods: List = None
    conditions: List = None
    datasets: List = None
    shots: List = None
    columns: Facts = ("condition",)
    rows: Facts = ("method",)
    blocks: Facts = ()
    transposed: bool = False
    intervals: bool = False
    digits: int | dict[str, int] = {}


class File(Section):
    """A file of tables: keys of a section here are those of all tables that have none of their own."""

    published: Path | None = None  # CSV of rows as published
    tables: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")], Section] = Field(min_length=1)


def write(found: Results, path: Path) -> list[Path]:
    """Write the tables that the file `path` asks for, as `PATH without suffix/NAME.tex|md|csv`; return these files.

    Raises BenchError that names the file, the key and what could be meant, and before anything is written where a file
    is there and of something else.
    """
    file = _read(path)
    rows, printed = found.rows, Printed()
    if file.published is not None:
        rows, printed = _with_published(rows, path.parent / file.published)
    shared = file.model_dump(exclude_unset=True, exclude={"tables", "published"})
    made = {}
    for name, section in file.tables.items():
        section = Section.model_construct(**shared | section.model_dump(exclude_unset=True))
        try:
            made[name] = _table(found, rows, printed, section), _style(section, name)
        except BenchError as error:
            raise BenchError(f"{path}: tables.{name}: {error}") from error
    folder = path.with_suffix("")
    if folder.is_symlink() or folder == path:
        raise BenchError(f"{path}: tables would be written to {folder}: call the file NAME.yaml")
    for name in made:
        tex, *others = (folder / f"{name}.{suffix}" for suffix in ("tex", "md", "csv"))
        check_set(tex, {".tex": SIGN.encode()}, others)
    return [
        write_text(folder / f"{name}.{suffix}", text)
        for name, (table, style) in made.items()
        for suffix, text in (
            ("tex", f"{SIGN}\n{table.to_latex(style)}"),
            ("md", table.to_markdown()),
            ("csv", table.to_csv()),
        )
    ]


def _read(path: Path) -> File:
    try:
        return File.model_validate(read_yaml(path))
    except ValidationError as error:
        lines = [f"{path}: {error.error_count()} problem(s)"]
        for problem in error.errors():
            *above, key = map(str, problem["loc"] or ("",))
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                message = f"unknown key{_close(key, (Section if above else File).model_fields)}"
            lines.append(f"  {'.'.join([*above, key])}: {message}")
        raise BenchError("\n".join(lines)) from None


def _style(section: Section, name: str) -> Style:
    label = section.label or f"tab:{name}"
    return Style(section.caption, label, section.environment, section.width, section.split, markup.paper)


def _table(found: Results, rows: pd.DataFrame, printed: Printed, section: Section) -> Table:
    rows = results.tidy(rows.drop(columns="label"))
    chosen = {FIELDS[fact]: names for fact in FIELDS if (names := _names(rows, fact, section)) is not None}
    metrics = list(chosen["metric"]) if "metric" in chosen else None
    known = set(rows["metric"])
    asked = section.digits if isinstance(section.digits, dict) else dict.fromkeys(known, section.digits)
    if unknown := [name for name in asked if name not in known]:
        raise BenchError(f"digits: the results have no metric {unknown[0]!r}{_close(unknown[0], known)}")
    layout = Layout(*(tuple(FIELDS[fact] for fact in facts) for facts in _facts(section)))

    def digits(row: Any) -> int | None:
        wanted, place = asked.get(row.metric), (row.title, *(getattr(row, name) for name in PLACE))
        if row.preset == PUBLISHED and place in printed:  # a paper's number gets no digits that it did not have
            return min(printed[place], printed[place] if wanted is None else wanted)
        return wanted

    table = layouts.arrange(
        rows, layout, metrics=metrics, per_image=found.per_image, protocol=found.protocol, chosen=chosen, digits=digits
    )
    table = replace(table, intervals=section.intervals)
    if section.transposed:
        table = transposed(table, layouts.NAMES[layout.columns[-1]].capitalize(), Cell(note=NOT_RUN))
    return table


def _facts(section: Section) -> tuple[tuple[Fact, ...], ...]:
    facts = (section.columns, section.rows, section.blocks)
    named = [fact for part in facts for fact in part]
    if twice := {fact for fact in named if named.count(fact) > 1}:
        raise BenchError(f"{min(twice)} stands twice in columns, rows and blocks")
    return facts


def _names(rows: pd.DataFrame, fact: Fact, section: Section) -> dict[str, Name] | None:
    """What a table shows of a fact, by the values of its rows; None for all, called as always."""
    listed: tuple[Chosen, ...] | None = getattr(section, fact if fact == "shots" else f"{fact}s")
    if listed is None:
        return None
    usual = layouts.usual(rows, list(dict.fromkeys(rows["metric"])), section.columns == ("condition",))[FIELDS[fact]]
    found = {}
    for name, title, heading in listed:
        for value in _meant(rows, fact, name):
            before = usual[value]
            found[value] = Name(title or before.title, heading or ("" if title else before.group))
    return found


def _meant(rows: pd.DataFrame, fact: Fact, name: str) -> Iterator[str]:
    """The value of a fact that a name means; methods go by printed names, titles and registry names."""
    fields = ("label", "title", "method") if fact == "method" else (FIELDS[fact],)
    for field in fields:
        if values := list(dict.fromkeys(rows[FIELDS[fact]][rows[field] == name])):
            if len(values) > 1:
                raise BenchError(f"{fact}s: {name!r} may be {' or '.join(map(repr, values))}: write which")
            yield values[0]
            return
    known = dict.fromkeys(value for field in fields for value in rows[field])
    raise BenchError(f"{fact}s: the results have no {fact} {name!r}{_close(name, known)}")


def _close(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else f"; there are {', '.join(names)}"


def _with_published(rows: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, Printed]:
    """The result rows, then those that papers printed: a CSV of `NEEDED` columns, and `MORE` where they are wanted.

    Also the decimals that were printed.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:  # ValueError: also pandas' own errors, and bytes that are no UTF-8
        raise BenchError(f"cannot read {path}: {markup.line(str(error))}") from error
    if missing := [name for name in NEEDED if name not in table]:
        raise BenchError(f"{path} lacks the columns {', '.join(missing)}: it needs {', '.join(NEEDED)}")
    if unknown := [name for name in table if name not in (*NEEDED, *MORE)]:
        raise BenchError(f"{path}: unknown column {unknown[0]!r}; further ones may be {', '.join(MORE)}")
    known = {name: list(dict.fromkeys(rows[name])) for name in PLACE}
    ours = dict(zip(rows["title"], rows["method"], strict=True))
    facts = rows.drop_duplicates("metric").set_index("metric")
    made, printed = [], {}
    for number, record in enumerate(table.to_dict("records"), 2):
        at = f"{path}, line {number}"
        row: dict[str, Any] = {name: _place(at, name, record.get(name, ""), known[name]) for name in known}
        title, value = record["method"].strip(), record["value"].strip()
        printed[title, *row.values()] = len(value.partition(".")[2])
        try:
            row["value"] = float(value)
        except ValueError:
            raise BenchError(f"{at}: the value {value!r} is no number") from None
        note = ", ".join(filter(None, [PUBLISHED, record.get("note", "").strip()]))
        row |= {"method": ours.get(title, title), "title": title, "preset": PUBLISHED, "note": note}
        made.append(row | facts.loc[row["metric"], ["metric_title", "higher_is_better"]].to_dict())
    published = pd.DataFrame(made).assign(suite=rows["suite"].iloc[0], seed=0, extractor="", caution="")
    published = published.assign(low=float("nan"), high=float("nan"), n=float("nan"))
    return pd.concat([rows, published], ignore_index=True), printed


def _place(at: str, name: str, value: str, known: list[str]) -> str:
    """What a published row is about: something that the results have, too."""
    value = value.strip()
    if not value and len(known) == 1:
        return known[0]
    if value not in known:
        raise BenchError(f"{at}: the results have no {name} {value!r}{_close(value, known)}")
    return value
