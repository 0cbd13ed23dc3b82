"""What a suite can say, for editors, and what one says with all defaults, for readers."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import yaml

import masks
from bench import metrics, registry, suite
from bench.condition import EDITS
from bench.data import catalogue, degradation
from bench.metrics.sets import SETS
from bench.suite import Entry, Suite

OWN = {"name": "my-images", "folder": "DIR"}  # stands for what --data gives
WIDTH = 100  # characters of a list that stands in one line


class _Dumper(yaml.SafeDumper):
    """Short lists in one line, long ones with a line for each value."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = bool(node.flow_style) and len(str(sequence)) <= WIDTH
        return node


def schema() -> dict[str, Any]:
    """The JSON schema of suite files. Names that this machine knows, plug-ins too, are examples: others may come."""
    made = Suite.model_json_schema()
    slugs, parts = list(registry.entries()), made["$defs"]
    parts["Entry"]["properties"]["method"]["examples"] = slugs
    parts["Data"]["properties"]["name"]["examples"] = ["synthfaces", *catalogue.DATASETS]
    made["properties"]["conditions"]["items"]["examples"] = conditions()
    alone, several = made["properties"]["metrics"]["anyOf"]
    alone["examples"] = list(SETS)
    several["items"]["examples"] = [*SETS, *metrics.names()]
    for key in ("methods", "priors"):
        made["properties"][key]["items"]["anyOf"][0]["examples"] = slugs
    parts["Report"]["properties"]["main"]["items"]["examples"] = list(metrics.names())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | made


def conditions() -> list[str]:
    """Conditions that a suite can name: each generator, buckets of those that reach all, edits, and degradations."""
    found = []
    for name, generator in masks.GENERATORS.items():
        found.append(name)
        if hasattr(generator, "parts"):
            found += [f"{name}/{low}-{low + 10}" for low in range(0, 100, 10)]
    return [*found, *EDITS] + [f"degraded/{name}" for name in (*degradation.RECIPES, "given", "itself")]


def parsed(name: str) -> Suite:
    """A suite, with a stand-in for the images of one that is for your own."""
    content = suite.content(name)
    return suite.parse(content if content.get("data") else content | {"data": [OWN]}, name)


def filled(name: str) -> str:
    """A suite as YAML with all defaults, and presets and titles of its rows, under the comment that begins its file.

    It is a suite file again, of the same jobs. BenchError as of `suite.load`.
    """
    made = parsed(name)
    own = made.data[0].name == OWN["name"]
    rows = {key: [_settled(made, entry) for entry in getattr(made, key)] for key in ("methods", "priors")}
    told = made.model_copy(update=rows).model_dump(mode="json", exclude_none=True)
    text = suite.file(name).read_text(encoding="utf-8")
    head = takewhile(lambda line: line.startswith("#"), text.splitlines())
    note = [f"# {OWN['folder']} stands for what --data gives"] if own else []
    style: dict[str, Any] = {"allow_unicode": True, "sort_keys": False, "width": 2 * WIDTH, "default_flow_style": None}
    body = yaml.dump(told, Dumper=_Dumper, **style)
    return "\n".join([*head, *note, body])


def _settled(made: Suite, entry: Entry) -> Entry:
    """A row with what it leaves to the method."""
    return entry.model_copy(update={"preset": made.preset_of(entry), "title": made.title_of(entry)})
