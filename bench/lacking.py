"""What the jobs of a plan would miss on this machine: pretrained files of training losses and of metrics.

It is said before anything runs: without them a training fails at its start, and a metric is not computed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from bench import fit, metrics, registry, weights
from bench.errors import BenchError
from bench.jobs import Plan
from bench.sources import source_of
from bench.suite import Suite

FILES = {  # what a card's `features` says -> the file that the training asks for
    r"VGG-16 \(ImageNet\)|LPIPS \(VGG-16": "vgg16",
    r"VGG-19 \(ImageNet\)": "vgg19",
    r"AlexNet": "alexnet",
    r"ADE20K": "ade20k-resnet50",
    r"EfficientNet-Lite0": "efficientnet-lite0",
    r"IR-SE50": "arcface-ir-se50",
    r"ResNet-34": "resnet34",
    r"ResNet-101": "arcface-resnet101",
    r"ArcFace-18": "arcface-resnet18",
}
TRAINING = "the training of"
EMBEDDED = "; or train without it, as tables will say: `--features embedded`, in a suite `train: {features: embedded}`"


def told(made: Plan) -> Iterator[str]:
    """A line for each metric that a set of them leaves out, and for each file that is not here, with what stands on it;
    each with the remedy. Jobs that are done miss nothing."""
    needed: defaultdict[str, list[str]] = defaultdict(list)
    for job in made.jobs:
        if job.kind == "train" and not made.done(job) and source_of(job.identity["features"]) == "official":
            for name in of_losses(job.method):
                needed[name].append(f"{TRAINING} {job.row['title']}")
    if not all(map(made.done, made.scores)):
        yield from made.suite.left_out
        for metric in map(metrics.get, metrics.expanded(made.suite.measured)):
            for name in _of_extractor(metric.extractor or ""):
                needed[name].append(metric.name)
    for name, users in needed.items():
        try:
            weights.path(name)
        except BenchError as error:
            trained = any(user.startswith(TRAINING) for user in users)
            yield f"{', '.join(dict.fromkeys(users))}: {error}{EMBEDDED if trained else ''}"


def needed(suite: Suite) -> set[str]:
    """The files that a suite needs, whatever of it is done already."""
    made = {metric.extractor for metric in map(metrics.get, metrics.expanded(suite.measured))}
    files = {name for extractor in made if extractor for name in _of_extractor(extractor)}
    for entry in suite.methods:
        if fit.is_trained(entry) and suite.source_of(entry) == "official":
            files.update(of_losses(entry.method))
    return files


def of_losses(method: str) -> list[str]:
    """The files that the card's `features` names for a training with official networks."""
    said = registry.get(method).card.features
    return [name for pattern, name in FILES.items() if re.search(pattern, said)]


def _of_extractor(name: str) -> tuple[str, ...]:
    from bench.metrics import extractors

    return extractors.files(name)
