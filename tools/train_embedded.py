"""Make the weights of `bench.nn.embedded`: train its two small networks on procedural faces, apart from each other.

The images are rendered once into memory. Every batch holds four images of each identity; each image is moved and
recoloured a little, and every second one is damaged: a filled hole, blur, noise, fewer pixels or block artefacts.
The network learns who it is (supervised contrastive loss, Khosla et al., 2020, equation 2), the semantic map, the
landmarks, the attributes, and what was damaged where and how much. The last part makes the pooled features answer to
what a bad completion looks like; its heads are dropped afterwards.

The result depends on the seed alone (other processors and versions of PyTorch may give other last digits).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from enum import StrEnum
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench.data import synthfaces
from bench.data.synthfaces import IMAGES_PER_IDENTITY
from bench.nn.embedded import CLASSES, FEATURES, SIZE, WIDTHS, EmbeddedNet, Role, path
from bench.store import atomic_write

DAMAGES = ("hole", "blur", "noise", "pixels", "blocks")
SEEDS: dict[Role, int] = {"training": 7_100_001, "metrics": 7_200_002}  # of faces and training, far from a suite's


class Choice(StrEnum):
    """Which network to train."""

    training = "training"
    metrics = "metrics"
    both = "both"


class Auxiliary(nn.Module):
    """What only training has: heads for the attributes, how much of each damage, where the hole is; class weights."""

    def __init__(self, attributes: int, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights
        self.attributes = nn.Linear(FEATURES, attributes)
        self.severity = nn.Linear(FEATURES, len(DAMAGES))
        self.where = nn.Conv2d(32, 1, 1)


def render(role: Role, identities: int) -> dict[str, Tensor]:
    """All training faces: images (N, 3, 64, 64) uint8, semantics, landmarks in [0, 1], attributes."""
    count, step = identities * IMAGES_PER_IDENTITY, 500
    chunks, started = [], time.monotonic()
    for first in range(0, count, step):
        done = min(first + step, count)
        faces = synthfaces.render(range(first, done), size=SIZE, seed=SEEDS[role])
        chunks.append(
            {
                "images": ((faces.images + 1) * 127.5).round().to(torch.uint8),
                "semantics": faces.semantics,
                "landmarks": faces.landmarks / SIZE,
                "attributes": faces.attributes,
            }
        )
        progress(f"{role}: rendered", done, count, started)
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def progress(what: str, done: int, total: int, started: float, note: str = "") -> None:
    """Print one line: what, how far, how long still."""
    left = (time.monotonic() - started) / done * (total - done)
    print(f"{what} {done}/{total}  {left / 60:.1f} min left  {note}", flush=True)


def uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    """(n, 1, 1, 1) uniform numbers."""
    return torch.rand(n, 1, 1, 1, generator=rng) * (high - low) + low


def augment(batch: dict[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
    """Shift and scale up to a tenth, change gain, contrast and brightness of the colours."""
    images, semantics, landmarks = batch["images"], batch["semantics"], batch["landmarks"]
    n = len(images)
    scale, shift = uniform(n, 0.9, 1.1, rng).view(n, 1), torch.rand(n, 2, generator=rng) * 0.2 - 0.1
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale[:, 0]
    theta[:, :, 2] = -shift / scale
    grid = F.affine_grid(theta, [n, 3, SIZE, SIZE], align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    classes = F.grid_sample(
        semantics[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    centre = images.mean(dim=(2, 3), keepdim=True)
    gain = uniform(n, 0.85, 1.15, rng) * (torch.rand(n, 3, 1, 1, generator=rng) * 0.1 + 0.95)
    images = ((images - centre) * gain + centre + uniform(n, -0.1, 0.1, rng)).clamp(-1, 1)
    landmarks = ((landmarks * 2 - 1) * scale[:, None] + shift[:, None] + 1) / 2
    return {**batch, "images": images, "semantics": classes[:, 0].long(), "landmarks": landmarks}


def holes(n: int, rng: torch.Generator) -> Tensor:
    """Masks (n, 1, 64, 64): smooth noise, coarse or fine, above a random quantile, so holes of 2 to 70 percent."""
    coarse = torch.randn(n, 1, 3, 3, generator=rng)
    fine = torch.randn(n, 1, 8, 8, generator=rng)
    field = uniform(n, 0.3, 2, rng) * F.interpolate(coarse, size=SIZE, mode="bicubic")
    field = field + F.interpolate(fine, size=SIZE, mode="bicubic")
    order = field.flatten(1).argsort(dim=1).argsort(dim=1).view_as(field) / (SIZE * SIZE)
    return (order < uniform(n, 0.02, 0.7, rng)).float()


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian blur of its own for every image; `sigma` (N, 1, 1, 1) in pixels."""
    n, radius = len(images), 8
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma.view(n, 1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)[:, None, None]
    planes = F.pad(images.reshape(1, n * 3, SIZE, SIZE), [radius] * 4, mode="reflect")
    planes = F.conv2d(F.conv2d(planes, kernel, groups=n * 3), kernel.transpose(2, 3), groups=n * 3)
    return planes.view(n, 3, SIZE, SIZE)


