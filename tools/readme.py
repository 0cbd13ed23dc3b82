"""Writes the generated tables of README.md again: python tools/readme.py"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from bench import registry
from reports.cost import machines

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


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
    return "-" if value is None else f"{value:#.3g}"


def updated(text: str) -> str:
    """The page with fresh tables."""
    for name, table in (("methods", methods), ("costs", costs)):
        mark = f"<!-- {name} -->", f"<!-- /{name} -->"
        inside = f"{mark[0]}\n{table()}\n{mark[1]}"
        text = re.sub(f"{mark[0]}.*{mark[1]}", lambda _, inside=inside: inside, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
