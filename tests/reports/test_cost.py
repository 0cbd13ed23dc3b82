"""Tables of cost: small networks have digits, and the best one is the best, not what reads like it."""

from __future__ import annotations

import csv
import io

import pandas as pd

from reports import results, tables
from reports.cost import costs
from reports.table import Table
from tests.reports import made_up

COUNTS = {"a": (1_027, 515_000), "b": (515, 1_027_000), "c": (0, 0), "d": (30_001_000, 2e9), "e": (30_004_000, 2.5e9)}


def printed(table: Table) -> dict[str, list[tuple[str, str]]]:
    return {row.title: [(cell.text, cell.mark) for cell in row.cells] for row in table.blocks[0].rows}


def test_small_counts_have_digits_and_marks_go_by_the_counts() -> None:
    rows = made_up.rows(methods={slug: slug for slug in "abde"})
    named = rows[["method", "title", "preset"]].drop_duplicates()
    priced = named.assign(
        params=[COUNTS[slug][0] for slug in named["method"]], macs=[COUNTS[slug][1] for slug in named["method"]]
    )
    table = tables.by_cost(results.over_seeds(results.tidy(rows)), priced)
    assert printed(table) == {
        "a": [("0.00103", "second"), ("0.000515", "best")],
        "b": [("0.000515", "best"), ("0.00103", "second")],
        "d": [("30.00", ""), ("2.00", "")],
        "e": [("30.00", ""), ("2.50", "")],
    }
    assert list(csv.reader(io.StringIO(table.to_csv())))[1:3] == [
        ["a", "0.00103", "0.000515"],
        ["b", "0.000515", "0.00103"],
    ]


def test_profiles_print_small_networks() -> None:
    lines = [
        {
            "name": slug, "variant": "", "size": 32, "batch": 1, "precision": "fp32", "compiled": False,
            "parameters": parameters, "macs": macs, "macs thop": macs, "latency": 3.14e-6, "latency spread": 1e-7,
            "latency p95": 4e-6, "throughput": 3e5, "memory": 2**18, "processor": "p", "device": "cpu", "threads": 1,
            "torch": "2", "driver": None, "parameters of net": parameters, "macs of net": macs, "fir of net": 0,
            "calls of net": 1,
        }
        for slug, (parameters, macs) in COUNTS.items()
    ]  # fmt: skip
    found = printed(costs(pd.DataFrame(lines)))
    assert [found[f"{slug}, 32 px, batch 1, fp32"][0] for slug in "abcde"] == [
        ("0.00103", ""), ("0.000515", ""), ("0.00", "second"), ("30.00", ""), ("30.00", ""),
    ]  # fmt: skip
    assert [text for text, _ in found["a, 32 px, batch 1, fp32"]][3:] == ["0.00314", "0.00400", "300000.00", "0.250"]
    assert printed(costs(pd.DataFrame(lines[:1]), modules=True))["net"][0][0] == "0.00103"
