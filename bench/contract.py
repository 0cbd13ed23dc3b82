"""What a method of anybody must give where the harness calls it: each slip is one message: what is expected."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer

import masks
from bench.data import degradation, guides
from bench.errors import BenchError
from bench.method import Config, Method, Source, Stage


def made(kind: type[Method], config: Config) -> Method:
    """A method of that class with these options."""
    user, remedy = f"{kind.card.slug}: {kind.__name__}.__init__()", "begin it with super().__init__(config)"
    _takes(kind, user, "def __init__(self, config)", "config")
    with _begun(f"{user} does not prepare the class: {remedy}"):
        method = kind(config)
    if "config" not in vars(method):
        raise BenchError(f"{user} does not prepare the class: {remedy}")
    return method


def stages(method: Method, features: Source) -> list[Stage]:
    """The stages of a method: made, of one budget, with names of their own and known sources of what they train on."""
    written(method, "stages", "features")
    user = f"{method.card.slug}: {type(method).__name__}.stages()"
    with _begun(
        f"{user}: write MyStage(self), and begin a stage's own __init__(self, method) with super().__init__(method)"
    ):
        found: Any = method.stages(features)
    if not isinstance(found, list | tuple) or not found:
        raise BenchError(f"{user} gave {_described(found)} where a list of stages is expected: return [MyStage(self)]")
    for stage in found:
        if not isinstance(stage, Stage) or "method" not in vars(stage):
            raise BenchError(
                f"{user} gave {_described(stage)} in its list where a stage is expected: write MyStage(self)"
            )
        written(stage, "optimisers")
        written(stage, "step", "batch", "update", "noise")
        _check_sources(stage)
    if len({stage.name for stage in found}) < len(found):
        names = ", ".join(f"{type(stage).__name__} is {stage.name!r}" for stage in found)
        raise BenchError(f"{user}: losses and batches go by the stage's name, and {names}: give each its own `name`")
    shares = [stage.share for stage in found]
    if not math.isclose(sum(shares), 1, abs_tol=1e-6) or min(shares) <= 0:
        said = " + ".join(f"{share:g} ({type(stage).__name__})" for stage, share in zip(found, shares, strict=True))
        raise BenchError(f"{user}: `share` divides the budget, and {said} is {sum(shares):g}: give parts above 0 of 1")
    return list(found)


def optimisers(stage: Stage) -> dict[str, Optimizer]:
    """The optimisers of a stage by name; its averages are of them."""
    user, found = f"{_user(stage)}.optimisers()", stage.optimisers()
    if not isinstance(found, Mapping) or not found or not all(isinstance(one, Optimizer) for one in found.values()):
        raise BenchError(
            f"{user} gave {_described(found)} where optimisers by name are expected: return "
            '{"generator": Adam(self.method.parameters())}'
        )
    if unknown := [name for name in stage.ema if name not in found]:
        raise BenchError(f"{_user(stage)}.ema names {unknown[0]!r}: optimisers() has {', '.join(found)}")
    return dict(found)


def written(thing: Method | Stage, name: str, *arguments: str) -> None:
    """BenchError unless the class of a method or stage defines this function, with these arguments."""
    base, how = Method if isinstance(thing, Method) else Stage, f"def {name}({', '.join(('self', *arguments))})"
    if getattr(type(thing), name) is getattr(base, name):
        raise BenchError(f"{_user(thing)} has no {name}(): write `{how}`")
    _takes(getattr(thing, name), f"{_user(thing)}.{name}()", how, *arguments)


def _takes(call: Any, user: str, how: str, *arguments: str) -> None:
    try:
        inspect.signature(call).bind(*arguments)
    except TypeError:
        raise BenchError(f"{user} does not take ({', '.join(arguments)}): write `{how}`") from None


@contextmanager
def _begun(message: str) -> Iterator[None]:
    """BenchError where networks are set before the base class is ready, or the class is called without its method."""
    try:
        yield
    except (AttributeError, TypeError) as error:
        if "Module.__init__()" in str(error) or "Stage.__init__() missing" in str(error):
            raise BenchError(f"{message} ({error})") from error
        raise


def _user(thing: Method | Stage) -> str:
    """The class, for messages."""
    card = (thing if isinstance(thing, Method) else thing.method).card
    return f"{card.slug}: {type(thing).__name__}"


def _described(value: Any) -> str:
    if value is None or isinstance(value, dict | list | tuple):
        return repr(value)[:60]
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _check_sources(stage: Stage) -> None:
    """BenchError, with the attribute, where no masks, guide or degradation has the name that a stage says."""
    if isinstance(stage.guides, str):
        raise BenchError(f'{_user(stage)}.guides is a text where a tuple of names is expected: ("{stage.guides}",)')
    for name, check, values in (
        ("masks", _check_masks, [stage.masks]),
        ("degradation", degradation.recipe, [stage.degradation] if stage.degradation else []),
        ("guides", guides.get, stage.guides),
    ):
        for value in values:
            try:
                check(value)
            except BenchError as error:
                raise BenchError(f"{_user(stage)}.{name}: {error}") from error


def _check_masks(name: str) -> None:
    known = [*masks.TRAINING, *masks.GENERATORS]
    if not isinstance(name, str) or name.partition("/")[0].partition(":")[0] not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {close[0]}?" if close else "`facebench list --masks` shows all"
        raise BenchError(f"there are no masks {name!r}: {hint}")
    recipe, files = masks.recipe_of(name)
    if recipe is None or files:
        masks.parse(files or name)
