"""Make the weights of `bench.nn.expression`: teach the embedded metrics network to tell the moods of synthetic faces.

The trunk stays as it is, so what it sees of each face, and of its mirror image under a slight blur, is computed once;
then the head is trained on that. Some moods are rare: all give equally many faces. The result depends on the seed alone
(other processors and versions of PyTorch may give other last digits).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from train_embedded import blur, descend, fold, progress, uniform

from bench.data import synthfaces
from bench.data.synthfaces.scene import MOODS, sample
from bench.nn.embedded import SIZE
from bench.nn.expression import ExpressionNet, path
from bench.store import atomic_write

SEED = 7_400_004  # of faces and training, far from a suite's
PLENTY = 40  # pictures to choose from, for each that is taken; the rarest mood is that of one in 17
BATCH = 128
SOFTEST = 1.5  # strongest blur, in pixels


def choose(each: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of `each` pictures of every mood, and their moods."""
    moods = sample(np.arange(PLENTY * each), seed).mood.flatten().long()
    chosen = torch.cat([(moods == mood).nonzero()[:each, 0] for mood in range(len(MOODS))])
    return chosen, moods[chosen]


def see(net: ExpressionNet, indices: Tensor, rng: torch.Generator) -> Tensor:
    """What the head sees of the faces, and then of their mirror images, blurred, in half precision."""
    seen, mirrored, started, done = [], [], time.monotonic(), 0
    for part in indices.split(300):
        images = synthfaces.render(part, SIZE, SEED).images
        with torch.no_grad():
            seen.append(net.face(images).half())
            mirrored.append(net.face(blur(images.flip(3), uniform(len(part), 0.1, SOFTEST, rng))).half())
        done += len(part)
        progress("seen", done, len(indices), started)
    return torch.cat([*seen, *mirrored])


def main(
    each: Annotated[int, typer.Option(help="Faces of each mood to learn from.", min=2)] = 1800,
    steps: Annotated[int, typer.Option(help="Training steps.", min=2)] = 1500,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 3e-3,
    out: Annotated[Path | None, typer.Option(help="File for the weights; by default the package's own.")] = None,
) -> None:
    """Teach the embedded network the moods of synthetic faces and write embedded-expression.safetensors.

    Takes a few minutes, on one thread, so that the result does not depend on the number of cores.
    """
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    rng = torch.Generator().manual_seed(SEED)
    net = ExpressionNet(nn.BatchNorm2d)
    indices, moods = choose(each, SEED)
    seen, moods = see(net, indices, rng), moods.repeat(2)

    def loss() -> Tensor:
        rows = torch.randint(len(seen), (BATCH,), generator=rng)
        return F.cross_entropy(net.head(seen[rows].float()), moods[rows])

    descend(net.head.parameters(), loss, steps, rate, decay=0.05)
    weights = {name: tensor.half().contiguous() for name, tensor in fold(net).head.state_dict().items()}
    with atomic_write(path() if out is None else out) as handle:
        handle.write(save(weights))


if __name__ == "__main__":
    typer.run(main)
