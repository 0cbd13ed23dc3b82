"""What a method can reach beyond its arguments: the generators and the settings of the whole process."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch

Restore = Callable[[], object]


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch inside: sums have the same last bits whatever the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def seed(number: int) -> None:
    """Seed the global generators of torch, NumPy, Python and OpenCV."""
    torch.manual_seed(number)  # of GPUs, too
    np.random.seed(number % 2**32)
    random.seed(number)
    cv2.setRNGSeed(number % 2**31)


@contextmanager
def isolated(number: int) -> Iterator[Callable[[], bool]]:
    """Seed the global generators for what runs inside; afterwards all is as it was before.

    So one method never changes the numbers of another, whatever it does to generators and settings. The value tells
    whether any generator of torch, NumPy or Python was moved since the beginning.
    """
    before, restore = _generators(), _settings()
    seed(number)
    start = _generators()
    try:
        yield lambda: not all(map(_same, start, _generators()))
    finally:
        for put_back in restore:
            put_back()
        _put_back(before)


def _generators() -> list[Any]:
    """The states of the global generators: Python's, NumPy's, torch's, and of each GPU in use."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [random.getstate(), np.random.get_state(), torch.get_rng_state(), *gpus]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _put_back(states: list[Any]) -> None:
    python, numpy, host, *gpus = states
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(host)
    for number, state in enumerate(gpus):
        torch.cuda.set_rng_state(state, number)


def _settings() -> list[Restore]:
    """What puts the settings that decide numbers back to what they are now."""
    dtype, device, threads = torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads()
    grad, errors, place, workers = torch.is_grad_enabled(), np.geterr(), os.getcwd(), cv2.getNumThreads()
    products = torch.get_float32_matmul_precision()
    exact = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    flags = [
        (owner, name, getattr(owner, name))
        for owner, names in (
            (torch.backends.cudnn, ("enabled", "benchmark", "deterministic", "allow_tf32")),
            (torch.backends.cuda.matmul, ("allow_tf32",)),
        )
        for name in names
    ]
    return [
        lambda: torch.set_default_dtype(dtype),
        lambda: None if torch.get_default_device() == device else torch.set_default_device(device),
        lambda: None if torch.get_num_threads() == threads else torch.set_num_threads(threads),
        lambda: torch.set_grad_enabled(grad),
        lambda: torch.set_float32_matmul_precision(products),
        lambda: torch.use_deterministic_algorithms(exact[0], warn_only=exact[1]),
        lambda: np.seterr(**errors),
        lambda: os.chdir(place),
        lambda: cv2.setNumThreads(workers),
        *(lambda owner=owner, name=name, value=value: setattr(owner, name, value) for owner, name, value in flags),
    ]
