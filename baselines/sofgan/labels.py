"""SofGAN's 17 classes of a face, and the groups of them that get a style together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.data.labels import CELEBAMASK, ORDERS

RIGHT, LEFT = 4, 5  # halves of the nose, of the person's own right and left
CLASS = {
    "background": 0, "skin": 1, "l_brow": 2, "r_brow": 2, "l_eye": 3, "r_eye": 3, "nose": RIGHT, "mouth": 6, "u_lip": 7,
    "l_lip": 8, "l_ear": 9, "r_ear": 9, "ear_r": 10, "eye_g": 11, "neck": 12, "neck_l": 13, "cloth": 14, "hair": 15,
    "hat": 16,
}  # fmt: skip
CLASSES = 17
GROUPS = ((0,), (1, RIGHT, LEFT, 9, 12), (2,), (3,), (6,), (7, 8), (10,), (11,), (13,), (14,), (15,), (16,))
"""Classes that are of one style: skin is that of nose, ears and neck, too."""


def layout(planes: Tensor, side: int) -> Tensor:
    """CelebAMask-HQ's planes (N, 19, H, W) as SofGAN's (N, 17, side, side), nearest.

    The nose is cut at the middle between its first and its last column.
    """
    planes = F.interpolate(planes, (side, side), mode="nearest")
    merged = planes.new_zeros(len(planes), CLASSES, side, side)
    merged.index_add_(1, torch.tensor([CLASS[name] for name in ORDERS[CELEBAMASK]], device=planes.device), planes)
    nose = merged[:, RIGHT].clone()
    columns = torch.arange(side, device=planes.device, dtype=planes.dtype)
    there = nose.amax(1) > 0  # (N, side)
    first, last = torch.where(there, columns, side).amin(1), torch.where(there, columns, -1).amax(1)
    beyond = columns > ((first + last) / 2)[:, None]
    merged[:, RIGHT], merged[:, LEFT] = nose * ~beyond[:, None], nose * beyond[:, None]
    return merged


def grouped(layout: Tensor) -> Tensor:
    """The planes of the groups (N, 12, h, w)."""
    return torch.stack([layout[:, list(group)].sum(1) for group in GROUPS], dim=1)


def halved(layout: Tensor, order: Tensor) -> Tensor:
    """Regions (N, 2, h, w) of two styles: half of the groups that are present go to the first, by the `order` (N, 12).

    Of an odd number the larger part goes to the second.
    """
    groups = grouped(layout)
    present = groups.amax((2, 3)) > 0
    place = torch.where(present, order, 2).argsort(1).argsort(1)  # 0, 1, ...: the absent ones come last
    first = (place < present.sum(1, keepdim=True) // 2).to(groups)
    share = (groups * first[:, :, None, None]).sum(1)
    return torch.stack([share, 1 - share], dim=1)
