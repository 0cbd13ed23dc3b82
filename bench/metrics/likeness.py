"""Whether completed pictures hold the original under their holes: then they were made with other masks.

No program can guess the pixels that it was not shown: of 44 photographs filled by Telea's method, 0.06 % of the hole's
pixels are the original's, 0.5 % in the worst picture. Results of other masks have a good part of them, and win.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import max_pool2d

from bench.errors import BenchError
from bench.metrics.images import to_hole, to_uint8

COPIED = 0.05  # share of equal pixels: ten times what chance gave the worst photograph
BUSY = 8  # levels of 255 within 3 x 3 pixels; in flatter places equal pixels are natural
FEWEST = 100  # busy pixels of a hole on which something can be said
SAME, OTHER = 0.99, 0.5  # shares of pixels within one level: inside the hole, outside of it, where masks are inverted
AGAIN = "make the pictures again with holes where these masks are 1, or take other masks"  # where no option turns them


class Likeness:
    """Follows pictures, before known pixels are pasted, and tells which of them hold the original under the hole.

    `copies`: by name, the share of the hole's busy pixels that are the original's, where it is above `COPIED`.
    `shares`: of the pictures that the holes cover. `n`: pictures seen.
    """

    def __init__(self) -> None:
        self.n = self.inverted = 0
        self.copies: dict[str, float] = {}
        self.shares: list[float] = []

    def add(self, completed: Tensor, truth: Tensor, masks: Tensor, names: Sequence[str]) -> None:
        """One batch: (N, 3, H, W) as `bench.metrics.images.composite` takes them, (N, 1, H, W) masks."""
        completed, truth, hole = to_uint8(completed, "completed"), to_uint8(truth, "truth"), to_hole(masks)[:, 0]
        far = (completed.short() - truth.short()).abs().amax(dim=1)  # (N, H, W)
        looked = hole & _busy(truth)
        for i, name in enumerate(names):
            self.n += 1
            self.shares.append(float(hole[i].float().mean()))
            seen = far[i][looked[i]]
            if len(seen) >= FEWEST and (share := float((seen == 0).float().mean())) > COPIED:
                self.copies[name] = share
            near = far[i] <= 1  # programs that round down are one level off
            inside = len(seen) >= FEWEST and near[looked[i]].float().mean() >= SAME
            self.inverted += bool(inside and near[~hole[i]].float().mean() < OTHER)

    def check(self, masks: str, inverted: bool, remedy: str) -> None:
        """BenchError where most pictures were completed outside of their holes, and nowhere else.

        `masks`: what to call them. `inverted`: black was taken for the hole, as the user said. `remedy`: what to do.
        """
        if self.inverted > self.n / 2:
            raise BenchError(
                f"{masks}: inside the holes {self.inverted} of {self.n} completed images are the originals, outside "
                f"they are not, so {'white' if inverted else 'black'} seems to be the hole: {remedy}"
            )

    @property
    def note(self) -> str:
        """What a reader of the numbers must know; "" where there is nothing."""
        if not self.copies:
            return ""
        mean = sum(self.copies.values()) / len(self.copies)
        named = ", ".join([*list(self.copies)[:3], *(["..."] if len(self.copies) > 3 else [])])
        return (
            f"{len(self.copies)} of {self.n} images ({named}) hold the original under the hole: {mean:.0%} of its "
            "pixels are equal; if they were made with other masks, these numbers are too good"
        )


def _busy(images: Tensor) -> Tensor:
    """Where a uint8 picture is not locally flat, (N, H, W) bool."""
    light = images.float()
    spread = max_pool2d(light, 3, 1, 1) + max_pool2d(-light, 3, 1, 1)
    return spread.amax(dim=1) >= BUSY
