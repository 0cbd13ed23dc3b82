"""Usual slips in a method of one's own: each is one message, with the class and what is expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD

from bench import contract
from bench import train as training
from bench.completion import Completion
from bench.errors import BenchError
from bench.method import Batch, Config, Method, Stage
from tests.bench.test_train import CARD, Pictures, Toy, ToyStage, budget, deadly, quiet


def refused(method: Any, folder: Path) -> str:
    with pytest.raises(BenchError) as caught:
        training.train(method, Pictures(), range(10), budget(), folder, quiet)  # type: ignore[arg-type]
    return str(caught.value)


def toy(stages: Callable[..., Any]) -> Toy:
    return type("Mine", (Toy,), {"stages": stages})()


SLIPS: dict[str, tuple[Callable[..., Any], str]] = {
    "nothing": (lambda self, f: None, "gave None where a list of stages is expected: return [MyStage(self)]"),
    "none": (lambda self, f: [], "gave [] where a list of stages is expected: return [MyStage(self)]"),
    "one": (lambda self, f: ToyStage(self, "a", 1), "gave a ToyStage where a list of stages is expected: return"),
    "a class": (lambda self, f: [ToyStage], "gave the class ToyStage in its list where a stage is expected: write"),
    "no method": (lambda self, f: [Stage()], ": write MyStage(self), and begin a stage's own __init__(self, method)"),  # type: ignore[call-arg]
    "no features": (lambda self: [], "does not take (features): write `def stages(self, features)`"),
    "half": (lambda self, f: [ToyStage(self, "a", 0.5)], "and 0.5 (ToyStage) is 0.5: give parts above 0 of 1"),
    "twice": (
        lambda self, f: [ToyStage(self, "a", 1.0), ToyStage(self, "b", 1.0)],
        "`share` divides the budget, and 1 (ToyStage) + 1 (ToyStage) is 2: give parts above 0 of 1",
    ),
    "too much and less": (
        lambda self, f: [ToyStage(self, "a", 1.5), ToyStage(self, "b", -0.5)],
        "and 1.5 (ToyStage) + -0.5 (ToyStage) is 1: give",
    ),
    "one name": (
        lambda self, f: [ToyStage(self, "a", 0.5), ToyStage(self, "a", 0.5)],
        "and ToyStage is 'a', ToyStage is 'a': give each its own `name`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_stages(tmp_path: Path, slip: str) -> None:
    stages, message = SLIPS[slip]
    said = refused(toy(stages), tmp_path)
    assert said.startswith("toy: Mine.stages()") and message in said


def test_thirds_are_a_whole(tmp_path: Path) -> None:
    made = toy(lambda self, f: [ToyStage(self, name, 1 / 3) for name in ("first", "second", "third")])
    training.train(made, Pictures(), range(10), budget(), tmp_path, quiet)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masks": "iregular"}, ".masks: there are no masks 'iregular': did you mean irregular?"),
        ({"masks": "sqqqx"}, ".masks: there are no masks 'sqqqx': `facebench list --masks` shows all"),
        ({"masks": "irregular/50-40"}, ".masks: "),
        ({"guides": ("scetch",)}, ".guides: there is no guide 'scetch': it is one of "),
        ({"guides": "sketch"}, '.guides is a text where a tuple of names is expected: ("sketch",)'),
        ({"degradation": "psfrgam"}, ".degradation: there is no degradation 'psfrgam': did you mean psfrgan?"),
        ({"ema": {"mian": 0.9}}, ".ema names 'mian': optimisers() has main"),
        ({"step": lambda self, batch: {}}, ".step() does not take (batch, update, noise): write `def step(self, batch"),
        ({"step": Stage.step}, " has no step(): write `def step(self, batch, update, noise)`"),
        ({"optimisers": Stage.optimisers}, " has no optimisers(): write `def optimisers(self)`"),
        ({"optimisers": lambda self: SGD(self.method.parameters(), 1)}, ".optimisers() gave a SGD where optimisers by"),
        ({"optimisers": lambda self: None}, ".optimisers() gave None where optimisers by name are expected: return"),
        ({"optimisers": lambda self: {}}, ".optimisers() gave {} where optimisers by name are expected: return"),
    ],
)
def test_a_stage(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Also of the second stage it is told before the first one trains."""
    own = type("MyStage", (ToyStage,), changes)
    said = refused(toy(lambda self, f: [ToyStage(self, "first", 0.5), own(self, "main", 0.5)]), tmp_path)
    assert said.startswith(f"toy: MyStage{message}")
    if not {"ema", "optimisers"} & changes.keys() or "has no" in message:
        assert not (tmp_path / "losses.csv").exists()


def test_a_stage_that_steps_no_optimiser_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyStage, "step", lambda self, batch, update, noise: {"l1": self.method.bias.sum()})
    said = refused(Toy(), tmp_path)
    assert said == (
        "toy (first): step() trained nothing: in 12 iterations it called update() for none of main, critic: "
        'call update("main", loss)'
    )


@pytest.mark.parametrize("interrupt_at", [None, 4, 16])
def test_an_optimiser_that_is_never_stepped_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupt_at: int | None
) -> None:
    """Also where a run goes on in a later stage, or after the iteration that stepped it."""
    step, seen = ToyStage.step, list[str]()

    def lazy(self: Any, batch: Any, update: Any, noise: Any) -> Any:
        def some(name: str, loss: Any) -> None:
            if name == "main" or (self.name == "second" and seen.count("second") == 1):
                update(name, loss)

        seen.append(self.name)
        return step(self, batch, some, noise)

    monkeypatch.setattr(ToyStage, "step", lazy)
    if interrupt_at:
        with pytest.raises(KeyboardInterrupt):
            training.train(Toy(), Pictures(), range(10), budget(), tmp_path, deadly(interrupt_at))  # type: ignore[arg-type]
    told = training.train(Toy(), Pictures(), range(10), budget(), tmp_path, quiet)  # type: ignore[arg-type]
    assert told == ["in 12 iterations of its stage first, its optimiser critic was never stepped"]


class Unprepared(Method):
    card = CARD

    def __init__(self, config: Config) -> None:
        self.conv = torch.nn.Conv2d(4, 3, 3)


class Plain(Method):
    card = CARD

    def __init__(self, config: Config) -> None:
        self.width = 3


class Bare(Method):
    card = CARD

    def __init__(self) -> None:
        super().__init__(Config())


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Unprepared, "Unprepared.__init__() does not prepare the class: begin it with super().__init__(config)"),
        (Plain, "Plain.__init__() does not prepare the class: begin it with super().__init__(config)"),
        (Bare, "Bare.__init__() does not take (config): write `def __init__(self, config)`"),
    ],
)
def test_a_method_that_is_not_made_well(kind: type[Method], message: str) -> None:
    with pytest.raises(BenchError, match=rf"toy: {re.escape(message)}"):
        contract.made(kind, Config())


def test_a_method_completes_with_two_arguments() -> None:
    class Mute(Method):
        card = CARD

    class Deaf(Mute):
        def complete(self, batch: Batch) -> torch.Tensor:  # type: ignore[override]
            return batch.image

    for kind, message in (
        (Mute, "Mute has no complete()"),
        (Deaf, r"Deaf.complete\(\) does not take \(batch, noise\)"),
    ):
        with pytest.raises(BenchError, match="toy: " + message.replace("complete()", r"complete\(\)")):
            Completion(kind(Config()), lambda batch: [0] * len(batch))
