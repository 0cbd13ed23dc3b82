"""Keeps a profile in the repository: python tools/costs.py runs/profile/profile.parquet NAME"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd

SETTING = ["method", "variant", "size", "batch", "precision", "compiled"]
ROOT = Path(__file__).parents[1]


def keep(profile: Path, path: Path) -> None:
    """The rows of a profile as CSV, without the counts of single networks; rows of other settings stay there."""
    rows = pd.read_parquet(profile)
    rows = rows.drop(columns=[column for column in rows if " of " in column])
    if path.exists():
        rows = pd.concat([pd.read_csv(path), rows], ignore_index=True)
        place = rows.groupby(SETTING, sort=False, dropna=False).ngroup()  # a row that is measured again keeps its place
        rows = rows.loc[place.drop_duplicates(keep="last").sort_values().index]
    rows.to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    keep(Path(sys.argv[1]), ROOT / "reports" / "results" / f"{sys.argv[2]}.csv")
    runpy.run_path(str(ROOT / "tools" / "readme.py"), run_name="__main__")
