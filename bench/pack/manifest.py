"""What pack.json says."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import BenchError

FILE = "pack.json"
FORMAT = "facebench pack 1"
TABLES = ("results.parquet", "per_image.parquet", "costs.parquet", "losses.parquet")
PROTOCOL = "protocol.json"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Pictures(Strict):
    """The pictures of one cell: one row, data set and condition."""

    row: dict[str, str | int]
    """title, method, preset, dataset, shots, seed, condition: as in results.parquet."""
    completion: str = Field(pattern=r"^complete-[A-Za-z0-9_-]+$")
    """The job that made them, and their folder in the pack."""
    masks: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The fingerprint of their masks."""
    kept: int = Field(ge=0)
    """Pictures in the pack."""
    total: int = Field(ge=0)
    why: str = ""
    """Why there are none."""


class Withdrawn(Strict):
    """Values that are taken back; the reason stays."""

    what: str
    """ROW, or ROW | CONDITION, or ROW | CONDITION | METRIC."""
    reason: str = Field(min_length=1)


class Manifest(Strict):
    """The content of pack.json."""

    format: str
    suite: str
    facebench: str
    system: dict[str, str | int | float]
    """A description of what was run, by whom and on what."""
    share: float = Field(ge=0, le=1)
    """Of the test images whose pictures are kept."""
    pictures: list[Pictures]
    withdrawn: list[Withdrawn] = []
    files: dict[str, str]
    """Member -> SHA-256."""

    @property
    def datasets(self) -> list[str]:
        """The data sets of its rows and conditions."""
        return list(dict.fromkeys(str(one.row.get("dataset")) for one in self.pictures))

    @property
    def without_pictures(self) -> list[str]:
        """How many rows x conditions have no pictures, a line for each reason."""
        whys = Counter(one.why for one in self.pictures if not one.kept)
        return [
            f"no pictures of {count} of {len(self.pictures)} rows x conditions: {why}" for why, count in whys.items()
        ]


def read(content: Any, name: str) -> Manifest:
    """The checked content of a pack.json; BenchError where it is none."""
    try:
        found = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its content"
        raise BenchError(f"{name}: {FILE} is damaged: {where}: {first['msg']}: ask for the pack again") from error
    if found.format != FORMAT:
        raise BenchError(f"{name}: its format is {found.format!r}, and this release reads {FORMAT!r}")
    return found
