"""Reads a run's folder: result rows, per-image rows, protocol. Every message says which file is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from bench import metrics as registry
from bench.errors import BenchError
from bench.store import dataset_folder, read_json
from reports import markup, numbers

METHOD = ["method", "preset", "title"]
CELL = ["dataset", "shots", *METHOD, "condition", "metric"]
TEXT = ["suite", *CELL, "metric_title", "extractor", "note"]
NUMBERS = ["value", "low", "high"]
COLUMNS = [*TEXT, "seed", "higher_is_better", *NUMBERS, "n"]
PER_IMAGE = [*METHOD, "dataset", "shots", "seed", "condition", "id", "metric", "value"]
LOSSES = [*METHOD, "dataset", "shots", "seed", "stage", "step", "loss", "value"]
GROUPS = ["dataset", "id", "attribute", "group"]
COSTS = [*METHOD, "params", "macs"]
PROTOCOL = {  # column -> rows that agree on these must agree on it; older results lack such columns
    "size": [],
    "suite_version": ["suite"],
    "data_fingerprint": ["dataset"],
    "images_fingerprint": ["dataset"],
    "masks_fingerprint": ["dataset", "condition"],
    "metric_version": ["metric"],
    "extractor": ["metric"],
    "protocol": ["dataset", "condition", "metric"],
}
ORIGIN = [column for column in PROTOCOL if column != "extractor"]
ORIGIN += ["model", "facebench", "torch", "commit", "device", "precision", "deterministic"]
WITHDRAWN = "withdrawn: "  # begins the note of a value that was taken back
PUBLISHED = "as published"  # preset of rows that a paper printed
LONGEST = 2000  # characters of a name or note
DEEPEST = 30  # lists and tables of a protocol inside each other
MOST = 1_000_000  # rows that may come out of a file of a twentieth of their bytes
AGAIN = "give the `facebench run` of its suite again, which writes it anew and computes nothing that is finished"


@dataclass(frozen=True)
class Results:
    """What a run left: tidy result rows; per-image rows, losses, costs and groups of images (None if absent); protocol
    and samples."""

    rows: pd.DataFrame
    per_image: pd.DataFrame | None
    losses: pd.DataFrame | None
    costs: pd.DataFrame | None
    protocol: dict[str, Any]
    samples: Path
    groups: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None  # of the pictures that are kept: see `scored.kept`
    elsewhere: frozenset[str] = frozenset()  # titles of rows of other runs, whose pictures are not in `samples`

    def older(self, name: str | Path) -> str:
        """What is said of results without the hashes by which columns are compared; "" of others."""
        if self.rows["protocol"].any() if "protocol" in self.rows else False:
            return ""
        lacking = ", ".join(column for column in (*PROTOCOL, "model") if column not in self.rows)
        return f"the results of {name} are older and do not say their {lacking or 'protocol'}: run the suite again"

    def pictured(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The cells of rows whose pictures are in `samples`, if they were kept."""
        return cells[~cells["title"].isin(self.elsewhere)]

    def pictures(self, dataset: str) -> Path:
        """The folder with the pictures of a data set."""
        return self.samples / dataset_folder(dataset)


def load(run: Path, mix: bool = False) -> Results:
    """Read `run`. Raises BenchError that names the file if one is missing, damaged or empty.

    Rows that were measured by different protocols are refused too, unless `mix`: then the protocol says what differs.
    """
    protocol, path = _protocol(_of_a_run(run) / "protocol.json"), run / "results.parquet"
    rows = tidy(_read(path, COLUMNS), str(path))
    if mixed := differences(rows):
        if not mix:
            raise BenchError(
                f"{path} holds rows of different protocols, whose numbers must not be compared: {'; '.join(mixed)}. "
                "Run the suite again, or make the report with --mix, which says so below every table"
            )
        protocol = protocol | {"mixed": mixed}
    losses = _optional(run / "losses.parquet", LOSSES, ["seed", "step", "value"], named=True)
    return Results(
        rows=rows,
        per_image=_optional(run / "per_image.parquet", PER_IMAGE, ["seed", "value"], named=True),
        losses=None if losses is None else losses.assign(label=labels(losses)),
        costs=_optional(run / "costs.parquet", COSTS, ["params", "macs"]),
        protocol=protocol,
        samples=run / "samples",
        groups=_optional(run / "groups.parquet", GROUPS, []),
    )


def _of_a_run(folder: Path) -> Path:
    """The folder, which must be that of a suite with results; BenchError names those that lie in it."""
    if not any((folder / name).exists() for name in ("protocol.json", "results.parquet")):
        suites = sorted(str(path.parent) for path in folder.glob("*/protocol.json"))
        hint = f"did you mean {' or '.join(suites)}?" if suites else "give that of a suite, for example runs/quickstart"
        there = f"{folder} is not the folder of a run: {hint}"
        raise BenchError(there if folder.is_dir() else f"there is no folder {folder}")
    return folder


