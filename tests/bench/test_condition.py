"""Names of conditions: masks, what guides a completion, degraded pictures."""

from __future__ import annotations

import pytest

import masks
from bench.condition import Condition, parse
from bench.data import degradation, guides
from bench.errors import BenchError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("irregular/10-20", Condition("irregular/10-20")),
        ("center/25+sketch", Condition("center/25", ("sketch",))),
        ("whole+sketch+semantics+colour", Condition("whole", ("sketch", "semantics", "colour"))),
        ("folder:/my+masks/a", Condition("folder:/my+masks/a")),
        ("folder:/my+masks/10-20+exemplar", Condition("folder:/my+masks/10-20", ("exemplar",))),
        ("frozen:/my+masks/a.npz", Condition("frozen:/my+masks/a.npz")),
        ("frozen:a/center_25+sketch.npz+sketch+text", Condition("frozen:a/center_25+sketch.npz", ("sketch", "text"))),
        ("swap", Condition("face", ("source", "exemplar"))),
        ("relabel", Condition("face", ("source", "semantics", "layout"))),
        ("restyle", Condition("whole", ("source", "exemplar"))),
        ("repose", Condition("whole", ("source", "attributes", "wanted"))),
        ("degraded/blind", Condition("whole", ("degraded",), "blind")),
        ("degraded/itself", Condition("whole", ("degraded",), "itself")),
    ],
)
def test_names_are_read(name: str, expected: Condition) -> None:
    assert parse(name) == expected
    assert parse(name).degraded == name.startswith("degraded/")
    assert parse(name).has_truth == (name != "degraded/itself")


@pytest.mark.parametrize("name", [*masks.GENERATORS, "irregular/20-30", "half/left"])
@pytest.mark.parametrize("guide", guides.shown())
def test_every_mask_can_be_guided(name: str, guide: str) -> None:
    if name not in ("folder", "frozen"):  # these name what they read
        assert parse(f"{name}+{guide}") == Condition(name, (guide,))


@pytest.mark.parametrize("name", degradation.RECIPES)
def test_every_recipe_is_a_condition(name: str) -> None:
    assert parse(f"degraded/{name}").source == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("center/25+scetch", r"guided by attributes, colour, exemplar, landmarks, .* wanted, not by 'scetch'"),
        ("center/25+sketch+sketch", "a guide stands there twice"),
        ("cente/25+sketch", "there is no mask generator 'cente'"),
        ("degraded", "write degraded/RECIPE, degraded/given or degraded/itself"),
        ("degraded/blurred", "there is no degradation 'blurred': choose from blind"),
        ("+sketch", "no name of a condition"),
        ("frozen:a.npz+scetch", r"it names no frozen set: write frozen:<FILE\.npz>"),
    ],
)
def test_bad_names_say_what_is_wrong(name: str, message: str) -> None:
    with pytest.raises((BenchError, masks.MaskError), match=message):
        parse(name)
