"""Whether the pictures that train have the files that methods learn from: asked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench import contract, registry
from bench.data import guides
from bench.errors import BenchError
from bench.isolation import isolated
from bench.method import Method

if TYPE_CHECKING:
    from bench.jobs import Job, Plan


def check(made: Plan) -> None:
    """Raise BenchError where a training that is to be done learns from label maps, captions, landmarks or attributes
    which a picture of it lacks.

    Networks are made, to ask their stages, only where a picture lacks something.
    """
    for job in made.jobs:
        if job.kind == "train" and not made.done(job) and (lacking := _lacking(made, job)):
            for name in _learned(made, job):
                if name in lacking:
                    raise BenchError(f"{job.label} learns from {name}: {lacking[name]}")


def _lacking(made: Plan, job: Job) -> dict[str, BenchError]:
    """The guides whose own files lack a picture that trains, with what is to be said."""
    prepared, found = made.data[job.row["dataset"]], dict[str, BenchError]()
    for name, guide in guides.every().items():
        if guide.reads("") & prepared.images.companions.keys():
            try:
                guide.check(prepared.images, prepared.train(job.row["shots"]))
            except BenchError as error:
                found[name] = error
    return found


def _learned(made: Plan, job: Job) -> Iterator[str]:
    """The guides of the stages of a training."""
    with isolated(0):
        for stage in contract.stages(_method(made, job.identity), "embedded"):  # files of losses may be absent
            yield from stage.guides


def _method(made: Plan, identity: Mapping[str, Any]) -> Method:
    """The method of an identity as it is made, on priors as they are made."""
    loaded = registry.get(identity["method"]).load()
    method = contract.made(loaded, loaded.Config.model_validate(identity["config"]))
    priors = {
        slug: _method(made, made.job(prior).identity if isinstance(prior, str) else prior)
        for slug, prior in identity["priors"].items()
    }
    if priors:
        method.attach(priors)
    return method
