"""Pictures of a completion that many calls make."""

from __future__ import annotations

import torch

from bench.nn.iterative import some


def test_some_of_many() -> None:
    pictures = [torch.tensor(i) for i in range(140)]
    assert [int(one) for one in some(pictures, 140, 7)] == [19, 39, 59, 79, 99, 119, 139]
    assert [int(one) for one in some(pictures, 140, 1)] == [139]
    assert [int(one) for one in some(pictures[:3], 3, 6)] == [0, 1, 2]