def differences(rows: pd.DataFrame) -> list[str]:
    """What rows of one table do not agree on although they must: one line for each fact of the protocol."""
    lines = []
    measured = rows[rows["value"].notna()]
    for column, alike in PROTOCOL.items():
        if column not in measured:
            continue
        found = measured.dropna(subset=column).drop_duplicates([*alike, column])  # of several runs, one may be older
        for names, group in found.groupby(alike, sort=False) if alike else [((), found)]:
            if len(group) > 1:
                values = " and ".join(str(value)[:40] for value in group[column].iloc[:3])
                where = f" of {', '.join(map(str, names))}" if alike else ""
                lines.append(f"{column.replace('_', ' ')}{where} is {values}")
                break
    return lines


def tidy(rows: pd.DataFrame, source: str = "the result rows") -> pd.DataFrame:
    """Check result rows and add `label`, the method's printed name (with its preset where a name has several).

    Raises BenchError for missing columns, no rows, values that are no numbers, names that are too long, and cells that
    occur twice.
    """
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise BenchError(f"{source} lacks the columns {', '.join(missing)}; {AGAIN}")
    if rows.empty:
        raise BenchError(f"{source} has no rows: no job has finished yet; {AGAIN}")
    rows = rows if "caution" in rows.columns else rows.assign(caution="")  # older results have none
    beside = ["caution", *(column for column in ORIGIN if column in rows.columns)]
    rows, texts = rows[[*COLUMNS, *beside]].reset_index(drop=True), [*TEXT, *beside]
    for column in texts:
        rows[column] = rows[column].astype(object).where(rows[column].notna(), "").astype(str)
    rows = _typed(rows, [*NUMBERS, "seed", "n"], source, texts)
    rows[NUMBERS] = rows[NUMBERS].astype(float)
    rows["higher_is_better"] = rows["higher_is_better"].astype(str).isin(["True", "1", "1.0"])
    twice = rows.duplicated([*CELL, "seed"])
    if twice.any():
        first = rows[twice].iloc[0]
        raise BenchError(f"{source} has two rows for {', '.join(str(first[c]) for c in [*CELL, 'seed'])}; {AGAIN}")
    return rows.assign(label=labels(rows))


def labels(rows: pd.DataFrame) -> pd.Series:
    """Printed names that tell methods and presets apart."""
    names = ["title", "method", "preset"]
    known = rows[names].drop_duplicates().astype(str)
    title = known["title"].where(known["title"].str.strip() != "", known["method"])
    shared = known.groupby(title)["method"].transform("nunique") > 1
    label = title.where(~shared, title + " [" + known["method"] + "]")
    several = known.groupby(label)["preset"].transform("nunique") > 1
    label = label.where(~several, label + " (" + known["preset"] + ")")
    return label.take(rows.groupby(names, sort=False, observed=True, dropna=False).ngroup()).set_axis(rows.index)


