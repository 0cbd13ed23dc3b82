"""Writes the generated tables of README.md and docs/suite.md again: python tools/readme.py"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bench import expect, registry
from bench.suite import Suite
from reports.cost import machines

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "README.md", ROOT / "docs" / "suite.md"


def methods() -> str:
    """The table of methods, from their cards."""
    lines = ["| method | name | task | year | parameters | paper |", "|---|---|---|---|---|---|"]
    for slug, entry in registry.entries().items():
        card = entry.card
        params = f"{next(iter(card.params.values())) / 1e6:.2f} M" if card.params else "-"
        paper = f"[{card.title}]({card.url})" if card.url else card.title
        lines.append(f"| `{slug}` | {card.name} | {card.task} | {card.year or '-'} | {params} | {paper} |")
    return "\n".join(lines)


def costs() -> str:
    """A table for each file of reports/results: methods x settings."""
    return "\n\n".join(_costs(pd.read_csv(path)) for path in sorted((ROOT / "reports" / "results").glob("*.csv")))


def _costs(rows: pd.DataFrame) -> str:
    rows = rows[rows["macs"].notna()]
    rows = rows.assign(setting=[_setting(row) for row in rows.to_dict("records")])
    settings = list(dict.fromkeys(rows["setting"]))
    head = ["method", "parameters", "MACs", "by thop's rule", *settings]
    lines = [f"Images of {rows['size'].iloc[0]} px a second. {machines(rows)}.", "", f"| {' | '.join(head)} |"]
    lines.append("|---|" + "--:|" * (len(head) - 1))
    for name, found in rows.groupby("name", sort=False):
        one, speed = found.iloc[0], found.set_index("setting")["throughput"]
        counts = f"{one['parameters'] / 1e6:.2f} M", f"{one['macs'] / 1e9:.2f} G", f"{one['macs thop'] / 1e9:.2f} G"
        title = name if one["preset"] == "paper" else f"{name} (preset {one['preset']})"
        lines.append(f"| {' | '.join([str(title), *counts, *(_speed(speed.get(s)) for s in settings)])} |")
    return "\n".join(lines)


def _setting(row: dict[str, object]) -> str:
    return f"batch {row['batch']}, {row['precision']}" + (", compiled" if row["compiled"] else "")


def _speed(value: float | None) -> str:
    return "-" if pd.isna(value) else f"{value:#.3g}"


def keys() -> str:
    """Every key of a suite, a table for each section."""
    schema = Suite.model_json_schema()
    headings: dict[str, list[str]] = {}  # section -> the keys that hold it
    for part in (schema, *schema["$defs"].values()):
        for key, value in part["properties"].items():
            for name in _sections(value):
                headings.setdefault(name, []).append(key)
    titles = {name: ", ".join(dict.fromkeys(found)) for name, found in headings.items()}
    parts = [("The suite", schema), *((titles[name], schema["$defs"][name]) for name in titles)]
    return "\n\n".join(_section(title, part, titles) for title, part in parts)


def _sections(value: dict[str, Any]) -> Iterator[str]:
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2]
    for one in (*value.get("anyOf", ()), *value.get("oneOf", ()), *([value["items"]] if "items" in value else ())):
        yield from _sections(one)


def _section(title: str, part: dict[str, Any], titles: dict[str, str]) -> str:
    lines = [f"### {title}", "", part["description"], "", "| key | value | default | meaning |", "|---|---|---|---|"]
    for key, value in part["properties"].items():
        default = "required" if key in part.get("required", ()) else _default(value.get("default"))
        cells = f"`{key}`", _kind(value, titles), default, " ".join(value["description"].split())
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _default(value: Any) -> str:
    """A default; that of a section is those of its keys."""
    return "-" if value in (None, [], {}, "") or isinstance(value, dict) else f"`{json.dumps(value)}`"


def _kind(value: dict[str, Any], titles: dict[str, str]) -> str:
    if choices := value.get("anyOf") or value.get("oneOf"):
        return " or ".join(_kind(one, titles) for one in choices if one.get("type") != "null")
    if "$ref" in value:
        title = titles[next(_sections(value))]
        return f"[{title}](#{title.replace(', ', '-')})"
    if known := value.get("enum") or ([value["const"]] if "const" in value else None):
        return ", ".join(f"`{one}`" for one in known)
    if value["type"] == "array":
        return f"list: {_kind(value['items'], titles)}"
    if value["type"] in ("integer", "number"):
        low, high, above = (value.get(name) for name in ("minimum", "maximum", "exclusiveMinimum"))
        bounds = f", {low:,} to {high:,}" if high else f" from {low}" if low is not None else ""
        bounds += f" above {above}" if above is not None else ""
        return f"{'whole ' * (value['type'] == 'integer')}number{bounds}"
    return {"string": value.get("format", "text"), "boolean": "`true`, `false`", "object": "table"}[value["type"]]


def grammar() -> str:
    """What a line of `expect` may say."""
    return inspect.cleandoc(str(expect.__doc__)).partition("\n\n")[2]


def updated(text: str) -> str:
    """The page with fresh tables."""
    for name, table in (("methods", methods), ("costs", costs), ("keys", keys), ("expect", grammar)):
        mark = f"<!-- {name} -->", f"<!-- /{name} -->"
        if mark[0] not in text:
            continue
        inside = f"{mark[0]}\n{table()}\n{mark[1]}"
        text = re.sub(f"{mark[0]}.*{mark[1]}", lambda _, inside=inside: inside, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(updated(page.read_text(encoding="utf-8")), encoding="utf-8")
