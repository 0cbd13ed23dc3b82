"""DiffFace: released names, the identity, what steers, where the target stays, its training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.diffface import DiffFace, guidance, training
from baselines.diffface.guidance import moved
from baselines.diffface.networks import PARTS
from bench import golden
from bench.batch import Noise
from bench.errors import BenchError
from bench.nn.denoising import LINEAR, Seen
from masks.generators.semantic import LABELS, REGIONS
from tests.test_methods import batch, noise

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> DiffFace:
    torch.manual_seed(0)
    small = {"width": 8, "multipliers": (1, 2), "attention": (1,), "head": 8, "groups": 4, "steps": 4, "skipped": 1}
    made = DiffFace.create("tiny", **{**small, "full": 1, **options})
    assert isinstance(made, DiffFace)
    return made.eval()


@pytest.mark.parametrize(("name", "options"), [("diffface.unet", {}), ("diffface.unet64", {"width": 64})])
def test_the_released_names_fit(name: str, options: dict[str, int]) -> None:
    found = {key: shape for key, shape, _ in golden.read_keys(KEYS / f"{name}.keys.csv")}
    with torch.device("meta"):
        state = DiffFace.create(**options).get_submodule("network").state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == found


def test_the_parts_are_those_of_the_face_without_glasses() -> None:
    assert {LABELS[part] for part in PARTS} == {*REGIONS["face"]} - {"eye_g"}
    assert PARTS == [1, 2, 3, 4, 5, 10, 11, 12, 13]


def test_whose_identities_a_released_network_reads_is_said() -> None:
    method = create()
    assert len(method.remarks()) == 1
    method.load_official(method.network.state_dict())
    assert "the authors' ArcFace" in method.remarks()[1]


def test_the_target_stays_outside_of_its_face() -> None:
    method, given = create(), batch()
    region = method.judges(given.image).region(given.need("source"))
    assert 0 < region.mean() < 1
    with torch.no_grad():
        out = method.complete(given, noise())
    torch.testing.assert_close(out * (1 - region), given.need("source") * (1 - region))


def test_each_part_of_the_loss_is_of_what_it_compares() -> None:
    method, given = create(), batch()
    guide = method.guide(given.need("source"), given.need("exemplar"))
    target, other = guide.target, given.need("exemplar")
    pixels = replace(guide, weights=(0, 0, 2.0)).loss(other, noise())
    torch.testing.assert_close(pixels, 2 * (other - target).square().mean((1, 2, 3)))
    assert not replace(guide, weights=(0, 1.0, 0)).loss(target, noise()).any()
    assert (replace(guide, weights=(0, 1.0, 0)).loss(other, noise()) > 0).all()
    whole = replace(guide, weights=(1.0, 0, 0), copies=1, region=torch.ones_like(guide.region))
    assert whole.loss(other, noise()).abs().max() < 1e-5
    assert (replace(whole, copies=8).loss(other, noise()) > 0.01).all()


def test_the_distance_of_identities_is_the_mean_of_the_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `id_loss` of the released image_editor.py takes it; 6000 is its weight."""
    assert (DiffFace.presets["paper"].weights[0], DiffFace.presets["paper"].copies) == (6000, 8)
    monkeypatch.setattr(guidance, "moved", lambda pictures, noise: pictures)
    method, given = create(), batch()
    guide = replace(method.guide(given.need("source"), given.need("exemplar")), weights=(1.0, 0, 0))
    one, eight = (replace(guide, copies=copies).loss(guide.target, noise()) for copies in (1, 8))
    assert (one > 0.01).all()
    torch.testing.assert_close(eight, one)


def test_copies_are_moved_some_of_them() -> None:
    pictures = torch.rand(64, 3, 8, 8)
    found = moved(pictures, Noise.shared(0, 64))
    same = torch.isclose(found, pictures, atol=1e-5).flatten(1).all(1)
    assert 0 < same.float().mean() < 0.3


def test_gradients_point_to_a_smaller_loss() -> None:
    method, given = create(copies=1), batch()
    guide = method.guide(given.need("source"), given.need("exemplar"))
    diffusion = LINEAR.respaced(4)
    x = diffusion.noised(guide.target, 1, noise().normal(3, 64, 64))

    def loss(x: torch.Tensor) -> torch.Tensor:
        told = diffusion.reverse(x, 1, method.predict(x, 333, guide.identity), clipped=False)
        share = float(1 - diffusion.abar[1]) ** 0.5
        return guide.loss(share * told.clean + (1 - share) * x, noise())

    with torch.no_grad():
        _, gradient = method.told(diffusion, x, 1, guide, noise())
        step = 1e-3 * gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
        assert (loss(x - step) < loss(x)).all()


def test_a_schedule_that_never_shows_the_whole_face_is_refused() -> None:
    with pytest.raises(BenchError, match=r"options\.full: 3 is not below the 3 steps"):
        create(full=3)


def test_the_identity_counts_a_hundredth_at_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """`forward_backward` of the released train_util.py, and the clipped estimate of `training_losses`."""
    assert DiffFace.presets["paper"].identity == DiffFace.presets["tiny"].identity == 0.01
    given, moved_by = batch(4), {}
    (stage,) = create().stages()
    wide = 3 * given.image.flip(0)
    x = float(LINEAR.abar[999]) ** 0.5 * wide
    seen = Seen({"noise": torch.tensor(2.0)}, x, torch.full((4,), 999), torch.zeros(4, 6, 64, 64))
    monkeypatch.setattr(training, "learned", lambda *_: seen)
    losses = stage.step(given, lambda name, loss: moved_by.update({name: float(loss)}), Noise.shared(0, 4))
    drawn, own = (create().judges(wide).identity(picture) for picture in (wide.clamp(-1, 1), given.image))
    expected = 1 - (drawn * own).sum(1).mean()
    assert expected > 0.1
    torch.testing.assert_close(losses["identity"], expected, rtol=1e-3, atol=0)
    assert moved_by["network"] == pytest.approx(2 + 0.01 * float(expected), abs=1e-5)
