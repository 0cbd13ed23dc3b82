"""Samplers in batches, beside their network alone and beside one image at a time, by CPU time.

pytest -n 0 -m slow -s tests/perf/test_sampling.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch

from baselines.adm import ADM
from baselines.repaint import RePaint
from bench.batch import Batch, Noise

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


@pytest.mark.slow
def test_batches_of_16_go_at_the_pace_of_the_network() -> None:
    """RePaint on its small prior, 7 calls. All calls have the same operations, so times stand for GFLOP/s."""
    torch.manual_seed(0)
    prior = ADM.create("tiny").eval()
    method = RePaint.create("tiny", steps=4, jump=1, resamplings=2).eval()
    method.attach({"adm": prior})
    mask = torch.zeros(IMAGES, 1, 64, 64)
    mask[:, :, 16:48, 16:48] = 1
    batch = Batch(torch.rand(IMAGES, 3, 64, 64) * 2 - 1, mask)
    singles = [batch.only(i) for i in range(IMAGES)]
    times = torch.full((IMAGES,), 500)
    ways: dict[str, Callable[[], object]] = {
        "pass": lambda: [prior.network(batch.image, times) for _ in range(method.calls)],
        "batch": lambda: method.complete(batch, Noise(range(IMAGES))),
        "one by one": lambda: [method.complete(one, Noise([i])) for i, one in enumerate(singles)],
    }
    with torch.no_grad():
        rounds = [{name: seconds(run) for name, run in ways.items()} for _ in range(ROUNDS)]
    network, together, alone = (min(one[name] for one in rounds) for name in ways)
    print(f"RePaint: {network / together:.2f} of the network's GFLOP/s; one by one takes {alone / together:.2f} times")
    assert method.calls == 7
    assert network / together >= GOAL
    assert together <= alone