def quantise(images: Tensor, step: Tensor) -> Tensor:
    """JPEG's loss without its colours: round the 8 x 8 cosine coefficients, coarser at high frequencies."""
    k = torch.arange(8, dtype=torch.float32)
    cosine = torch.cos((k + 0.5) * k[:, None] * torch.pi / 8) * 0.5
    cosine[0] *= 0.5**0.5
    blocks = images.unfold(2, 8, 8).unfold(3, 8, 8)  # (N, 3, 8, 8, 8, 8)
    width = step[..., None, None] * (1 + k + k[:, None])
    rounded = (cosine @ blocks @ cosine.T / width).round() * width
    return (cosine.T @ rounded @ cosine).transpose(3, 4).reshape(images.shape)


def coarsen(images: Tensor, strength: float) -> Tensor:
    """Fewer pixels, down to a sixth a side, and back."""
    small = F.interpolate(images, size=round(SIZE / (1 + 5 * strength)), mode="area")
    return F.interpolate(small, size=SIZE, mode="bilinear", align_corners=False)


def fill(images: Tensor, mask: Tensor, rng: torch.Generator) -> Tensor:
    """Fill the holes as bad methods do: one colour, the mean colour, noise, a blur, another face's pixels."""
    n = len(images)
    mean = ((images * (1 - mask)).sum(dim=(2, 3)) / (1 - mask).sum(dim=(2, 3)))[..., None, None].expand_as(images)
    colour = (torch.rand(n, 3, 1, 1, generator=rng) * 2 - 1).expand_as(images)
    noise = torch.rand(images.shape, generator=rng) * 2 - 1
    soft = blur(images * (1 - mask) + mean * mask, uniform(n, 2, 6, rng))
    fills = torch.stack([mean, colour, noise, soft, images.roll(1, 0)])
    kind = torch.randint(len(fills), (n,), generator=rng)
    return images * (1 - mask) + fills[kind, torch.arange(n)] * mask


