"""The rows of a suite that programs outside of this project fill, with pictures on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.errors import BenchError
from bench.store import file_slug
from bench.suite import Outside, Suite


def added(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What a suite says, with the rows of its section `outside` whose pictures lie in FOLDER/TITLE/CONDITION/.

    Raises BenchError where no row has pictures there.
    """
    name = content.get("suite")
    try:
        listed = TypeAdapter(list[Outside]).validate_python(content.get("outside") or [])
    except ValidationError:
        return dict(content)  # `suite.parse` says what is wrong
    if not listed:
        raise BenchError(
            f"--outside: the suite {name} has no rows of outside programs: add one as {{method: external}}"
        )
    places = {row.title: folder / file_slug(row.title) for row in listed}
    found = [row for row in listed if places[row.title].is_dir()]
    if not found:
        wanted = ", ".join(place.name for place in places.values())
        raise BenchError(
            f"--outside {folder}: no row has pictures there: the suite {name} looks for the folders {wanted}"
        )
    rows = [
        {
            **row.model_dump(include={"title", "paste", "conditions"}),
            "method": "external",
            "options": {"folder": str(places[row.title])},
        }
        for row in found
    ]
    expected = [line for row in found for line in row.expect]
    return {
        **content,
        "methods": [*content.get("methods", []), *rows],
        "expect": [*content.get("expect", []), *expected],
    }


def check(suite: Suite, folder: Path) -> None:
    """BenchError where pictures of several data sets would be read from one folder."""
    if len(suite.data) > 1:
        names = ", ".join(data.name for data in suite.data)
        raise BenchError(
            f"--outside {folder}: it holds pictures of one data set: give --data for one of {names} at a time"
        )
