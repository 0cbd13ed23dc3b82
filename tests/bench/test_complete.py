"""Completing a condition: what is kept of it."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from bench import registry
from bench.complete import completed, cost
from bench.completion import Completion
from bench.data import dataset
from bench.samples import save_steps
from bench.task import Task
from masks import MaskSet


def test_the_last_step_is_the_completion(tmp_path):
    torch.manual_seed(0)
    grig = registry.get("grig").load().create("tiny")
    mine = Task(
        dataset.prepare_synthfaces(4, 64, 0, tmp_path), [0, 1], MaskSet.make("center/25", 64, 2, 0), "center/25", 0
    )
    completion = Completion(grig, mine.seeds)
    *_, images = next(completed(completion, mine))
    save_steps(completion, next(mine.batches()).only(0), tmp_path)
    last = np.asarray(Image.open(next(tmp_path.rglob("3.png")))).astype(int)
    assert abs(last - images[0].permute(1, 2, 0).numpy()).max() <= 1  # one image or two at a time: other roundings


def test_the_cost_is_that_of_one_image(tmp_path):
    grig = registry.get("grig").load()
    few = Task(dataset.prepare_synthfaces(4, 64, 0, tmp_path), [0], MaskSet.make("center/25", 64, 1, 0), "center/25", 0)
    batch = next(few.batches())
    one, three = (cost(Completion(grig.create("tiny", steps=steps), few.seeds), batch) for steps in (1, 3))
    assert one["params"] == three["params"] == sum(p.numel() for p in grig.create("tiny").generator.parameters())
    assert three["macs"] == 3 * one["macs"] > 0
