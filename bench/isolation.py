"""What a method can reach beyond its arguments: the generators and the settings of the whole process."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin
from torch import backends

Setting = tuple[Callable[[], Any], Callable[[Any], object]]  # how to read it, how to set it


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

    So one method never changes the numbers of another, whatever it does to generators and settings, when it is
    imported or when it runs. The value tells whether any global generator was moved since the beginning; ask once.
    """
    before, settings = _generators(), [_value(read) for read, _ in SETTINGS]
    seed(number)
    start, drawn = _generators(), _next_of_opencv()
    cv2.setRNGSeed(number % 2**31)
    try:
        yield lambda: not all(map(_same, start, _generators())) or _next_of_opencv() != drawn
    finally:
        for (read, put), value in zip(SETTINGS, settings, strict=True):
            if value is not UNREADABLE and _value(read) != value:
                put(value)
        _put_back(before)


def _generators() -> list[Any]:
    """The states of the global generators: Python's, NumPy's, torch's, and of each GPU in use."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [random.getstate(), np.random.get_state(), torch.get_rng_state(), *gpus]


def _next_of_opencv() -> bytes:
    """What OpenCV draws next: its generator cannot be read."""
    return cv2.randu(np.empty(4), np.zeros(1), np.ones(1)).tobytes()


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


UNREADABLE = object()


def _value(read: Callable[[], Any]) -> Any:
    """A setting, or UNREADABLE: a folder that was deleted, or one precision of torch that was set in two ways."""
    try:
        return read()
    except (OSError, RuntimeError):
        return UNREADABLE


def _attributes(owner: Any, *names: str) -> list[Setting]:
    return [(partial(getattr, owner, name), partial(setattr, owner, name)) for name in names]


def _set_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)  # one that is named slows every call


def _set_environment(values: dict[str, str]) -> None:
    for name in os.environ.keys() - values.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in values.items() if os.environ.get(name) != value})


def _set_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # makes Python forget what it concluded from the others
    warnings.filters[:] = filters  # type: ignore[index]


_SMALLEST = 5e-324  # the processor may take it for 0, as torch.set_flush_denormal says; torch does not tell

SETTINGS: list[Setting] = [
    # a setting that decides what another one says stands before it
    *_attributes(backends, "fp32_precision"),
    *_attributes(backends.cudnn, "fp32_precision", "allow_tf32"),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    *_attributes(backends.cuda.matmul, "allow_tf32", "fp32_precision"),
    *_attributes(backends.cudnn.conv, "fp32_precision"),  # type: ignore[attr-defined]
    *_attributes(backends.cudnn.rnn, "fp32_precision"),
    *_attributes(backends.mkldnn.matmul, "fp32_precision"),  # type: ignore[attr-defined]
    *_attributes(backends.mkldnn.conv, "fp32_precision"),  # type: ignore[attr-defined]
    *_attributes(backends.mkldnn.rnn, "fp32_precision"),  # type: ignore[attr-defined]
    *_attributes(
        backends.cuda.matmul,
        "allow_fp16_reduced_precision_reduction",
        "allow_bf16_reduced_precision_reduction",
        "allow_fp16_accumulation",
    ),
    *_attributes(backends.cudnn, "enabled", "benchmark", "deterministic"),
    *_attributes(backends.mkldnn, "enabled", "deterministic"),
    (backends.cuda.flash_sdp_enabled, backends.cuda.enable_flash_sdp),
    (backends.cuda.mem_efficient_sdp_enabled, backends.cuda.enable_mem_efficient_sdp),
    (backends.cuda.math_sdp_enabled, backends.cuda.enable_math_sdp),
    (backends.cuda.cudnn_sdp_enabled, backends.cuda.enable_cudnn_sdp),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, _set_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    *(
        (partial(read, device), partial(put, device))
        for device in ("cpu", "cuda")
        for read, put in (
            (torch.is_autocast_enabled, torch.set_autocast_enabled),
            (torch.get_autocast_dtype, torch.set_autocast_dtype),
        )
    ),
    (lambda: _SMALLEST * 1.0 == 0, torch.set_flush_denormal),
    (np.geterr, lambda errors: np.seterr(**errors)),
    (cv2.getNumThreads, cv2.setNumThreads),
    (cv2.useOptimized, cv2.setUseOptimized),
    *_attributes(Image, "MAX_IMAGE_PIXELS"),
    *_attributes(ImageFile, "LOAD_TRUNCATED_IMAGES"),
    *_attributes(PngImagePlugin, "MAX_TEXT_CHUNK", "MAX_TEXT_MEMORY"),
    *_attributes(GifImagePlugin, "LOADING_STRATEGY"),
    (lambda: list(warnings.filters), _set_filters),
    *_attributes(warnings, "showwarning"),
    (lambda: dict(os.environ), _set_environment),
    (os.getcwd, os.chdir),
]
"""What decides numbers, or stops others, in the whole process: all of it is put back."""
