"""What a method is given: images, masks, guidance, and random numbers that depend on the image alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Images and masks of one batch, and what guides the completion.

    Images are float32 in [-1, 1], RGB; masks are 0 or 1, 1 = hole. A guide is an attribute, too: `batch.sketch`, None
    where there is none; `batch.need("sketch")` where the method cannot do without.
    """

    image: Tensor  # (N, 3, H, W)
    mask: Tensor  # (N, 1, H, W)
    guides: Mapping[str, Any] = field(default_factory=dict)  # by their names in `bench.data.guides`: tensors or texts
    ids: tuple[str, ...] | None = None  # names of the images in their data set
    condition: str = ""  # name of the test condition
    number: int = 0  # which completion of its images is asked for; what makes them differ is `Noise`

    def __len__(self) -> int:
        return len(self.image)

    @property
    def exemplar(self) -> Tensor | None:
        """(N, 3, H, W) another picture that guides the completion."""
        return self.guides.get("exemplar")

    @property
    def sketch(self) -> Tensor | None:
        """(N, 1, H, W) 0 or 1, 1 = line."""
        return self.guides.get("sketch")

    @property
    def colour(self) -> Tensor | None:
        """(N, 3, H, W) in [-1, 1], the mean colour of each region."""
        return self.guides.get("colour")

    @property
    def semantics(self) -> Tensor | None:
        """(N, H, W) uint8, CelebAMask-HQ's labels."""
        return self.guides.get("semantics")

    @property
    def layout(self) -> Tensor | None:
        """(N, H, W) uint8, the labels that the picture shall have."""
        return self.guides.get("layout")

    @property
    def attributes(self) -> Tensor | None:
        """(N, K) numbers that describe the face, see `bench.data.attributes`."""
        return self.guides.get("attributes")

    @property
    def wanted(self) -> Tensor | None:
        """(N, K) the attributes that the face shall have."""
        return self.guides.get("wanted")

    @property
    def landmarks(self) -> Tensor | None:
        """(N, 68, 2) pixels, (x, y)."""
        return self.guides.get("landmarks")

    @property
    def identity(self) -> Tensor | None:
        """(N,) numbers of people."""
        return self.guides.get("identity")

    @property
    def text(self) -> tuple[str, ...] | None:
        """N sentences."""
        return self.guides.get("text")

    @property
    def source(self) -> Tensor | None:
        """(N, 3, H, W) the whole picture, where it is edited."""
        return self.guides.get("source")

    @property
    def degraded(self) -> Tensor | None:
        """(N, 3, H, W) the picture that a restoration starts from."""
        return self.guides.get("degraded")

    def need(self, guide: str) -> Any:
        """A guide that the method cannot do without. Raises BenchError that says how to give it."""
        if self.guides.get(guide) is None:
            from bench.data import guides

            raise guides.lacking(guide, "this method")
        return self.guides[guide]

    def guided(self, **guides: Any) -> Batch:
        """The batch with these guides in the place of its own; None takes one away."""
        both = {**self.guides, **guides}
        return replace(self, guides={name: value for name, value in both.items() if value is not None})

    @property
    def masked(self) -> Tensor:
        """The known pixels; holes are 0, the middle of the range."""
        return self.image * (1 - self.mask)

    def blind(self) -> Batch:
        """The same batch without the pixels under the hole: what an evaluated method may see."""
        return replace(self, image=self.masked)

    def given(self, device: torch.device | str = "cpu") -> Batch:
        """What an evaluated method is given: a blind copy, its own to change. The harness scores with this batch."""
        return self.blind()._each(lambda tensor: tensor.to(device, copy=True))

    def only(self, i: int) -> Batch:
        """Image `i` alone, with what guides it."""
        cut = slice(i, i + 1)
        guides = {name: value[cut] for name, value in self.guides.items()}
        ids = None if self.ids is None else self.ids[cut]
        return replace(self, image=self.image[cut], mask=self.mask[cut], guides=guides, ids=ids)

    def composite(self, output: Tensor) -> Tensor:
        """`mask * output + (1 - mask) * image`: known pixels stay as they are."""
        return self.mask * output + (1 - self.mask) * self.image

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device (asynchronous where memory is pinned)."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """The batch in pinned memory, from where a GPU fetches it while the CPU goes on."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        guides = {name: change(v) if isinstance(v, Tensor) else v for name, v in self.guides.items()}
        return replace(self, image=change(self.image), mask=change(self.mask), guides=guides)


class Noise:
    """Random numbers for one batch, one stream an image.

    Evaluation gives one seed an image, so a completion does not depend on the images beside it, on the batch
    size or on the device. Training gives one seed for the whole batch, drawn on the training device.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu"):
        self.device = torch.device(device)
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.size = len(self.generators)
        self.rank, self.ranks, self.step = 0, 1, 1

    @classmethod
    def shared(cls, seed: int, size: int, device: torch.device | str = "cpu", rank: int = 0, ranks: int = 1) -> Noise:
        """One stream for a batch of `size` images, on `device`: for training, where speed counts.

        Where `ranks` processes share a larger batch, each draws the numbers of all and takes those of its images.
        """
        noise = cls([], device)
        noise.generators = [torch.Generator(noise.device).manual_seed(seed)]
        noise.size, noise.rank, noise.ranks = size, rank, ranks
        return noise

    def thinned(self, step: int) -> Noise:
        """The numbers of every `step`-th image, from the same streams."""
        noise = copy(self)
        noise.step = step * self.step
        return noise

    def normal(self, *shape: int) -> Tensor:
        """Standard normal values (N, *shape)."""
        return self._draw(torch.randn, shape)

    def maps(self, sides: Sequence[int]) -> list[Tensor]:
        """Normal maps (N, 1, side, side), drawn before the network that adds them runs: compilers know no streams."""
        return [self.normal(1, side, side) for side in sides]

    def uniform(self, *shape: int) -> Tensor:
        """Uniform values in [0, 1), (N, *shape)."""
        return self._draw(torch.rand, shape)

    def once(self) -> float:
        """One uniform value for the whole batch, equal in all processes that share it."""
        generator = self.generators[0]
        return float(torch.rand(1, generator=generator, device=generator.device))

    def _draw(self, function: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        if len(self.generators) == 1:
            generator, first = self.generators[0], self.rank * self.size
            every = function(self.ranks * self.size, *shape, generator=generator, device=generator.device)
            return every[first : first + self.size : self.step].to(self.device)
        return torch.stack([function(*shape, generator=g) for g in self.generators[:: self.step]]).to(self.device)
