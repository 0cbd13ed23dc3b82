"""Known faults: what they change, and that more of them is more."""

from __future__ import annotations

import numpy as np
import pytest

from bench.probe.faults import FAULTS, INVISIBLE, NONE, Case, Fault

SIDE = 48


def case() -> Case:
    rng = np.random.default_rng(0)
    image, other = (np.kron(rng.integers(40, 216, (12, 12, 3)), np.ones((4, 4, 1))).astype(np.uint8) for _ in "ab")
    hole = np.zeros((SIDE, SIDE), bool)
    hole[12:36, 12:36] = True
    return Case(image, hole, other, np.random.default_rng(1))


def error(fault: Fault, strength: int) -> float:
    given = case()
    return float(np.abs(fault(given, strength).astype(float) - given.image)[given.hole].mean())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_step_changes_more_of_the_hole(fault: Fault) -> None:
    errors = [error(NONE, 0), error(INVISIBLE, 95), *(error(fault, strength) for strength in fault.strengths)]
    assert errors[0] == 0 < errors[2]
    assert errors[2:] == sorted(set(errors[2:]))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_equal_input_gives_equal_pixels_and_keeps_the_original(fault: Fault) -> None:
    given, before = case(), case().image
    first = fault(given, fault.strengths[-1])
    assert first.dtype == np.uint8 and first.shape == before.shape
    assert np.array_equal(first, fault(case(), fault.strengths[-1]))
    assert np.array_equal(given.image, before)


def made(name: str, strength: int) -> np.ndarray:
    return next(fault for fault in FAULTS if fault.name == name)(case(), strength)


def test_faults_are_what_they_are_called() -> None:
    image, hole, other = case().image, case().hole, case().other
    assert np.array_equal(made("other", 100), other)
    assert np.array_equal(made("mirror", 100)[:, SIDE // 2 :], image[:, : SIDE // 2][:, ::-1])
    assert np.array_equal(made("mirror", 100)[:, : SIDE // 2], image[:, : SIDE // 2])
    assert np.array_equal(made("shift", 4)[:, 4:], image[:, :-4])
    assert np.abs(made("mean", 100) - image[~hole].mean(axis=0)).max() <= 1
    step = made("seam", 32).astype(int) - image
    assert (step[12, 12:36] == 32).all() and (step[23:25, 23:25] < 3).all()