def single(metrics: Iterable[str]) -> list[str]:
    """The metrics whose values are those of single images; scores of sets have none."""
    return [name for name in dict.fromkeys(metrics) if name in registry.names() and registry.get(name).kind != "set"]


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a cell: the mean over seeds, its `spread` (standard deviation) and how many `seeds` it stands on.

    The interval of several seeds reaches from the lowest low to the highest high. A seed without a value is left out
    and the note says so. What is not `comparable` with the other methods has a note, too.
    """
    groups = rows.assign(note=rows["note"].where(rows["note"] != "")).groupby(CELL, sort=False)
    mean = groups.agg(
        label=("label", "first"),
        metric_title=("metric_title", "first"),
        extractor=("extractor", "first"),
        caution=("caution", "first"),
        higher_is_better=("higher_is_better", "first"),
        value=("value", "mean"),
        spread=("value", "std"),
        low=("low", "min"),
        high=("high", "max"),
        n=("n", "min"),
        note=("note", "first"),
        seeds=("value", "count"),
        asked=("value", "size"),
    ).reset_index()
    mean["note"] = mean["note"].fillna("")
    partial = (mean["seeds"] > 0) & (mean["seeds"] < mean["asked"])
    counts = mean["seeds"].astype(str) + " of " + mean["asked"].astype(str) + " seeds"
    mean.loc[partial, "note"] = (counts + ": " + mean["note"]).str.rstrip(": ")[partial]
    mean["comparable"] = ~_of_other_sizes(mean)
    sizes = "n = " + mean["n"].astype(str).str.removesuffix(".0")
    mean.loc[~mean["comparable"], "note"] = (sizes + "; " + mean["note"]).str.rstrip("; ")[~mean["comparable"]]
    return mean.astype(dict.fromkeys(mean.columns[mean.dtypes == "str"], object))  # Arrow's texts are slow to loop over


def _of_other_sizes(cells: pd.DataFrame) -> pd.Series:
    """Which values must not be compared, because the bias of FID depends on n and n differs in their column."""
    biased = (cells["metric"].map(numbers.family) == "fid") & cells["value"].notna()
    columns = cells[biased].groupby(["dataset", "shots", "condition", "metric"])["n"]
    return (columns.transform("nunique") > 1).reindex(cells.index, fill_value=False)


def shots_in_order(shots: Iterable[str]) -> list[str]:
    """Few shots first, "all" last."""
    return sorted(dict.fromkeys(shots), key=lambda s: (not s.isdigit(), int(s) if s.isdigit() else 0))


def shots_titles(shots: Iterable[str]) -> dict[str, str]:
    """How each number of training images is named, in order; a lone "all" needs no name."""
    known = shots_in_order(shots)
    return {number: "" if known == ["all"] else f"{number} training images" for number in known}


def _optional(path: Path, columns: list[str], numbers: list[str], named: bool = False) -> pd.DataFrame | None:
    """A table, if it is there. With `named` its texts are few names that come often, and stay numbers of categories."""
    if not path.exists():
        return None
    texts = [column for column in columns if column not in numbers]
    return _typed(_read(path, columns, texts if named else []), numbers, str(path), texts)


def _read(path: Path, columns: list[str], names: Sequence[str] = ()) -> pd.DataFrame:
    if not path.is_file():
        raise BenchError(f"{path} is missing: give the folder of a run that has finished at least one evaluation")
    try:
        count, size = pq.read_metadata(path).num_rows, path.stat().st_size
        if count > MOST and count > 20 * size:
            raise BenchError(f"{path} claims {count:,} rows in {size:,} bytes, which no results have; delete it")
        if names and set(columns) <= set(pq.read_schema(path).names):
            table = pq.read_table(path, columns=columns, read_dictionary=list(names))
            frame = table.to_pandas(split_blocks=True, self_destruct=True)
        else:
            frame = pd.read_parquet(path)
    except BenchError:
        raise
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise BenchError(f"cannot read {path}: {markup.line(str(error))}; delete it and {AGAIN}") from error
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise BenchError(f"{path} lacks the columns {', '.join(missing)}; delete it and {AGAIN}")
    return frame


def _typed(frame: pd.DataFrame, numbers: list[str], source: str, texts: list[str]) -> pd.DataFrame:
    """The table with numbers in `numbers` and text in `texts`."""
    frame = frame.copy(deep=False)
    try:
        for column in numbers:
            frame[column] = pd.to_numeric(frame[column])
    except (ValueError, TypeError) as error:
        raise BenchError(f"{source} has a value that is no number ({error}); {AGAIN}") from error
    for column in texts:
        if not isinstance(frame[column].dtype, pd.CategoricalDtype | pd.StringDtype):
            frame[column] = frame[column].astype(str)
        longest = max((len(str(text)) for text in frame[column].unique()), default=0)
        if longest > LONGEST:
            raise BenchError(f"{source} has a {column} of {longest:,} characters, which is no name; {AGAIN}")
    return frame


OF_ROWS = ("stand_ins", "trained", "sized")  # lists of the protocol: a row's title, then what is true of it


def _protocol(path: Path) -> dict[str, Any]:
    """protocol.json, with what the report reads of it in its proper form."""
    if path.exists() and not path.is_file():  # reading a pipe would wait without end
        raise BenchError(f"{path} is no file: delete it and {AGAIN}")
    found = read_json(path, AGAIN)
    if not isinstance(found, dict):
        raise BenchError(f"{path} holds no table of facts; {AGAIN}")
    suite = found.get("suite")
    asked = suite.get("report", {}) if isinstance(suite, dict) else {}
    main = asked.get("main", []) if isinstance(asked, dict) else None
    lists = {"suite.report.main": main} | {name: found.get(name) or [] for name in ("missing", "framed", *OF_ROWS)}
    for name, lines in lists.items():
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise BenchError(f"{path}: {name} is no list of texts; delete it and {AGAIN}")
    if _depth(found) > DEEPEST:
        raise BenchError(f"{path}: its brackets are too deep; delete it and {AGAIN}")
    return found


def _depth(value: Any) -> int:
    """How many lists and tables are inside each other."""
    depth, level = 0, [value]
    while level := [part for part in level if isinstance(part, dict | list)]:
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
        depth += 1
    return depth
