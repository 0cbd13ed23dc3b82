"""Every system that the documents' tables and figures name, and what stands for it in this benchmark."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import pandas as pd

from reports.published.shapes import load

STATES = ("method", "library", "external", "user study")
STUDY = STATES[-1]
ABLATED = re.compile(r" (\([^)]*\)|(forged-patch|projected) discriminator)$")  # what a row's name says of a part
PARTS = re.compile(r" vs | \+ |\+(?=[A-Z])")
OF = {"IFR": "ISFRNet", "SFR": "ISFRNet"}  # parts that are printed as systems


def coverage() -> pd.DataFrame:
    """A row for each system and state: system, state, by, where.

    state: method (own network; `by`: its name in the registry), library (`by`: the row or metric that calls it),
    external (`by`: its place in docs/outside-systems.md), user study (people judged its pictures; `by` is empty).
    where: the tables that print its numbers; figures and tables without numbers where they show more than those.
    """
    known = _systems()
    found = [
        (system, STUDY if STUDY in row.task else known.loc[system, "state"], f"{row.source} {row.table}")
        for row in load().drop_duplicates(["source", "table", "method"]).itertuples()
        for system in systems(row.method)
    ]
    found += [(row.Index, row.state, place) for row in known.itertuples() for place in row.further.split("; ") if place]
    frame = pd.DataFrame(found, columns=["system", "state", "where"]).drop_duplicates()
    frame = frame.groupby(["state", "system"], as_index=False)["where"].agg(", ".join)
    frame["by"] = frame["system"].map(known["by"]).where(frame["state"] != STUDY, "")
    frame["state"] = pd.Categorical(frame["state"], STATES, ordered=True)
    frame = frame.sort_values(
        ["state", "system"], key=lambda names: names.str.lower() if names.name == "system" else names
    )
    return frame[["system", "state", "by", "where"]].reset_index(drop=True)


def systems(printed: str) -> list[str]:
    """The systems behind the name of a printed row: none of a row about data, two where two are compared.

    An ablation ("GRIG (A)", "pSp+IFR") is of the system whose parts it leaves out.
    """
    names = [ABLATED.sub("", name) for name in PARTS.split(printed) if name]
    return list(dict.fromkeys(OF.get(name, name) for name in names))


@cache
def _systems() -> pd.DataFrame:
    table = pd.read_csv(str(files("reports.published") / "systems.csv"), dtype=str).fillna("")
    return table.set_index("system")
