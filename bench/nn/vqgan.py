"""Blocks of VQGAN (Esser et al., 2021), and of restoration networks that stand on it."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.method import Batch, Noise, Update
from bench.nn import across
from bench.nn.losses import hinge

ESTIMATES = 10  # iterations of k-means


def group_norm(channels: int, groups: int = 32) -> nn.GroupNorm:
    """Group normalisation as the family has it."""
    return nn.GroupNorm(groups, channels, eps=1e-6)


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class ResidualBlock(nn.Module):
    """Two convolutions after normalisation and Swish, around a shortcut. (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, groups: int = 32):
        super().__init__()
        self.norm1 = group_norm(inputs, groups)
        self.conv1 = conv(inputs, outputs)
        self.norm2 = group_norm(outputs, groups)
        self.conv2 = conv(outputs, outputs)
        self.nin_shortcut = conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return self.nin_shortcut(x) + h


class Attention(nn.Module):
    """Attention over all places, around a shortcut; `heads` are equal parts of the channels. (N, C, H, W) -> same."""

    def __init__(self, channels: int, heads: int = 1, groups: int = 32):
        super().__init__()
        self.heads = heads
        self.norm = group_norm(channels, groups)
        self.q, self.k, self.v, self.proj_out = (conv(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        return x + self.attend(h, h)

    def attend(self, asking: Tensor, answering: Tensor) -> Tensor:
        """Queries from normalised maps `asking`, keys and values from `answering`."""
        maps = self.q(asking), self.k(answering), self.v(answering)
        q, k, v = (m.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3) for m in maps)  # (N, heads, HW, C/heads)
        found = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        return self.proj_out(found.reshape(asking.shape))


class Down(nn.Module):
    """To half the size, padded at the right and at the bottom."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    """To twice the size."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


@torch.no_grad()
def begin_with_shortcuts(network: nn.Module) -> None:
    """Let a new network begin with little but its shortcuts: colours pass at once, which a short training needs.

    What residual blocks and attention add is a tenth; what lies on the way around them, and between levels, keeps the
    length of vectors, which PyTorch's own beginning divides by the root of three.
    """
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            scale(block.conv2, 0.1)
            scale(block.nin_shortcut, math.sqrt(3))
        elif isinstance(block, Attention):
            scale(block.proj_out, 0.1)
        elif isinstance(block, Down | Up):
            scale(block.conv, math.sqrt(3))


def scale(layer: nn.Module, factor: float) -> None:
    """Multiply what a layer gives, and leave alone one without parameters."""
    for parameter in layer.parameters():
        parameter.mul_(factor)


class Quantiser(nn.Module):
    """A codebook: the vector at each place becomes the entry next to it (van den Oord et al., 2017)."""

    def __init__(self, codes: int, dim: int):
        super().__init__()
        self.embedding = nn.Embedding(codes, dim)
        nn.init.uniform_(self.embedding.weight, -1 / codes, 1 / codes)

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """Numbers (N, H, W) of the entries next to the vectors of maps z (N, dim, H, W)."""
        vectors = z.permute(0, 2, 3, 1).flatten(0, 2)
        found = torch.cdist(vectors.to(self.embedding.weight), self.embedding.weight).argmin(1)
        return found.reshape(len(z), *z.shape[2:])

    def lookup(self, numbers: Tensor) -> Tensor:
        """Entries (N, dim, H, W) by their numbers (N, H, W)."""
        return self.embedding(numbers).permute(0, 3, 1, 2)

    def forward(self, z: Tensor, beta: float = 0.25) -> tuple[Tensor, Tensor, Tensor]:
        """(entries next to z, through which gradients go straight to z; loss; numbers of the entries).

        Of the loss, the part that moves z to its entry counts 1, and the part that moves the entry `beta`.
        """
        numbers = self.nearest(z)
        entries = self.lookup(numbers)
        loss = F.mse_loss(z, entries.detach()) + beta * F.mse_loss(entries, z.detach())
        return z + (entries - z).detach(), loss, numbers


class Reservoir(nn.Module):
    """The latest vectors, `size` at most, of which k-means makes the entries of a codebook; `each` of an iteration."""

    vectors: Tensor
    taken: Tensor

    def __init__(self, size: int, dim: int, each: int):
        super().__init__()
        self.each = each
        self.register_buffer("vectors", torch.zeros(size, dim))
        self.register_buffer("taken", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def collect(self, z: Tensor, noise: Noise) -> None:
        """Take some vectors, at random, of maps z (N, dim, h, w); they replace the oldest."""
        every = across.whole(z.movedim(1, -1).flatten(1, 2)).flatten(0, 1)
        order = across.whole(noise.uniform(z[0, 0].numel())).flatten().argsort()[: self.each]
        places = (int(self.taken) + torch.arange(len(order), device=z.device)) % len(self.vectors)
        self.vectors[places] = every[order].to(self.vectors.dtype)
        self.taken += len(order)

    @torch.no_grad()
    def estimate(self, codes: Tensor) -> None:
        """Set codes (K, dim) by k-means, from K of the vectors; a code that is the nearest of none stays."""
        vectors = self.vectors[: int(self.taken)]
        centres = vectors[torch.arange(len(codes), device=codes.device) * len(vectors) // len(codes)]
        for _ in range(ESTIMATES):
            nearest = (centres.square().sum(1) - 2 * vectors @ centres.T).argmin(1)
            members = F.one_hot(nearest, len(centres)).to(vectors.dtype)
            count = members.sum(0)[:, None]
            centres = torch.where(count > 0, members.T @ vectors / count.clamp(min=1), centres)
        codes.copy_(centres)


class Usage(nn.Module):
    """How much of a codebook the clean training images of the latest `WINDOW` iterations use.

    Training never reads the test set: it tells this of what it sees, next to the losses.
    """

    WINDOW = 64
    counts: Tensor
    iteration: Tensor

    def __init__(self, codes: int):
        super().__init__()
        self.register_buffer("counts", torch.zeros(self.WINDOW, codes))
        self.register_buffer("iteration", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def told(self, numbers: Tensor) -> dict[str, Tensor]:
        """The share of the codes that are used and the entropy, in nats; `numbers`: of this iteration's codes."""
        found = torch.bincount(numbers.flatten(), minlength=self.counts.shape[1])
        self.counts[int(self.iteration) % self.WINDOW] = across.mean(found.to(self.counts))
        self.iteration += 1
        share, entropy = usage(self.counts.sum(0))
        return {"codes used": share, "codes entropy": entropy}


def usage(counts: Tensor) -> tuple[Tensor, Tensor]:
    """(share of the codes that occur; entropy in nats), of how often each one does."""
    return (counts > 0).to(counts).mean(), torch.special.entr(counts / counts.sum()).sum()


class Occurring:
    """The codes of the pictures that a method has completed."""

    def __init__(self, codes: int):
        self.codes = codes
        self.numbers: dict[str, Tensor] = {}  # of each image

    def note(self, batch: Batch, numbers: Tensor) -> None:
        """Remember the codes (N, ...) of these images."""
        names = batch.ids or map(str, range(len(batch)))
        self.numbers |= dict(zip(names, numbers.flatten(1).cpu(), strict=True))

    def told(self) -> list[str]:
        """How many codes occur, and their entropy; nothing before the first picture."""
        if not self.numbers:
            return []
        share, entropy = usage(torch.cat([*self.numbers.values()]).bincount(minlength=self.codes).double())
        most = math.log(self.codes)
        return [f"of its {self.codes} codes {share:.0%} occur, with an entropy of {entropy:.2f} nats of {most:.2f}"]


class LateCodes(nn.Module):
    """A codebook that joins late in the training, as means of the encoder's latest vectors.

    `estimated`: a share of the training at which codes join, and one until which all are estimated anew each `EVERY`
    iterations; between two estimates, and then, they learn. (0, 0): they learn at once, from their own beginning.
    """

    EVERY, EACH = 32, 128
    iteration: Tensor

    def __init__(self, codes: int, dim: int, estimated: tuple[float, float]):
        super().__init__()
        self.estimated, self.usage = estimated, Usage(codes)
        self.reservoir = Reservoir(self.EVERY * self.EACH, dim, self.EACH)
        self.register_buffer("iteration", torch.zeros((), dtype=torch.long))

    def quantise(self, quantiser: Quantiser, z: Tensor, steps: int, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """(codes of maps z, or z itself; losses: "codebook", and the `Usage`), in an iteration of `steps`.

        Call it once in each.
        """
        done = int(self.iteration)
        first, last = (round(share * steps) for share in self.estimated)
        self.iteration += 1
        if first <= done < last and (done - first) % self.EVERY == 0 and int(self.reservoir.taken):
            self.reservoir.estimate(quantiser.embedding.weight)
        if done < last:
            self.reservoir.collect(z, noise)
        if done < first:
            return z, {"codebook": z.new_zeros(())}
        codes, loss, numbers = quantiser(z)
        return codes, {"codebook": loss} | self.usage.told(numbers)


class PatchDiscriminator(nn.Module):
    """Isola et al.'s PatchGAN with batch normalisation; `halvings` of the size. (N, 3, H, W) -> logits (N, 1, h, w)."""

    def __init__(self, width: int = 64, halvings: int = 3):
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(halvings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            stride = 2 if i < halvings else 1
            layers += [nn.Conv2d(before, after, 4, stride, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.main(images)


class Adversary(nn.Module):
    """A discriminator with the hinge loss that joins after a share `start` of the training.

    Its weight in the generator's loss is `weight` times the ratio of two gradients at the generator's last layer: that
    of the reconstruction and that of the discriminator (Esser et al., Eq. 7), `most` at the most.
    """

    iteration: Tensor

    def __init__(self, network: nn.Module, weight: float, most: float, start: float):
        super().__init__()
        self.network, self.weight, self.most, self.start = network, weight, most, start
        self.register_buffer("iteration", torch.zeros((), dtype=torch.long))

    def joins(self, steps: int) -> bool:
        """Whether this iteration of `steps` has a discriminator; call once an iteration."""
        joins = int(self.iteration) >= self.start * steps
        self.iteration += 1
        return joins

    def fooled(self, images: Tensor, reconstruction: Tensor, last: Tensor) -> Tensor:
        """The generator's loss, weighted; `last`: the weight at which gradients are compared."""
        loss = -self.network(images).mean()
        (wanted,), (given,) = (torch.autograd.grad(one, last, retain_graph=True) for one in (reconstruction, loss))
        ratio = across.mean(wanted).norm() / (across.mean(given).norm() + 1e-4)
        return self.weight * ratio.clamp(max=self.most).detach() * loss

    def improve(self, real: Tensor, fake: Tensor, update: Update, weight: float = 1.0) -> Tensor:
        """Update the optimiser "discriminator"; its loss."""
        loss = hinge(self.network(real), self.network(fake.detach()))
        update("discriminator", weight * loss)
        return loss
