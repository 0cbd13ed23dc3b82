"""What every method of the registry must do; a new method is covered without a new test."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import registry, weights
from bench.batch import Batch, Noise
from bench.data.attributes import NAMES
from bench.errors import BenchError
from bench.framing import Size, extent
from bench.method import Method, Source
from bench.nn import text
from bench.profile import count_macs, count_operations, count_parameters
from bench.profile.cell import create as created
from tests import made_up_weights, pipelines

SIZE = 64
OTHERS: tuple[Size, ...] = (33, 40, 72, 96, 100, (33, 35), (48, 40), (128, 64))
"""Sizes that some methods take, (height, width) where they differ."""
EVERY = [slug for slug, entry in registry.entries().items() if not entry.card.finished]
ALL = [slug for slug in EVERY if registry.get(slug).card.evaluated]
TRAINABLE = [slug for slug in EVERY if registry.get(slug).load().trainable()]
TRAINED = [slug for slug in ALL if slug in TRAINABLE]
COUNTED = [slug for slug, entry in registry.entries().items() if entry.card.params]
GUIDED = [(slug, name) for slug in ALL for card in [registry.get(slug).card] for name in (*card.needs, *card.takes)]
SHORTER = {
    "repaint": {"steps": 6, "jump": 2, "resamplings": 2}, "ilvr": {"steps": 4, "until": 0}, "flow": {"steps": 2},
    "ddrm": {"steps": 4}, "dps": {"steps": 4}, "diffpir": {"steps": 4},
    "sdm": {"steps": 2}, "uniteconquer": {"steps": 2}, "diffface": {"steps": 4, "skipped": 1, "full": 1},
    "collaborative": {"steps": 2}, "latent": {"steps": 2}, "pulse": {"steps": 3, "samples": 10_000},
    "semanticstylegan": {"steps": 3, "samples": 100}, "facereenactment": {"finetune": 2},
}  # fmt: skip
"""Options of samplers: a few steps do all that many do."""
LIGHTER: dict[str, dict[str, Any]] = {
    "vqfr": {"size": 256}, "deepfaceediting": {"width": 32}, "sdm": {"width": 128}, "diffface": {"width": 128},
}  # fmt: skip
"""Options with which a step as published takes less than 24 GB."""
UNMIRRORED = ("ca", "gl", "gmcnn", "lama", "rgtsi", "transref")
"""Published without flips of the training pictures: MMEditing's configurations, the authors' loaders."""
VARIANTS = [(slug, variant) for slug in EVERY for variant in registry.get(slug).load().variants]


def smallest(slug: str) -> str:
    """The preset."""
    return "tiny" if "tiny" in registry.get(slug).load().presets else "paper"


def structures() -> list[tuple[str, str | None]]:
    """Each method, and of its variants the first of those that differ in numbers only: they run the same code.

    A number counts as positive or not: a weight of zero leaves a loss out.
    """

    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {name: shape(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [shape(part) for part in value]
        return value > 0 if isinstance(value, int | float) and not isinstance(value, bool) else value

    found: dict[tuple[str, str], str | None] = {}
    for slug, variant in [(slug, None) for slug in TRAINABLE] + [pair for pair in VARIANTS if pair[0] in TRAINABLE]:
        config = registry.get(slug).load().configure(smallest(slug), variant, {})
        found.setdefault((slug, repr(shape(config.model_dump()))), variant)
    return [(slug, variant) for (slug, _), variant in found.items()]


def small(slug: str, variant: str | None = None, seed: int = 0) -> Method:
    """The method in its smallest preset, with fixed weights, and its priors."""
    torch.manual_seed(seed)
    if registry.get(slug).card.from_folder:
        return pipelines.loaded(slug)
    made = created(slug, smallest(slug), variant)
    if slug in SHORTER:
        changes = {**SHORTER[slug], **(made.variants[variant] if variant else {})}
        made.config = made.config.model_copy(update=changes)
    return made.eval()


def batch(count: int = 2, seed: int = 0, size: Size = SIZE) -> Batch:
    height, width = extent(size)
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(4, count, 3, 8, 8, generator=generator) * 2 - 1
    image, exemplar, degraded, colour = (
        torch.nn.functional.interpolate(c, (height, width), mode="bicubic").clamp(-1, 1) for c in coarse
    )
    mask = torch.zeros(count, 1, height, width)
    mask[:, :, 5 * height // 16 : 11 * height // 16, 3 * width // 16 : 25 * width // 32] = 1
    return Batch(
        image=image,
        mask=mask,
        guides={
            "degraded": degraded,
            "exemplar": exemplar,
            "sketch": (degraded[:, :1] > 0.5).float(),
            "colour": colour,
            "semantics": (9 * (colour[:, 0] + 1)).byte(),
            "layout": (9 * (colour[:, 0] + 1)).byte().flip(0),
            "source": image,
            "landmarks": landmarks(count, generator) * torch.tensor([float(width), float(height)]),
            "identity": torch.arange(count) % 2,
            "attributes": (numbers := attributes(count, generator)),
            "wanted": numbers.flip(0),
        },
    )


def landmarks(count: int, generator: torch.Generator) -> torch.Tensor:
    """68 points (x, y) in [0, 1) for each image."""
    return torch.rand(count, 68, 2, generator=generator)


def attributes(count: int, generator: torch.Generator) -> torch.Tensor:
    """Numbers of synthetic faces' order and size."""
    return 10 * torch.rand(count, len(NAMES), generator=generator)


