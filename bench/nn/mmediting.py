"""What MMEditing's versions of G&L, CA and GConv share: the order of colours and the local patch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.batch import Noise
from bench.errors import BenchError


def generator_in_rgb(
    state: Mapping[str, Tensor], first: tuple[str, ...], last: tuple[str, ...], slug: str
) -> dict[str, Tensor]:
    """The generator's tensors of an MMEditing checkpoint, for RGB images: the authors' images are BGR.

    first: layers that see the image as channels 0 to 2; last: those that make it, in groups of three channels.
    Raises BenchError where the checkpoint has no generator.
    """
    state = state.get("state_dict", state)  # type: ignore[assignment]
    skipped = "fuse_kernel"  # the identity, a constant of the attention
    ours = {k: v for k, v in state.items() if k.startswith("generator.") and not k.endswith(skipped)}
    if not ours:
        raise BenchError(f"{slug}: the checkpoint has no names with the prefix `generator.`: give MMEditing's file")
    for name, value in ours.items():
        if name.startswith(first) and name.endswith(".weight"):
            ours[name] = torch.cat([value[:, :3].flip(1), value[:, 3:]], dim=1)
        elif name.startswith(last):
            ours[name] = value.unflatten(0, (-1, 3)).flip(1).flatten(0, 1)
    return ours


def local_patch(images: Tensor, mask: Tensor, size: int) -> Tensor:
    """A square of `size` pixels around each image's hole: (N, C, size, size).

    It shares its centre with the hole's bounding box and is moved inside the image where it would leave it. An image
    without a hole gives its centre.
    """
    return _square(images, _start(mask.amax(dim=(1, 3)), size), _start(mask.amax(dim=(1, 2)), size), size)


def random_patch(images: Tensor, size: int, noise: Noise) -> Tensor:
    """A square of `size` pixels at a random place of each image: (N, C, size, size)."""
    tops, lefts = (
        (share * (side - size + 1)).long() for share, side in zip(noise.uniform(2).T, images.shape[2:], strict=True)
    )
    return _square(images, tops, lefts, size)


def _square(images: Tensor, tops: Tensor, lefts: Tensor, size: int) -> Tensor:
    steps = torch.arange(size, device=images.device)
    rows, columns = tops[:, None] + steps, lefts[:, None] + steps  # (N, size)
    index = torch.arange(len(images), device=images.device)
    return images.movedim(1, -1)[index[:, None, None], rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _start(line: Tensor, size: int) -> Tensor:
    """First pixel of the patch along one axis; `line` (N, length) says where the hole is."""
    length = line.shape[1]
    place = torch.arange(length, device=line.device)
    hole = line > 0
    first = torch.where(hole, place, length).amin(1)
    last = torch.where(hole, place, -1).amax(1)
    empty = last < 0
    first, last = first.masked_fill(empty, 0), last.masked_fill(empty, length - 1)
    start = first - torch.div(size - (last + 1 - first), 2, rounding_mode="floor")
    return start.clamp(0, max(length - size, 0))
