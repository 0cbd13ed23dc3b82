"""`train.features` of a suite: `auto` is settled once for a run, and what a training takes must be on the machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import registry, weights
from bench.errors import BenchError
from bench.progress import say
from bench.store import hold, read_json, write_json
from bench.suite import Features, Suite

NAME = "plan/features.json"  # in a suite's folder: what `auto` was settled as


def settled(suite: Suite, root: Path) -> Suite:
    """The suite with words in the place of `auto`: those of the run where it has some, so that all machines take the
    same; else ImageNet weights for backbones if all of them are on this machine, and `embedded` for all other networks.

    Where no row has a backbone, `auto` stays, which is `embedded`: a later row may settle it.
    """
    names = {backbone(*suite.made_of(entry)) for entry in suite.methods} - {""}
    if suite.train.features != "auto" or not names:
        return suite
    path = root / suite.suite / NAME
    with hold(path.with_name(".lock"), wait=True):
        if path.exists():
            found = _read(path)
        else:
            here = all(map(_here, names))
            found = Features(projected="imagenet" if here else "embedded", perceptual="embedded")
            write_json(path, found.model_dump())
    say(f"features: auto is {found} in this run: {path} says so")
    return suite.model_copy(update={"train": suite.train.model_copy(update={"features": found})})


def backbone(method: str, options: Mapping[str, Any]) -> str:
    """The pretrained file of the backbone of a method's projected discriminator; empty where it has none."""
    variant = registry.get(method).card.backbone
    return f"efficientnet-{options.get('backbone', variant)}" if variant else ""


def told(method: str, options: Mapping[str, Any]) -> str:
    """The ImageNet weights of the backbone of a method's projected discriminator, for tables: network and file."""
    name = backbone(method, options)
    package = weights.INDEX[name].package
    return f"{name.replace('efficientnet-lite', 'EfficientNet-Lite')} (ImageNet), {package.filename if package else ''}"


def require(label: str, identity: Mapping[str, Any]) -> None:
    """Raise BenchError unless the weights of packages that a training job takes are on this machine."""
    features = identity["features"]
    if isinstance(features, Mapping) and features["projected"] == "imagenet":
        try:
            weights.packaged(backbone(identity["method"], identity["config"]))
        except BenchError as error:
            raise BenchError(f"`{label}` takes ImageNet weights (`projected: imagenet`): {error}") from error


def _here(name: str) -> bool:
    try:
        return bool(weights.packaged(name))
    except BenchError:
        return False


def _read(path: Path) -> Features:
    try:
        return Features.model_validate(read_json(path))
    except ValidationError as error:
        raise BenchError(f"{path} is damaged: delete it and run the same command again") from error
