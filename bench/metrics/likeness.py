"""Whether completed pictures hold the original under their holes: then they were made with other masks.

No program can guess the pixels that it was not shown: of 44 photographs filled by Telea's method, 0.06 % of the hole's
pixels are the original's, 0.5 % in the worst picture. Results of other masks have a good part of them, and win.

JPEG, resizing and networks change the known pixels too. So errors are taken relative to the local contrast, on busy
pixels, and those in the hole are compared with those outside. With the right masks half of the known pixels are nearer
than 0.36 of it, half of the hole's are further than 0.30, and always further than the known ones. Measured on
photographs of 64 to 256 pixels filled by Telea's method and by the mean, kept as PNG, as JPEG of quality 75 to 95, with
noise, with a tint, or resized through half of the size. Of 7,830 such pictures with the right masks none is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from bench.errors import BenchError
from bench.metrics.images import Images, composite, to_hole, to_uint8, zip_batches

COPIED = 0.05  # share of equal pixels: ten times what chance gave the worst photograph
BUSY = 8  # levels of 255 within 3 x 3 pixels; in flatter places equal pixels are natural
FEWEST = 100  # busy pixels, in a hole and outside, on which something can be said
CLOSE, WORSE = 0.25, 1.5  # error of most pixels that are the original; and so many times more, of those that are not
KEPT = 0.3  # error of known pixels above which nothing is said: they were not kept
LEAST = 0.03  # error below which pixels are the same
SIDE = 9  # pixels of the square in which errors are averaged
NEAR, FAR = 1.5, 2.5  # times the error of known pixels: as good as these, and not one of them
MIXED, BROKEN = 0.3, 0.05  # shares: near within, far outside. Right masks: 0.28 and 0.22 at most, never both
AGAIN = "make the pictures again with holes where these masks are 1, or take other masks"  # where no option turns them


class Likeness:
    """Follows pictures, before known pixels are pasted, and tells which of them hold the original under the hole.

    `copies`: by name, the share of the hole's busy pixels that are the original's, where there are too many of them.
    `shares`: of the pictures that the holes cover. `n`: pictures seen.
    """

    def __init__(self) -> None:
        self.n = self.inverted = 0
        self.copies: dict[str, float] = {}
        self.shares: list[float] = []

    def add(self, completed: Tensor, truth: Tensor, masks: Tensor, names: Sequence[str]) -> None:
        """One batch: (N, 3, H, W) as `bench.metrics.images.composite` takes them, (N, 1, H, W) masks."""
        completed, truth, holes = to_uint8(completed, "completed"), to_uint8(truth, "truth"), to_hole(masks)[:, 0]
        error = (completed.short() - truth.short()).abs().amax(dim=1).float()  # (N, H, W)
        contrast = _contrast(truth)
        for name, far, spread, hole in zip(names, error, contrast, holes, strict=False):
            self.n += 1
            self.shares.append(float(hole.float().mean()))
            within, outside = hole & (spread >= BUSY), ~hole & (spread >= BUSY)
            if within.sum() < FEWEST:
                continue
            share = float((far[within] == 0).float().mean())
            if outside.sum() >= FEWEST:
                inner, outer = (float((far / spread)[where].median()) for where in (within, outside))
                self.inverted += inner < CLOSE <= outer and outer > WORSE * inner
                if inner < CLOSE and inner < WORSE * outer:
                    share = max(share, float((far <= CLOSE * spread)[within].float().mean()))
                else:
                    share = max(share, _mixed(far, spread, within, outside))
            if share > COPIED:
                self.copies[name] = share

    def watch(
        self, images: Images, originals: Images, holes: Images, size: int, masks: str, paste: bool
    ) -> Iterator[Tensor]:
        """The completed images in batches of `size`, each after it was added; with `paste` known pixels are pasted.

        After the last one `check` is made. `masks`: what to call them. All three are opened, and can be read again.
        """
        done = 0
        for completed, truth, hole in zip_batches([images, originals, holes], size):
            assert completed is not None and truth is not None and hole is not None
            place = range(done, done + len(completed))
            self.add(completed, truth, hole, [images.ids[i] if images.ids else str(i) for i in place])
            done = place.stop
            yield composite(completed, truth, hole) if paste else completed
        turn = f"{'leave out' if holes.inverted else 'say'} --invert-masks"
        with holes.about():
            self.check(masks, holes.inverted, turn if holes.files else AGAIN)

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
            "pixels are as close to it as known pixels; if they were made with other masks, these numbers are too good"
        )


def _mixed(far: Tensor, spread: Tensor, within: Tensor, outside: Tensor) -> float:
    """Share of the hole that is as good as known pixels, where some that should be known are not; 0 where all fits."""
    known = _smooth(far, spread, outside)
    level = max(float(known.median()), LEAST)
    near = float((_smooth(far, spread, within) < NEAR * level).float().mean())
    broken = float((known > FAR * level).float().mean())
    return near if level < KEPT and near > MIXED and broken > BROKEN else 0.0


def _smooth(far: Tensor, spread: Tensor, where: Tensor) -> Tensor:
    """Error relative to contrast, both averaged over the squares around the pixels of a region: (pixels,)."""
    return (_box(far * where) / _box(spread * where))[where]


def _box(values: Tensor) -> Tensor:
    rows = avg_pool2d(values[None, None], (SIDE, 1), 1, (SIDE // 2, 0))
    return avg_pool2d(rows, (1, SIDE), 1, (0, SIDE // 2))[0, 0]


def _contrast(images: Tensor) -> Tensor:
    """The range of a uint8 picture within 3 x 3 pixels, in the channel where it is widest: (N, H, W)."""
    light = images.float()
    return (max_pool2d(light, 3, 1, 1) + max_pool2d(-light, 3, 1, 1)).amax(dim=1)
