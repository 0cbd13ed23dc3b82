"""What runs isolated leaves no trace in the process, whatever it sets."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from timeit import timeit
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFile
from torch import backends

from bench.isolation import SETTINGS, isolated


def denormal() -> float:
    return float(torch.tensor(1e-39) * 1)


FOUND: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "default type": (torch.get_default_dtype, lambda: torch.set_default_dtype(torch.float64)),
    "default device": (lambda: torch.empty(1).device, lambda: torch.set_default_device("meta")),
    "threads": (torch.get_num_threads, lambda: torch.set_num_threads(torch.get_num_threads() + 1)),
    "gradients": (torch.is_grad_enabled, lambda: torch.set_grad_enabled(False)),
    "anomalies": (torch.is_anomaly_enabled, lambda: torch.autograd.set_detect_anomaly(True)),
    "deterministic": (
        torch.are_deterministic_algorithms_enabled,
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    ),
    "autocast": (partial(torch.is_autocast_enabled, "cpu"), lambda: torch.set_autocast_enabled("cpu", True)),
    "denormal numbers": (denormal, lambda: torch.set_flush_denormal(True)),
    "products": (torch.get_float32_matmul_precision, lambda: torch.set_float32_matmul_precision("medium")),
    "TF32": (lambda: backends.cuda.matmul.allow_tf32, lambda: setattr(backends.cuda.matmul, "allow_tf32", True)),
    "precision": (lambda: backends.fp32_precision, lambda: setattr(backends, "fp32_precision", "tf32")),
    "precision of cuDNN": (
        lambda: backends.cudnn.conv.fp32_precision,
        lambda: setattr(backends.cudnn, "fp32_precision", "ieee"),
    ),
    "precision of oneDNN": (
        lambda: backends.mkldnn.matmul.fp32_precision,
        lambda: setattr(backends.mkldnn.matmul, "fp32_precision", "bf16"),
    ),
    "cuDNN": (lambda: backends.cudnn.benchmark, lambda: setattr(backends.cudnn, "benchmark", True)),
    "oneDNN": (lambda: backends.mkldnn.enabled, lambda: setattr(backends.mkldnn, "enabled", False)),
    "sums of halves": (
        lambda: backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
        lambda: setattr(backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False),
    ),
    "attention": (backends.cuda.flash_sdp_enabled, lambda: backends.cuda.enable_flash_sdp(False)),
    "errors of NumPy": (np.geterr, lambda: np.seterr(all="raise")),
    "threads of OpenCV": (cv2.getNumThreads, lambda: cv2.setNumThreads(cv2.getNumThreads() + 1)),
    "code of OpenCV": (cv2.useOptimized, lambda: cv2.setUseOptimized(False)),
    "cut pictures": (
        lambda: ImageFile.LOAD_TRUNCATED_IMAGES,
        lambda: setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True),
    ),
    "large pictures": (lambda: Image.MAX_IMAGE_PIXELS, lambda: setattr(Image, "MAX_IMAGE_PIXELS", None)),
    "warnings": (lambda: list(warnings.filters), lambda: warnings.simplefilter("error")),
    "how warnings are shown": (lambda: warnings.showwarning, lambda: setattr(warnings, "showwarning", print)),
    "a new variable": (lambda: dict(os.environ), lambda: os.environ.update(CUDA_VISIBLE_DEVICES="7")),
    "a variable that is gone": (lambda: dict(os.environ), lambda: os.environ.pop("PATH")),
    "another folder": (os.getcwd, lambda: os.chdir("/")),
    "generator of torch": (lambda: torch.get_rng_state().tolist(), lambda: torch.manual_seed(0)),
    "generator of NumPy": (lambda: np.random.get_state()[1].tolist(), lambda: np.random.seed(0)),  # type: ignore[index]
    "generator of Python": (random.getstate, lambda: random.seed(0)),
}


@pytest.mark.parametrize("kind", FOUND)
def test_all_is_put_back(kind: str) -> None:
    found, change = FOUND[kind]
    before, settings = found(), [read() for read, _ in SETTINGS]
    for _ in range(2):  # what is left over often harms the next call
        with pytest.raises(ZeroDivisionError), isolated(1):
            change()
            if not kind.startswith("generator"):
                assert found() != before
            raise ZeroDivisionError
        assert found() == before
        assert [read() for read, _ in SETTINGS] == settings


def test_all_at_once_is_put_back() -> None:
    settings = [read() for read, _ in SETTINGS]
    with isolated(1):
        for _, change in FOUND.values():
            change()
    assert [read() for read, _ in SETTINGS] == settings


def test_a_folder_that_is_gone_is_left(tmp_path: Path) -> None:
    before = os.getcwd()
    with isolated(1):
        os.chdir(tmp_path)
        tmp_path.rmdir()
    assert os.getcwd() == before


def test_a_setting_that_stays_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some cost time when they are set, or set up what is not needed."""

    def refused(value: Any) -> None:
        raise AssertionError(value)

    monkeypatch.setattr("bench.isolation.SETTINGS", [(read, refused) for read, _ in SETTINGS])
    with isolated(1):
        torch.rand(1)


@pytest.mark.parametrize(
    ("draw", "moved"),
    [
        (lambda: torch.rand(1), True),
        (lambda: np.random.rand(), True),
        (random.random, True),
        (lambda: cv2.randu(np.empty(1), 0, 1), True),
        (lambda: cv2.setRNGSeed(5), True),
        (lambda: torch.rand(1, generator=torch.Generator()), False),
        (lambda: cv2.blur(np.ones((4, 4)), (3, 3)), False),
    ],
)
def test_what_draws_is_seen_and_draws_the_same_again(draw: Callable[[], Any], moved: bool) -> None:
    drawn = []
    for _ in range(2):
        with isolated(3) as seen:
            drawn.append(str(draw()))
            assert seen() == moved
    assert drawn[0] == drawn[1]


def test_it_takes_no_time() -> None:
    def nothing() -> None:
        with isolated(1):
            pass

    assert min(timeit(nothing, number=20) / 20 for _ in range(5)) < 0.005
