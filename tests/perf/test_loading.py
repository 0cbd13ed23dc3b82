"""Training batches a second: images from the cache, with masks as each paper draws them, at 256 pixels, batches of 8.

Run with `pytest tests/perf/test_loading.py -n 0 -m '' --benchmark-only`.
"""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.data import dataset
from bench.data.dataset import ImageData
from bench.method import Stage
from bench.train import Budget, Loader
from tests.bench.test_train import Toy

SIZE, IMAGES, BATCH = 256, 256, 8
GOAL = 1500  # images a second
KINDS = ("grig", "exegan", "hierinv", "gconv", "rfr", "gmcnn", "lama", "aot", "edgeconnect", "apfi")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    """A cache of random pictures: what they show costs nothing here."""
    entry: Path = tmp_path_factory.mktemp("cache") / "entry"
    rng = np.random.default_rng(0)
    pixels = ({"images": rng.integers(0, 256, (64, SIZE, SIZE, 3), dtype=np.uint8)} for _ in range(IMAGES // 64))
    with dataset.cache.locked(entry):
        dataset.cache.build(entry, {}, IMAGES, pixels, 0)
    return ImageData("random", SIZE, "", [str(i) for i in range(IMAGES)], "", entry)


def loader(faces: ImageData, masks: str) -> Loader:
    stage = Stage(Toy())
    stage.masks = masks
    return Loader(faces, range(IMAGES), stage, Budget(1, BATCH, 0))


@pytest.mark.parametrize("masks", KINDS)
@pytest.mark.benchmark(timer=time.process_time)  # the core's own time: other work on the machine does not count
def test_batches_a_second(benchmark: BenchmarkFixture, faces: ImageData, masks: str) -> None:
    made, step = loader(faces, masks), count()
    benchmark.group = "batches of 8 with masks"
    batch = benchmark.pedantic(lambda: made.batch(next(step)), rounds=40, warmup_rounds=4)
    benchmark.extra_info["images a second"] = BATCH / benchmark.stats.stats.mean
    assert batch.image.shape == (BATCH, 3, SIZE, SIZE)
    assert batch.mask.shape == (BATCH, 1, SIZE, SIZE)


@pytest.mark.slow
@pytest.mark.parametrize("masks", KINDS)
def test_1500_images_a_second(faces: ImageData, masks: str) -> None:
    """On one core, by its own time; a second core is left for what else the loop does."""
    made = loader(faces, masks)
    made.batch(0)
    begin = time.process_time()
    for step in range(1, 101):
        made.batch(step)
    rate = 100 * BATCH / (time.process_time() - begin)
    print(f"{masks}: {rate:.0f} images a second")
    assert rate >= GOAL
