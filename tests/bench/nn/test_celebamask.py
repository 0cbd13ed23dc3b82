"""Planes of label maps: which class is where."""

from __future__ import annotations

import torch

from bench.data.guides.semantics import CLASSES
from bench.data.labels import CELEBAMASK, ORDERS
from bench.nn.celebamask import planes
from masks.generators.semantic import LABELS


def test_each_class_is_at_its_number_in_celebamask_hq() -> None:
    found = planes(torch.arange(CLASSES, dtype=torch.uint8).view(1, 1, CLASSES))
    assert found.shape == (1, CLASSES, 1, CLASSES)
    assert torch.equal(found.sum(1), torch.ones(1, 1, CLASSES))
    for ours, name in enumerate(LABELS):
        assert found[0, ORDERS[CELEBAMASK].index(name), 0, ours] == 1


def test_a_pixel_without_a_label_is_in_no_plane() -> None:
    found = planes(torch.tensor([[[CLASSES, 0]]], dtype=torch.uint8))
    assert found[0, :, 0, 0].sum() == 0
    assert found[0, 0, 0, 1] == 1
