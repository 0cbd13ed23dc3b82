"""Samplers in batches, beside their network alone and beside one image at a time, by CPU time.

pytest -n 0 -m slow -s tests/perf/test_sampling.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch

from baselines.adm import ADM
from baselines.diffusers import Diffusers
from baselines.repaint import RePaint
from bench.batch import Batch, Noise
from bench.method import Method
from tests import pipelines

IMAGES, ROUNDS = 16, 3
GOAL = 0.8  # of the GFLOP/s of the network's own pass of as many images


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seconds(run: Callable[[], object]) -> float:
    begin = time.process_time()  # the core's own time: other work on the machine does not count
    run()
    return time.process_time() - begin


def pictures() -> Batch:
    mask = torch.zeros(IMAGES, 1, 64, 64)
    mask[:, :, 16:48, 16:48] = 1
    return Batch(torch.rand(IMAGES, 3, 64, 64) * 2 - 1, mask, ids=tuple(map(str, range(IMAGES))))


def completions(method: Method, batch: Batch) -> dict[str, Callable[[], object]]:
    singles = [batch.only(i) for i in range(IMAGES)]
    return {
        "batch": lambda: method.complete(batch, Noise(range(IMAGES))),
        "one by one": lambda: [method.complete(one, Noise([i])) for i, one in enumerate(singles)],
    }


@torch.no_grad()
def measured(ways: dict[str, Callable[[], object]]) -> list[float]:
    """CPU seconds of each way, the best of some rounds in alternation."""
    rounds = [{name: seconds(run) for name, run in ways.items()} for _ in range(ROUNDS)]
    return [min(one[name] for one in rounds) for name in ways]


@pytest.mark.slow
def test_batches_of_16_go_at_the_pace_of_the_network() -> None:
    """RePaint on its small prior, 7 calls. All calls have the same operations, so times stand for GFLOP/s."""
    torch.manual_seed(0)
    prior = ADM.create("tiny").eval()
    method = RePaint.create("tiny", steps=4, jump=1, resamplings=2).eval()
    method.attach({"adm": prior})
    batch = pictures()
    times = torch.full((IMAGES,), 500)
    network, together, alone = measured(
        {"pass": lambda: [prior.network(batch.image, times) for _ in range(method.calls)], **completions(method, batch)}
    )
    print(f"RePaint: {network / together:.2f} of the network's GFLOP/s; one by one takes {alone / together:.2f} times")
    assert method.calls == 7
    assert network / together >= GOAL
    assert together <= alone


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["sd15-inpaint", "sd3"])
def test_pipelines_of_the_library_are_no_slower_in_batches(preset: str) -> None:
    """Though linear layers and the decoder take one image after another: the bits are those of an image alone."""
    method = Diffusers.create(preset, steps=4)
    method.load_folder(pipelines.folder(preset))
    together, alone = measured(completions(method, pictures()))
    print(f"{preset}: one by one takes {alone / together:.2f} times as long")
    assert together <= alone
