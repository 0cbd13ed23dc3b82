"""Trains tiny presets for two iterations a stage in double precision, and writes their losses.

`python -m tests.bench.train_tiny LOSSES.json eager|compiled SLUG...`, alone or under torchrun: what differs then is no
rounding.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from bench import distributed
from bench.data import dataset
from bench.data.dataset import ImageData
from bench.profile.cell import create
from bench.train import Budget, Loader, Run

SIZE, BATCH = 64, 8


def losses(slug: str, faces: ImageData, folder: Path, compiled: bool) -> list[dict[str, float]]:
    torch.manual_seed(0)
    method = create(slug, "tiny").double()
    stages = [stage.double() for stage in method.stages("embedded")]
    run = Run(method, stages, folder, Budget(2, BATCH, 0, device="cpu", precision="32-true", compiled=compiled))
    found = []
    for number, stage in enumerate(stages):
        run.enter(number)
        loader = Loader(faces, range(len(faces)), stage, run.budget, run.rank, run.ranks)
        found += [run.iterate(loader.batch(step)) for step in range(2)]
    return found


def main(path: Path, compiled: bool, slugs: list[str]) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    faces = dataset.prepare_synthfaces(2 * BATCH, SIZE, 0, path.parent)
    found = {slug: losses(slug, faces, path.parent, compiled) for slug in slugs}
    distributed.leave()
    if distributed.world().rank == 0:
        path.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "compiled", sys.argv[3:])
