"""Keeps a profile in the repository: python tools/costs.py runs/profile/profile.parquet NAME"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]


def keep(profile: Path, name: str) -> Path:
    """reports/results/NAME.csv with the rows of a profile, without the counts of single networks."""
    rows = pd.read_parquet(profile)
    parts = [column for column in rows if " of " in column]
    path = ROOT / "reports" / "results" / f"{name}.csv"
    rows.drop(columns=parts).to_csv(path, index=False, lineterminator="\n")
    return path


if __name__ == "__main__":
    print("wrote", keep(Path(sys.argv[1]), sys.argv[2]))
    runpy.run_path(str(ROOT / "tools" / "readme.py"), run_name="__main__")
