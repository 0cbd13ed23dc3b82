"""AOT-GAN's soft mask: the label and both losses on numbers."""

from __future__ import annotations

import pytest
import torch

from bench.nn.soft_mask import blur, soft_mask_discriminator, soft_mask_generator


def mask() -> torch.Tensor:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1
    return mask


def test_the_label_is_soft_at_the_border_alone() -> None:
    label = blur(mask())[0, 0, 32]
    assert label[0] == 0 and label[55] == pytest.approx(1)
    assert 0.3 < label[31] < 0.5 < label[32] < 0.7
    assert (label[:56].diff() >= -1e-6).all()


def test_losses_of_constant_logits() -> None:
    ones, zeros = torch.ones(1, 1, 6, 6), torch.zeros(1, 1, 6, 6)
    soft = blur(1 - mask())
    assert soft_mask_discriminator(ones, zeros, mask()).item() == pytest.approx(soft.square().mean().item(), rel=1e-4)
    assert soft_mask_discriminator(zeros, ones, mask()).item() == pytest.approx(
        1 + (1 - soft).square().mean().item(), rel=1e-4
    )
    assert soft_mask_generator(ones, mask()).item() == pytest.approx(0, abs=1e-9)
    assert soft_mask_generator(zeros, mask()).item() == pytest.approx(1)
