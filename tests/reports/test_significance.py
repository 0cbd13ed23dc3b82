"""The paired bootstrap and Holm's correction."""

from __future__ import annotations

import numpy as np
from scipy import stats

from reports.significance import MIN_IMAGES, holm, paired_bootstrap


def test_holm_by_hand() -> None:
    assert np.allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).size == 0


def test_close_to_the_t_test_on_normal_differences() -> None:
    generator = np.random.default_rng(1)
    for mean in (0.0, 0.1, 0.2, 0.3):
        differences = generator.normal(mean, 1, (200, 1))
        expected = stats.ttest_1samp(differences[:, 0], 0).pvalue
        assert abs(paired_bootstrap(differences)[0] - expected) < 0.04


def test_false_alarms_are_as_rare_as_the_level() -> None:
    differences = np.random.default_rng(2).normal(size=(60, 1000))
    assert 0.03 < np.mean(paired_bootstrap(differences) < 0.05) < 0.08


def test_no_claim_from_few_images_or_equal_values() -> None:
    assert paired_bootstrap(np.ones((MIN_IMAGES - 1, 2))).tolist() == [1.0, 1.0]
    assert paired_bootstrap(np.zeros((50, 1))).tolist() == [1.0]


def test_same_input_gives_the_same_value() -> None:
    differences = np.random.default_rng(3).normal(0.1, 1, (50, 3))
    assert np.array_equal(paired_bootstrap(differences), paired_bootstrap(differences))
    assert np.array_equal(paired_bootstrap(differences)[1:2], paired_bootstrap(differences[:, 1:2]))
