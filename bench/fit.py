"""Whether the rows of a suite can take its images: told before any image is decoded and any network is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from bench import condition, registry
from bench.errors import BenchError
from bench.framing import Size, extent, plain
from bench.nn.sizes import Sizes, nearest
from bench.suite import Entry, Suite

Presets = Mapping[str, str]  # of priors, by their names
NONE: Presets = MappingProxyType({})


def required(entry: Entry, suite: Suite, wanted: Presets = NONE) -> tuple[list[Entry], Presets]:
    """How the priors of a row are made, and the presets that it wants of their priors.

    A row whose official weights bring them has none. `wanted`: the same presets, of the row which this one is a prior
    of.
    """
    method, preset = registry.get(entry.method).load(), suite.preset_of(entry)
    wanted = {**method.prior_presets.get(preset, {}), **wanted}
    needed = () if entry.weights and method.complete_weights else method.card.requires
    priors = [suite.prior(slug, wanted.get(slug, preset)) for slug in needed]
    return [prior if prior.at else prior.model_copy(update={"at": entry.at}) for prior in priors], wanted


def check(suite: Suite) -> None:
    """Raise BenchError, which names them and what they take, unless all rows and priors take images of the suite.

    And, where a row's options are made for a guide, unless all conditions show it; and where a row of finished pictures
    would read those of one data set for another.
    """
    for entry in suite.methods:
        if len(suite.data) > 1 and registry.get(entry.method).card.finished:
            names = ", ".join(data.name for data in suite.data)
            raise BenchError(
                f"{suite.suite}: a row {entry.method} reads the results of one data set, and pictures of two may have "
                f"the same names: run {names} one after another, each alone under `data` and with its own row"
            )
        if registry.get(entry.method).card.from_folder and not entry.weights:
            raise BenchError(
                f"{suite.suite}: {entry.method} has no networks of its own: give a folder of them as `weights: DIR`; "
                f"`facebench info {entry.method}` says which"
            )
    _check_guides(suite)
    height, width = extent(suite.size)
    if height != width and "synthfaces" in [data.name for data in (*suite.data, *suite.training)]:
        raise BenchError(
            f"{suite.suite}: synthfaces draws square pictures, not {height} x {width} (height x width): set "
            f"`size: {max(height, width)}`, or give a folder of pictures"
        )
    misfits = [one for one in models(suite) if (one[0].at or suite.size) not in _sizes(*one, suite)]
    problems = list(dict.fromkeys(_problem(*one, suite) for one in misfits))
    if len(problems) > 1:
        near = nearest(max(height, width), lambda side: _all_fit(suite, side))
        common = " or ".join(f"`size: {side}`" for side in near)
        remedy = f"; all of them take {common}" if common else ""
        problems.insert(0, f"`size: {plain(suite.size)}` does not suit every row{remedy}")
    if problems:
        raise BenchError(f"{suite.suite}: " + "\n  ".join(problems))


def _check_guides(suite: Suite) -> None:
    """Raise BenchError where a condition does not show what the options of a row are made for."""
    for entry in suite.methods:
        for guide in suite.config_of(entry).guided_by():
            if lacking := [name for name in suite.conditions_of(entry) if guide not in condition.parse(name).guides]:
                raise BenchError(
                    f"{suite.suite}: {suite.title_of(entry)} is given {guide} by its options, which {lacking[0]} does "
                    f"not show: take conditions that show it, such as whole+{guide}, or leave the row out"
                )


def models(suite: Suite) -> Iterator[tuple[Entry, str]]:
    """The priors of each row, with the names of the methods that require them, and the row itself, with none."""
    for entry in suite.methods:
        yield from _model(entry, "", suite, NONE)


def _model(entry: Entry, user: str, suite: Suite, wanted: Presets) -> Iterator[tuple[Entry, str]]:
    priors, wanted = required(entry, suite, wanted)
    for prior in priors:
        yield from _model(prior, entry.method, suite, wanted)
    yield entry, user


def is_trained(entry: Entry) -> bool:
    """Whether a run trains a row or prior."""
    return registry.get(entry.method).load().trainable() and entry.weights is None


def learns(entry: Entry, suite: Suite) -> bool:
    """Whether a run trains a row, or a prior that it stands on."""
    return any(is_trained(one) for one, _ in _model(entry, "", suite, NONE))


def _sizes(entry: Entry, user: str, suite: Suite) -> Sizes:
    """What a row takes, for training where it is trained. A prior that is not trained sees no image of the suite."""
    trained = is_trained(entry)
    if user and not trained:
        return Sizes()
    return suite.config_of(entry).sizes(suite.source_of(entry) if trained else None)


def _all_fit(suite: Suite, side: int) -> bool:
    other = suite.model_copy(update={"size": side})
    return all((one[0].at or side) in _sizes(*one, other) for one in models(other))


def _problem(entry: Entry, user: str, suite: Suite) -> str:
    """What a row takes, and what to set: sizes, presets or an option with which it fits."""
    preset, size, sizes = suite.preset_of(entry), entry.at or suite.size, _sizes(entry, user, suite)

    def fits(size: Size, **changes: object) -> bool:
        other = suite.model_copy(update={"size": size})
        return size in _sizes(entry.model_copy(update=changes), user, other)

    squares = nearest(max(extent(size)), lambda side: fits(side, at=entry.at and side))
    near: list[Size] = [*squares] if isinstance(size, int) else [other for other in sizes.around(size) if fits(other)]
    sides = [] if entry.at else [f"`size: {plain(other)}`" for other in near]
    presets = registry.get(entry.method).load().presets
    row = [f"`preset: {name}`" for name in presets if fits(size, preset=name)]
    if not row and sizes.option and isinstance(size, int) and fits(size, options=entry.options | {sizes.option: size}):
        row = [f"`options: {{{sizes.option}: {size}}}`"]
    row += [f"`at: {side}`" for side in squares]
    remedies = [
        *([" or ".join(sides)] if sides else []),
        *([f"{' or '.join(row)} in its row{' under `priors`' if user else ''}"] if row else []),
    ] or [f"`size` and its option `{sizes.option}` to such a side"]
    label = f"{entry.method} ({preset})" + (f", a prior of {user}," if user else "")
    given = f"{size} x {size}" if isinstance(size, int) else f"{size[0]} x {size[1]} (height x width)"
    return f"{label} takes {sizes}, not {given}: set {', or '.join(remedies)}"
