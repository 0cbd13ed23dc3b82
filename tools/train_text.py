"""Make the weights of `bench.nn.text`: teach the embedded training network which words fit which synthetic face.

The trunk stays as it is; a head for images and a vector for each word learn by the pairwise sigmoid loss (Zhai et al.,
2023, SigLIP): texts are some of the words of each face's sentence (`bench.data.captions.describe`), and a text fits all
faces of the batch whose sentence has all its words. Images are moved, recoloured and damaged as in
`tools/train_embedded.py`. The result depends on the seed alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from train_embedded import augment, damage, descend

from bench.data import captions, synthfaces
from bench.nn.embedded import SIZE
from bench.nn.text import WORDS, EmbeddedTextImage, known, path
from bench.store import atomic_write

SEED = 7_300_003  # of faces and training, far from a suite's
BATCH = 256


def some(words: Tensor, rng: torch.Generator) -> Tensor:
    """A few of each row's words, often one: (N, V) of 0 and 1 to the same."""
    order = torch.rand(words.shape, generator=rng) * words
    count = 1 + (torch.rand(len(words), 1, generator=rng) ** 2 * words.sum(1, keepdim=True)).long()
    return (order.argsort(1, descending=True).argsort(1) < count).float() * words


def fitting(images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, fits: Tensor) -> Tensor:
    """The sigmoid loss of unit vectors; `fits` (N, N) is 1 where a text fits an image. Both cases weigh alike."""
    logits = scale.exp() * images @ texts.T + bias
    return F.binary_cross_entropy_with_logits(logits, fits, pos_weight=(1 - fits).sum() / fits.sum())


def main(
    faces: Annotated[int, typer.Option(help="Faces to learn from.", min=BATCH)] = 6000,
    steps: Annotated[int, typer.Option(help="Training steps.", min=2)] = 500,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 3e-3,
    out: Annotated[Path | None, typer.Option(help="File for the weights; by default the package's own.")] = None,
) -> None:
    """Teach the embedded network the words of synthetic faces and write embedded-text.safetensors; five minutes."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    rng = torch.Generator().manual_seed(SEED)
    rendered = synthfaces.render(range(faces), SIZE, SEED)
    sentences = [known(captions.describe(values)) for values in rendered.attributes.tolist()]
    words = torch.tensor([[float(word in sentence) for word in WORDS] for sentence in sentences])
    network = EmbeddedTextImage()
    nn.init.normal_(network.words.weight, std=0.1)
    scale, bias = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(0.0))
    learned = [*(p for name, p in network.named_parameters() if not name.startswith("trunk.")), scale, bias]

    def loss() -> Tensor:
        chosen = torch.randperm(faces, generator=rng)[:BATCH]
        batch = {name: getattr(rendered, name)[chosen] for name in ("images", "semantics", "landmarks")}
        moved = augment(batch, rng)["images"]
        said = some(words[chosen], rng)
        fits = (words[chosen] @ said.T == said.sum(1)).float()
        texts = network.texts([" ".join(WORDS[i] for i in row.nonzero()[:, 0]) for row in said])
        return fitting(network.images(damage(moved, rng)[0]), texts, scale, bias, fits)

    descend(learned, loss, steps, rate, decay=0.02, start=0.1, every=25)
    kept = {k: v.half().contiguous() for k, v in network.state_dict().items() if not k.startswith("trunk.")}
    with atomic_write(path() if out is None else out) as handle:
        handle.write(save(kept))


if __name__ == "__main__":
    typer.run(main)
