"""Printed parameters and "FLOPs" of the thesis' tables 4.4 and 5.2: which count of our networks gives their digits."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.commands.profile import COMPARED
from bench.profile.cell import Setting, measure
from reports.cost import published_costs

THOP, PRODUCTS, CUT = "equals thop's rule", "equals convolutions and matrix products", ", cut off"
ALONE, NOT = "equals the generator alone", "not reproduced"
EXPECTED = {  # row -> parameters and how they come about, "FLOPs" and how
    "RFR": ("30.59", THOP, "206.17", THOP),
    "AOT": ("15.20", THOP, "72.88", THOP),
    "CMOD": ("79.17", PRODUCTS + CUT, "90.25", PRODUCTS + CUT),
    "Lama": ("27.05", THOP, "42.87", THOP),
    "GRIG, T = 1": ("31.76", PRODUCTS, "20.47", THOP),
    "GRIG, T = 3": ("31.76", PRODUCTS, "61.41", THOP),
    "EdgeConnect": ("21.54", THOP, "122.64", THOP),
    "GMCNN": ("12.56", THOP, "67.20", THOP),
    "RGTSI": ("175.55", NOT, "146.67", NOT),  # the released code: 175.42 M, and 145.24 G by thop's rule
    "TransRef": ("41.97", THOP, "7.55", THOP),
    "EXE-GAN": ("79.18", ALONE, "90.26", ALONE),
}


@pytest.mark.slow
def test_the_printed_columns_are_reproduced() -> None:
    rows = []
    for name in COMPARED:
        slug, _, variant = name.partition(":")
        rows.append(measure(Setting(slug, "paper", variant or None, seconds=0.0)) | {"source": ""})
    table = published_costs(pd.DataFrame(rows))
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for block in table.blocks:
        kind = "parameters" if "parameters" in block.title else "FLOPs"
        for row in block.rows:
            published = (row.cells[0].text, row.cells[0].note)
            assert found.setdefault(row.title, {}).setdefault(kind, published) == published  # both tables say the same
    assert {title: (*kinds["parameters"], *kinds["FLOPs"]) for title, kinds in found.items()} == EXPECTED
