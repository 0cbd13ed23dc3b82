"""DiffFace: released names, the identity, what steers, where the target stays, its training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from baselines.diffface import DiffFace, guidance, training
from baselines.diffface.guidance import moved
from baselines.diffface.networks import PARTS, Judges
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


def test_the_face_is_the_last_estimate_which_nothing_steers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pred_xstart` of the last step of the released sampler; a guide moves the mean alone."""
    method, given = create(weights=(1e4, 1e4, 1e4)), batch()
    seen: list[torch.Tensor] = []

    def predict(self: DiffFace, x: torch.Tensor, k: int, identities: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach())
        return torch.cat([0 * x, 0 * x - 1], dim=1)

    monkeypatch.setattr(DiffFace, "predict", predict)
    *_, last = pictures = list(method.pictures(given, noise()))
    assert len(pictures) == len(seen) == method.calls
    target, face = given.need("source"), seen[-1] / float(LINEAR.abar[0]) ** 0.5
    region = method.judges(target).region(target)
    torch.testing.assert_close(last, (region * face + (1 - region) * target).clamp(-1, 1))


class Parser(nn.Module):
    """In the place of BiSeNet: two of its labels, by how red a pixel is. It is fed what was normalised twice."""

    def normalised(self, pictures: torch.Tensor) -> torch.Tensor:
        return 0.25 * pictures + 0.5

    def network(self, pictures: torch.Tensor) -> tuple[torch.Tensor]:
        found = torch.zeros(len(pictures), 19, *pictures.shape[2:])
        found[:, PARTS[0]] = pictures[:, 0] - 0.1
        return (found,)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.network(self.normalised(pictures))[0].argmax(1)


def test_the_region_is_of_logits_of_the_picture_s_size_normalised_twice() -> None:
    """`edit_image_by_prompt` of the released image_editor.py: netSeg(spNorm(...)), then its logits to 256."""
    judges = Judges("embedded")
    judges.parser = Parser()  # type: ignore[assignment]
    picture = torch.zeros(1, 3, 64, 64)
    picture[:, 0, :, :20] = 0.3  # twice normalised 0.15, once 0.575; what is 0 becomes 0, and 0.5
    region = judges.region(picture)
    assert region.shape == (1, 1, 64, 64)
    assert region[..., :19].all() and not region[..., 21:].any()


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
        _, gradient = method.guided(diffusion, x, 1, guide, noise())
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
