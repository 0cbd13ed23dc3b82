"""Linear layers whose result for an image does not depend on the images beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class ImageByImage(TorchFunctionMode):
    """Inside, on a CPU, linear layers take one of `images` at a time, with all of its passes.

    A matrix product sums in another order for another number of rows, and guidance makes that rounding 14 times as
    large. The library stacks the passes of guidance: rows i, images + i, ... are image i's. Taken so, an image in a
    batch has the bits of the library's call of that image alone. On a GPU convolutions differ, too: whole batches then.
    """

    def __init__(self, images: int):
        super().__init__()
        self.images = images

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.linear or self.images == 1 or not args[0].is_cpu or len(args[0]) % self.images:
            return func(*args, **kwargs)
        given = args[0].unflatten(0, (-1, self.images))
        done = [func(given[:, i].contiguous(), *args[1:], **kwargs) for i in range(self.images)]
        return torch.stack(done, 1).flatten(0, 1)