def damage(images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Damage every second image, most often by a hole: images, severity (N, 5) in [0, 1], masks of the holes."""
    images = images.clone()
    severity, masks = torch.zeros(len(images), len(DAMAGES)), torch.zeros(len(images), 1, SIZE, SIZE)
    kinds = torch.multinomial(torch.tensor([4.0, 2, 0.5, 0.5, 0.5, 0.5]), len(images), True, generator=rng) - 1
    for kind, name in enumerate(DAMAGES):
        chosen = (kinds == kind).nonzero()[:, 0]
        n = len(chosen)
        if not n:
            continue
        x, strength = images[chosen], uniform(n, 0.1, 1, rng)
        if name == "hole":
            masks[chosen] = holes(n, rng)
            strength = masks[chosen].mean(dim=(2, 3), keepdim=True)
            x = fill(x, masks[chosen], rng)
        elif name == "blur":
            x = blur(x, 3 * strength)
        elif name == "noise":
            x = x + 0.4 * strength * torch.randn(x.shape, generator=rng)
        elif name == "pixels":
            x = torch.cat([coarsen(image, float(s)) for image, s in zip(x.split(1), strength, strict=True)])
        else:
            x = quantise(x, 0.3 * strength)
        images[chosen] = x.clamp(-1, 1)
        severity[chosen, kind] = strength.view(n)
    return images, severity, masks


def contrastive(embedding: Tensor, identity: Tensor, temperature: float = 0.1) -> Tensor:
    """The supervised contrastive loss (Khosla et al., 2020, equation 2) of unit vectors."""
    itself = torch.eye(len(embedding), dtype=torch.bool)
    logits = (embedding @ embedding.T / temperature).masked_fill(itself, -1e9)
    positive = (identity[:, None] == identity) & ~itself
    return -(logits.log_softmax(dim=1) * positive).sum() / positive.sum()


def places(heatmaps: Tensor, landmarks: Tensor) -> Tensor:
    """Cross-entropy of heatmaps to a Gaussian, one cell wide, at each landmark: a steeper start than the mean place."""
    cells = (torch.arange(heatmaps.shape[-1]) + 0.5).expand(2, -1)
    gaussian = torch.exp(-0.5 * (cells - landmarks[..., None] * heatmaps.shape[-1]) ** 2)  # (N, 68, x or y, cell)
    target = (gaussian[:, :, 1, :, None] * gaussian[:, :, 0, None, :]).flatten(2)
    target = target / target.sum(dim=2, keepdim=True).clamp(min=1e-6)
    return -(target * heatmaps.flatten(2).log_softmax(dim=2)).sum(dim=2).mean()


def correlation(features: Tensor) -> Tensor:
    """Mean squared correlation of two features: low when they tell different things."""
    return (features.T.corrcoef() - torch.eye(FEATURES)).square().mean()


def class_weights(semantics: Tensor) -> Tensor:
    """One over the root of a class's share, with mean 1 over pixels, so that small parts count."""
    share = torch.bincount(semantics.flatten().int(), minlength=CLASSES).float() / semantics.numel()
    weights = share.clamp(min=1e-4) ** -0.5
    return weights / (weights * share).sum()


def losses(net: EmbeddedNet, auxiliary: Auxiliary, batch: dict[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
    """Every part of the loss for one batch, weighted."""
    batch = augment(batch, rng)
    images, severity, masks = damage(batch["images"], rng)
    maps = net.maps(images.contiguous(memory_format=torch.channels_last))
    fused = net.pyramid(maps)
    out = net.heads(maps, fused)
    shares = F.avg_pool2d(F.one_hot(batch["semantics"], CLASSES).permute(0, 3, 1, 2).float(), 2)
    return {
        "identity": contrastive(out["identity"], batch["identity"]),
        "parsing": F.cross_entropy(out["parsing"], shares, auxiliary.weights),
        "landmarks": 20 * F.l1_loss(out["landmarks"], batch["landmarks"]),
        "places": 0.3 * places(net.heatmaps(fused), batch["landmarks"]),
        "attributes": F.smooth_l1_loss(auxiliary.attributes(out["features"]), batch["attributes"]),
        "correlation": 3 * correlation(out["features"]),
        "severity": 10 * F.mse_loss(auxiliary.severity(out["features"]), severity),
        "where": F.binary_cross_entropy_with_logits(auxiliary.where(fused), F.avg_pool2d(masks, 2)),
    }


def fold(net: EmbeddedNet) -> EmbeddedNet:
    """Merge every batch normalisation into the convolution before it."""
    net.eval()
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential):
            conv, norm = module[0], module[1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return net


def descend(
    parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], steps: int, rate: float, decay: float,
    start: float = 0.3, every: int = 100,
) -> None:  # fmt: skip
    """Minimise `loss`, which draws a batch, by AdamW with one cycle of rates (`start`: share until the highest one)."""
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=start)
    started, running = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        schedule.step()
        running = 0.95 * running + 0.05 * value.item() if step > 1 else value.item()
        if step % every == 0 or step == steps:
            progress("trained", step, steps, started, f"loss {running:.3f}")


def train(role: Role, target: Path, identities: int, people: int, steps: int, rate: float) -> None:
    """Train one network on one thread; write the folded weights in half precision."""
    torch.set_num_threads(1)
    faces = render(role, identities)
    torch.manual_seed(SEEDS[role])
    rng = torch.Generator().manual_seed(SEEDS[role])
    net = EmbeddedNet(WIDTHS[role], nn.BatchNorm2d)
    auxiliary = Auxiliary(faces["attributes"].shape[1], class_weights(faces["semantics"]))
    net.to(memory_format=torch.channels_last)
    parameters = [*net.parameters(), *auxiliary.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    started = time.monotonic()
    running: dict[str, float] = {}
    for step in range(1, steps + 1):
        chosen = torch.randperm(identities, generator=rng)[:people].repeat_interleave(IMAGES_PER_IDENTITY)
        rows = chosen * IMAGES_PER_IDENTITY + torch.arange(IMAGES_PER_IDENTITY).repeat(people)
        batch = {name: tensor[rows] for name, tensor in faces.items()} | {"identity": chosen}
        batch["images"] = batch["images"].float() / 127.5 - 1
        parts = losses(net, auxiliary, batch, rng)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        schedule.step()
        values = {name: part.item() for name, part in parts.items()}
        running = {name: 0.95 * running.get(name, value) + 0.05 * value for name, value in values.items()}
        if step % 25 == 0 or step == steps:
            note = "  ".join(f"{name} {value:.3f}" for name, value in running.items())
            progress(f"{role}: trained", step, steps, started, note)
    weights = {name: tensor.half().contiguous() for name, tensor in fold(net).state_dict().items()}
    with atomic_write(target) as handle:
        handle.write(save(weights))
    print(f"{role}: wrote {target}", flush=True)


def main(
    role: Annotated[Choice, typer.Option(help="Which network to train; both train side by side.")] = Choice.both,
    identities: Annotated[int, typer.Option(help="People to learn from: four images of each.", min=2)] = 2000,
    people: Annotated[int, typer.Option(help="People in a batch: four images of each.", min=2)] = 32,
    steps: Annotated[int, typer.Option(help="Training steps.", min=2)] = 600,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 3e-3,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights; by default the package's own.")] = None,
) -> None:
    """Train the embedded networks on procedural faces and write embedded-<role>.safetensors.

    Takes about ten minutes on two cores. Each network trains on one thread, so that the result depends on its seed
    alone and not on the number of cores.
    """
    roles: list[Role] = [name for name in WIDTHS if role in (name, Choice.both)]
    targets = [path(name) if out is None else out / path(name).name for name in roles]
    job = partial(train, identities=identities, people=min(people, identities), steps=steps, rate=rate)
    if len(roles) == 1:
        job(roles[0], targets[0])
        return
    with ProcessPoolExecutor(len(roles), mp_context=get_context("spawn")) as pool:
        list(pool.map(job, roles, targets))


if __name__ == "__main__":
    typer.run(main)
