"""What a GPU must gain: training, inference, the wait for data, and the SVM. Skipped where there is none.

    pytest -n 0 -m "slow or not slow" -s tests/perf/test_gpu.py

Both sides of a ratio run the same code: eager fp32 without TF32, and bf16 with compiled networks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data import dataset
from bench.metrics import discriminative
from bench.profile.cell import Setting, create, measure
from bench.train import Budget, Loader, Run
from tests.perf.test_metrics import features

METHODS = ("grig", "aot", "exegan", "lama")
SIZE, BATCH = 256, 8

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is visible to torch"),
]


@pytest.mark.parametrize("slug", METHODS)
def test_bf16_and_compiling_make_it_faster(slug: str) -> None:
    plain, fast = (
        measure(Setting(slug, size=SIZE, batch=BATCH, device="cuda", precision=p, compiled=c, training=True))  # type: ignore[arg-type]
        for p, c in (("fp32", False), ("bf16", True))
    )
    training, inference = plain["step"] / fast["step"], fast["throughput"] / plain["throughput"]
    print(f"{slug}: a training step {training:.2f} times as fast, inference {inference:.2f} times")
    assert training >= 1.8
    assert inference >= 2.5


@pytest.mark.parametrize("slug", METHODS)
def test_losses_agree_within_the_precision(slug: str, tmp_path: Path) -> None:
    """Of the first iteration: later ones differ as training does."""
    plain, fast = (
        losses(slug, "paper", SIZE, tmp_path, "cuda", *kind) for kind in (("32-true", False), ("bf16-mixed", True))
    )
    print(f"{slug}: " + ", ".join(f"{name} {plain[name]:.4g} {fast[name]:.4g}" for name in plain))
    assert fast == pytest.approx(plain, rel=0.05, abs=0.02)


def losses(
    slug: str, preset: str, size: int, folder: Path, device: str, precision: str, compiled: bool
) -> dict[str, float]:
    """Those of the first iteration."""
    torch.manual_seed(0)
    method = create(slug, preset)
    budget = Budget(1, BATCH, 0, device=device, precision=precision, compiled=compiled)
    run = Run(method, method.stages("embedded"), folder, budget)
    faces = dataset.prepare_synthfaces(BATCH, size, 0, folder)
    return run.iterate(Loader(faces, range(BATCH), run.stages[0], budget).batch(0))


def test_a_step_waits_little_for_data() -> None:
    """Under 2 % of a step of GRIG, by the fastest way to train it."""
    row = measure(Setting("grig", batch=BATCH, device="cuda", precision="bf16", compiled=True, training=True))
    print(f"waits {row['step wait']:.2%} of a step")
    assert row["step wait"] < 0.02


def test_svm_is_30_times_as_fast_as_linear_svc() -> None:
    from sklearn.svm import LinearSVC

    real = features(2000)
    fake = 0.6 * real + 0.4 * features(2000, seed=1)
    x, y = torch.cat([fake, real]).double().numpy(), np.repeat([0, 1], 2000)
    sides = fake.cuda(), real.cuda()
    ours = [seconds(lambda: discriminative.decisions(*sides)) for _ in range(4)]
    theirs = min(seconds(lambda: LinearSVC(dual=False).fit(x, y)) for _ in range(2))
    print(f"SVM: {theirs / min(ours[1:]):.1f} times as fast")
    assert theirs / min(ours[1:]) >= 30


def seconds(function: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    torch.cuda.synchronize()
    return time.perf_counter() - start