def noise(count: int = 2) -> Noise:
    return Noise(list(range(7, 7 + count)))


@pytest.mark.parametrize("slug", ALL)
def test_completion_has_the_shape_and_is_finite(slug: str) -> None:
    with torch.no_grad():
        out = small(slug).complete(batch().blind(), noise())
    assert out.shape == (2, 3, SIZE, SIZE)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("slug", ALL)
def test_operations_of_a_completion_are_counted(slug: str) -> None:
    """As a run does it; also of those that find the way back through a network."""
    method, given = small(slug), batch(1).blind()
    counted = count_operations(lambda: method.complete(given, noise(1)))[""].total
    assert counted > 0 or (next(method.parameters(), None) is None and not method.networks())


@pytest.mark.parametrize("slug", ALL)
def test_pixels_under_the_hole_never_reach_the_output(slug: str) -> None:
    """The leak test."""
    method, given = small(slug), batch()
    changed = replace(given, image=torch.where(given.mask > 0, torch.rand_like(given.image), given.image))
    with torch.no_grad():
        assert torch.equal(method.complete(given, noise()), method.complete(changed, noise()))


@pytest.mark.parametrize("slug", ALL)
def test_completion_does_not_depend_on_the_images_beside_it(slug: str) -> None:
    """In double precision: networks that are not trained may enlarge a rounding error a thousand times."""
    torch.set_default_dtype(torch.float64)
    try:
        method, given = small(slug).double(), batch(3)
        with torch.no_grad():
            together = method.complete(given, noise(3))
            alone = [method.complete(given.only(i), Noise([7 + i])) for i in range(3)]
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("slug", ALL)
def test_completion_is_the_same_again(slug: str) -> None:
    method, given = small(slug), batch()
    with torch.no_grad():
        assert torch.equal(method.complete(given, noise()), method.complete(given, noise()))


@pytest.mark.parametrize("slug", ALL)
def test_sizes_are_taken_or_refused_as_declared(slug: str) -> None:
    method = small(slug)
    assert SIZE in method.config.sizes("embedded")
    for size in OTHERS:
        given = batch(1, size=size).blind()
        with (
            torch.no_grad(),
            nullcontext() if size in method.config.sizes() else pytest.raises(BenchError, match="takes"),
        ):
            out = method.complete(given, noise(1))
            assert out.shape == given.image.shape
            assert torch.isfinite(out).all()


@pytest.mark.parametrize("slug", TRAINABLE)
def test_sizes_that_are_declared_are_trained_on(slug: str) -> None:
    for size in OTHERS:
        if size in (method := small(slug)).config.sizes("embedded"):
            take_a_step(method, "embedded", batch(2, size=size))


@pytest.mark.parametrize(("slug", "variant"), VARIANTS)
def test_variants_complete(slug: str, variant: str) -> None:
    if slug in ALL:
        with torch.no_grad():
            assert torch.isfinite(small(slug, variant).complete(batch().blind(), noise())).all()


