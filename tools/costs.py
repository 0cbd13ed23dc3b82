"""Keeps a profile in the repository: python tools/costs.py runs/profile/profile.parquet NAME"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]


def keep(profile: Path, path: Path) -> None:
    """The rows of a profile as CSV, without the counts of single networks."""
    rows = pd.read_parquet(profile)
    parts = [column for column in rows if " of " in column]
    rows.drop(columns=parts).to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    keep(Path(sys.argv[1]), ROOT / "reports" / "results" / f"{sys.argv[2]}.csv")
    runpy.run_path(str(ROOT / "tools" / "readme.py"), run_name="__main__")
