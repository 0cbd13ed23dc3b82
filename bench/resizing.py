"""A method at another size than its suite: pictures are resized before it completes them, and its output back after.

Both ways by torch's bicubic filter, antialiased where pictures shrink (the one of Pillow). What lies under a hole is
never read: a resized pixel is a mean of known ones, and hole where any pixel that it covers is.
"""

from __future__ import annotations

from dataclasses import replace

from torch.nn import functional as F

from bench.batch import Batch
from bench.bicubic import bicubic
from bench.data import guides


def there(batch: Batch, side: int) -> Batch:
    """The batch in pictures of `side` x `side` pixels, with all that guides it; its holes are 0."""
    height, width = batch.image.shape[2:]
    known = 1 - batch.mask
    mask = F.adaptive_max_pool2d(batch.mask, side)
    share = bicubic(known, (side, side)).clamp(min=0.5)  # beside a hole; inside it is masked
    image = (bicubic(batch.image * known, (side, side)) / share).clamp(-1, 1) * (1 - mask)
    given = {
        name: guides.get(name).resized(value, (height, width), (side, side)) for name, value in batch.guides.items()
    }
    return replace(batch, image=image, mask=mask, guides=given)
