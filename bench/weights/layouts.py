"""Which part of a checkpoint a method loads.

A method's `load_official` takes the layout of its authors. The files that people have hold the same names behind a
prefix (`module.`), in a wrapper (`{"netG": ...}`), beside other networks (Lightning) or beside an averaged copy.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.progress import LOG
from bench.weights.reading import joined, read, walk

if TYPE_CHECKING:
    from bench.method import Method

WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before each name
AVERAGED = re.compile(r"(?<![a-z])(ema|averaged?)(?![a-z])", re.IGNORECASE)  # in the name of a part
LITEMA = {"decay", "num_updates"}  # what stands beside the average that `_with_dots` reads
State = Mapping[str, Any]
Network = TypeVar("Network", bound=nn.Module)
LEVELS = 3  # of parts inside parts
MOST = 50  # parts that are tried; no checkpoint has more networks
SHOWN = 4  # beginnings of names in a message
PROBLEM = re.compile(r'(Missing|Unexpected) key\(s\) in state_dict: "([^"]+)"')  # in the messages of torch
SHAPES = re.compile(r"size mismatch for (\S+): .*?Size\(\[(.*?)\]\).*?Size\(\[(.*?)\]\)")


@dataclass(frozen=True)
class Part:
    """A dictionary inside a checkpoint; its name is the keys, or beginnings of names, that lead to it."""

    name: str
    state: Mapping[str, Any]

    def inner(self, name: str, state: Mapping[str, Any]) -> Part:
        """A part of this part."""
        return Part(f"{self.name}.{name}" if self.name else name, state)


class OtherFile(BenchError):
    """Of a file that an option names beside `weights`: the message is about that one."""


Tried = list[tuple[Part, Exception | None]]  # each with the error of the method that does not take it


def load_official(method: Method, file: Path) -> None:
    """Let the method's own `load_official` take a file, or the one part of the file that it takes strictly.

    The file as it is goes first: the layout of the authors wins. Of a network and its averaged copy the copy is
    loaded, as papers report it; the log names the part that was loaded. Methods `from_folder` read theirs by
    themselves. Raises BenchError, with the cause and what to do, for a file that fits in no way or in several ways, and
    for values that are not finite.
    """
    if method.card.from_folder:
        method.load_folder(file)
        return
    content = read(file)
    tried = try_parts(method, content)
    fitting = [part for part, error in tried if error is None]
    if not fitting and (other := next((error for _, error in tried if isinstance(error, OtherFile)), None)):
        raise other
    # where nothing fits, the file itself is given: its error says why, or it needs values to be understood
    part = _choose(fitting, file, method.card.slug) if fitting else Part("", content)
    before = _not_finite(method)  # a constant may be infinite

    def load(state: Mapping[str, Any]) -> list[str]:
        """What is not finite after the method took it."""
        try:
            method.load_official(state)
        except OtherFile:
            raise
        except Exception as error:  # names and shapes that no one foresaw can raise anything
            errors = [error, *(e for _, e in tried if e)]
            raise BenchError(_refusal(method, file, content, errors)) from error
        return [name for name in _not_finite(method) if name not in before]

    if wrong := load(part.state):
        raise BenchError(f"{file}: `{wrong[0]}` holds values that are not finite (NaN or infinite): give another file")
    if any(_is_whole(tensor) for _, tensor in walk(part.state)):
        if wrong := load(_changed(part.state, _spoilt)):  # where they arrive as weights
            raise BenchError(
                f"{file}: `{wrong[0]}` would be made of integers: quantised weights mean nothing without their scales; "
                "give the file that holds floats"
            )
        load(part.state)


def load_second(
    network: nn.Module, slug: str, option: str, file: Path, renamed: Callable[[State], State] = lambda state: state
) -> None:
    """Let a network of a method take the file that an option names beside `weights`, or the one part that fits it.

    `renamed`: the authors' names as the network's. Raises OtherFile, which names option and file.
    """

    def attempt(state: State) -> Exception | None:
        try:
            with torch.device("meta"), warnings.catch_warnings(action="ignore"):
                _shadow(network).load_state_dict(renamed(_changed(state, _empty)))
        except Exception as error:
            return error
        return None

    try:
        content = read(file)
        tried = _searched(content, len([*network.parameters()]), attempt)
        fitting = [part for part, error in tried if error is None]
        if not fitting:
            raise BenchError(
                f"{file} holds another network, or another size of it: its names begin with {_beginnings(content)}"
            ) from tried[0][1]
        network.load_state_dict(renamed(_choose(fitting, file, slug).state))
    except BenchError as error:
        raise OtherFile(f"{slug}: {option}: {error}") from error


def _is_whole(tensor: Tensor) -> bool:
    """Whether it holds several integers: indices, or weights that were quantised. One alone is a counter."""
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool) and tensor.numel() > 1


def _spoilt(tensor: Tensor) -> Tensor:
    return torch.full(tensor.shape, torch.nan) if _is_whole(tensor) else tensor


def _choose(fitting: list[Part], file: Path, slug: str) -> Part:
    """The part to load of those that fit; BenchError where the choice would be a guess."""
    averaged = [part for part in fitting if AVERAGED.search(part.name)]
    names = " and ".join(f"`{part.name}`" for part in fitting)
    if len(fitting) == 2 and len(averaged) == 1:
        LOG.info("%s: %s fit; the averaged copy `%s` is loaded", file, names, averaged[0].name)
        return averaged[0]
    if len(fitting) > 1:
        raise BenchError(f"{file}: its parts {names} all fit {slug}: save the one that you mean as a file of its own")
    if fitting[0].name:
        LOG.info("%s: its part %s is loaded", file, names)
    return fitting[0]


def _not_finite(method: Method) -> list[str]:
    return [name for name, value in method.state_dict().items() if not value.isfinite().all()]


def try_parts(method: Method, content: Mapping[str, Any]) -> Tried:
    """Try the file, and what is inside the parts that do not fit. The method itself is not changed."""
    least = min((len([*network.parameters()]) for network in method.networks().values()), default=0)
    return _searched(content, least, lambda state: _try(method, state))


def _searched(content: State, least: int, attempt: Callable[[State], Exception | None]) -> Tried:
    """`attempt` with the file, and with what is inside the parts that do not fit; `least`: parameters of a network."""

    def attempts(part: Part, levels: int) -> Iterator[tuple[Part, Exception | None]]:
        error = attempt(part.state)
        yield part, error
        if error is None:
            return
        bare = _without_wrappers(part.state)
        if bare is not part.state:
            yield from attempts(Part(part.name, bare), levels)
        elif levels:
            for inner in _inner(part):
                if 2 * len([*walk(inner.state)]) >= least:  # else it is a layer, not a network
                    yield from attempts(inner, levels - 1)

    tried = [*islice(attempts(Part("", content), LEVELS), MOST + 1)]
    return tried if len(tried) <= MOST else tried[:1]  # one of those not tried could fit as well


def _try(method: Method, state: Mapping[str, Any]) -> Exception | None:
    """Why the method does not take these names and shapes; none when it does. The method itself is not changed."""
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):  # what it makes while it loads is empty
            _shadow(method).load_official(_changed(state, _empty))
    except Exception as error:
        return error
    return None


def _empty(tensor: Tensor) -> Tensor:
    return tensor.to("meta")  # a shape without values


def _shadow(method: Network) -> Network:
    """A copy that has shapes and no values."""
    known: dict[int, Any] = {
        id(p): nn.Parameter(p.detach().to("meta"), requires_grad=p.requires_grad) for p in method.parameters()
    }
    return copy.deepcopy(method, known | {id(buffer): buffer.to("meta") for buffer in method.buffers()})


def _changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same content with other tensors."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _changed(part, change) for key, part in value.items()}
    return [_changed(part, change) for part in value] if isinstance(value, list | tuple) else value


def _without_wrappers(value: Any) -> Any:
    """The same content without the prefixes that stand before all names of a dictionary; `value` where none does."""
    if not isinstance(value, Mapping):
        return value
    found = {key: _without_wrappers(part) for key, part in value.items()}
    for prefix in WRAPPERS:
        if found and all(isinstance(key, str) and key.startswith(prefix) for key in found):
            return _without_wrappers({key.removeprefix(prefix): part for key, part in found.items()})
    return found if any(found[key] is not part for key, part in value.items()) else value


def _inner(part: Part) -> Iterator[Part]:
    """The dictionaries in a part, and its tensors grouped by the beginnings of their names."""
    groups: dict[str, dict[str, Any]] = {}
    for key, value in part.state.items():
        if isinstance(value, Mapping) and not _of_optimisers(value):
            yield part.inner(str(key), value)
        elif isinstance(value, Tensor) and isinstance(key, str) and "." in key:
            head, _, rest = key.partition(".")
            groups.setdefault(head, {})[rest] = value
    for head, state in groups.items():
        yield part.inner(head, _with_dots(state, groups) if AVERAGED.search(head) else state)


def _with_dots(average: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """An averaged copy as the network that it is of, where its names are those of parameters without their dots.

    So LitEma writes it (latent diffusion): `model_ema.netout2weight` is of `model.net.out.2.weight`. What is not
    averaged, such as the statistics of normalisation, is that of the network.
    """
    names = average.keys() - LITEMA
    for network in groups.values():
        dotted = {name.replace(".", ""): name for name in network}
        if names <= dotted.keys() and len(dotted) == len(network) and any("." in dotted[name] for name in names):
            return {**network, **{dotted[name]: average[name] for name in names}}
    return average


def _of_optimisers(value: Any) -> bool:
    """Whether all tensors in it, if there are any, are those of optimisers."""
    if isinstance(value, Mapping):
        return "param_groups" in value or all(map(_of_optimisers, value.values()))
    return all(map(_of_optimisers, value)) if isinstance(value, list | tuple) else not isinstance(value, Tensor)


def _refusal(method: Method, file: Path, content: Mapping[str, Any], errors: list[Exception]) -> str:
    """Why the file is not taken, and what to do; errors: of the file itself, then of its parts."""
    slug, networks = method.card.slug, " and ".join(method.networks())
    if _of_optimisers(content):
        return (
            f"{file} is an optimiser's file: its names begin with {_beginnings(content)}, "
            f"{_expected(method, errors)}; give the file of {slug}'s {networks}"
        )
    preset = _fitting_preset(method, content)
    shapes = [match for error in errors if (match := SHAPES.search(str(error)))]
    only_shapes = [match for match in shapes if not PROBLEM.search(match.string)]
    if preset or only_shapes:
        sizes = "".join(f": its `{m[1]}` is ({m[2]}), ({m[3]}) is expected" for m in (only_shapes or shapes)[:1])
        remedy = f"set `preset: {preset}`" if preset else "set the preset and the options that it was trained with"
        return f"{file} holds another size of {slug}{sizes}; {remedy}"
    if own := [error for error in errors if isinstance(error, BenchError)]:
        return f"{slug} does not take {file} (its names begin with {_beginnings(content)}): {own[0]}"
    return (
        f"{file} is not an official checkpoint of {slug}: its names begin with {_beginnings(content)}, "
        f"{_expected(method, errors)}; give the file of its {networks}"
    )


def _beginnings(content: Mapping[str, Any]) -> str:
    """The first words of the names, or where they share these, as many more as tell them apart."""
    names = [joined(keys).split(".") for keys, _ in walk(content)]
    for length in range(1, LEVELS + 1):
        found = [*dict.fromkeys(".".join(name[:length]) for name in names)]
        if len(found) > 1:
            break
    return ", ".join(f"`{name}`" for name in found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")


def _expected(method: Method, errors: list[Exception]) -> str:
    """What the method misses, or does not know, in the part that comes closest."""
    problems = [match for error in errors if (match := PROBLEM.search(str(error)))]
    if problems:
        kind, name = min(problems, key=lambda match: len(match.string)).groups()
        return f"names such as `{name}` are {'missing' if kind == 'Missing' else 'not known'}"
    if isinstance(errors[0], KeyError):
        return f"{errors[0]} is missing"
    return f"names such as `{next(iter(method.state_dict()), '')}` are expected"


def _fitting_preset(method: Method, content: Mapping[str, Any]) -> str | None:
    """The preset of the method that takes the file."""
    for name, config in type(method).presets.items():
        if config == method.config:
            continue
        with suppress(Exception), torch.device("meta"):  # it may need priors that it does not have here
            if any(error is None for _, error in try_parts(type(method)(config), content)):
                return name
    return None