@pytest.mark.parametrize(("slug", "guide"), GUIDED)
def test_another_guide_changes_the_completion(slug: str, guide: str) -> None:
    method, given = small(slug), batch()
    if guide == "text":
        given = given.guided(text=("A man with a beard", "glasses"))
    if guide == "semantics":
        given = given.guided(layout=None)  # which may stand for it
    value = getattr(given, guide)
    turned = value[::-1] if guide == "text" else value.flip(0)
    with torch.no_grad():
        changed = method.complete(given.guided(**{guide: turned}), noise())
        assert not torch.equal(method.complete(given, noise()), changed)


@pytest.mark.parametrize(("slug", "guide"), [pair for pair in GUIDED if pair[1] in registry.get(pair[0]).card.needs])
def test_a_guide_that_is_needed_and_absent_is_named(slug: str, guide: str) -> None:
    with pytest.raises(BenchError, match=f"needs {guide}"):
        small(slug).complete(batch().guided(**{guide: None}), noise())


@pytest.mark.parametrize(("slug", "guide"), [pair for pair in GUIDED if pair[1] in registry.get(pair[0]).card.takes])
def test_guides_that_a_method_only_takes_may_be_absent(slug: str, guide: str) -> None:
    with torch.no_grad():
        assert torch.isfinite(small(slug).complete(batch().guided(**{guide: None}), noise())).all()


@pytest.mark.parametrize("slug", TRAINED)
def test_weights_survive_saving(slug: str) -> None:
    method, given, other = small(slug), batch(), small(slug, seed=1)
    with torch.no_grad():
        assert not torch.equal(method.complete(given, noise()), other.complete(given, noise()))
        other.load_state_dict(copy.deepcopy(method.state_dict()))
        assert torch.equal(method.complete(given, noise()), other.complete(given, noise()))


@pytest.mark.parametrize(("slug", "variant"), structures())
def test_every_stage_trains_its_networks(slug: str, variant: str | None) -> None:
    """A step gives finite losses, and each optimiser's parameters receive a gradient and move."""
    take_a_step(small(slug, variant), "embedded", batch(4))


@pytest.mark.parametrize("slug", UNMIRRORED)
def test_recipes_without_flips_mirror_nothing(slug: str) -> None:
    assert not any(stage.mirrored for stage in small(slug).stages("embedded"))


@pytest.mark.slow
@pytest.mark.parametrize("slug", TRAINABLE)
def test_a_full_step_of_the_paper_preset(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As published, at its one size, or 256 px (restoration: 512 px): passes, losses on official networks, updates."""
    monkeypatch.setattr(weights, "load", made_up_weights.state)
    monkeypatch.setattr(weights, "path", Path)
    monkeypatch.setattr(text, "openai_clip", made_up_weights.clip)
    method = registry.get(slug).load().create(**LIGHTER[slug]) if slug in LIGHTER else created(slug, "paper")
    size = method.config.sizes().only or (512 if method.card.task == "restoration" else 256)
    take_a_step(method, "official", batch(2, size=size))


def take_a_step(method: Method, features: Source, given: Batch) -> None:
    """One step of every stage, which must move the parameters of each optimiser."""
    stages = method.train().stages(features)
    assert sum(stage.share for stage in stages) == pytest.approx(1)
    for stage in stages:
        optimisers = stage.train().optimisers()
        moved: set[str] = set()

        def update(name: str, loss: torch.Tensor, optimisers=optimisers, moved=moved) -> None:
            parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            assert all(g is None or torch.isfinite(g).all() for g in gradients)
            if sum(float(g.abs().sum()) for g in gradients if g is not None) > 0:
                moved.add(name)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimisers[name].step()

        torch.manual_seed(0)
        losses = stage.step(given, update, Noise.shared(0, len(given)))
        assert losses
        assert all(torch.isfinite(value) for value in losses.values())
        assert moved == set(optimisers)
        assert set(stage.ema) <= set(optimisers)


@pytest.mark.parametrize("slug", COUNTED)
def test_cards_state_the_parameters_of_the_paper_preset(slug: str) -> None:
    entry = registry.get(slug)
    with torch.device("meta"):
        networks = entry.load().create("paper").networks() or created(slug, "paper").networks()  # of its prior alone
    counted = {name: count_parameters(network) for name, network in networks.items() if name in entry.card.params}
    assert counted
    assert counted == {name: entry.card.params[name] for name in counted}


def test_macs_of_a_convolution() -> None:
    convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
    assert count_macs(lambda net: net(torch.empty(1, 3, 10, 10)), convolution) == 3 * 8 * 9 * 100
