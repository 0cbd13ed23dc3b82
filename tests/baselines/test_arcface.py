"""ArcFace: the margin, the crop of the identity loss, what data without people is told, official files."""

from __future__ import annotations

import math

import pytest
import torch

from baselines import arcface
from baselines.arcface import ArcFace, IdentityLoss, angular_margin
from bench.errors import BenchError
from bench.method import Batch, Noise


def create(**options: object) -> ArcFace:
    torch.manual_seed(0)
    return ArcFace.create("tiny", **options)


def images(count: int = 4, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def learn(method: ArcFace, identity: torch.Tensor | None, size: int = 64) -> dict[str, torch.Tensor]:
    batch = Batch(images(size=size), torch.zeros(4, 1, size, size), {"identity": identity})
    return method.stages("embedded")[0].step(batch, lambda name, loss: None, Noise.shared(0, 4))


def test_the_margin_turns_the_own_centre_away_and_no_other() -> None:
    angles = torch.tensor([[0.3, 1.0], [2.0, 0.7], [math.pi - 0.01, 0.2]])
    labels = torch.tensor([0, 1, 0])
    changed = angular_margin(angles.cos(), labels, 0.5)
    torch.testing.assert_close(changed[0], torch.tensor([0.8, 1.0]).cos())
    torch.testing.assert_close(changed[1], torch.tensor([2.0, 1.2]).cos())
    assert changed[2, 0] < math.cos(math.pi - 0.01)


def test_the_margin_lowers_the_cosine_at_every_angle_and_has_a_gradient() -> None:
    cosines = torch.linspace(-1, 1, 401)[:, None].requires_grad_()
    changed = angular_margin(cosines, torch.zeros(401, dtype=torch.long), 0.5)
    assert (changed < cosines).all()
    assert (changed.diff(dim=0) > -1e-6).all()
    (gradient,) = torch.autograd.grad(changed.sum(), cosines)
    assert gradient.isfinite().all()


def test_the_loss_crop_is_that_of_psp() -> None:
    method = create(size=112, widths=(16, 16, 16, 16))
    given = torch.full((1, 3, 256, 256), -1.0)
    given[:, :, 35:223, 32:220] = 1
    assert (method.crop(given) == 1).all()
    given[:, :, 36:222, 33:219] = -1
    seen = method.crop(given)
    assert (seen[:, :, 0] > -1).all() and (seen[:, :, :, -1] > -1).all() and (seen[:, :, 2:-2, 2:-2] == -1).all()


def test_a_stage_learns_people() -> None:
    losses = learn(create().train(), torch.tensor([0, 0, 1, 2]))
    assert losses["margin"].isfinite()


def test_data_without_identity_labels_is_refused() -> None:
    with pytest.raises(BenchError, match=r"this method needs identity, .* there is none: train on synthfaces"):
        learn(create(), None)


def test_too_many_people_are_refused() -> None:
    with pytest.raises(BenchError, match=r"options\.identities above 9"):
        learn(create(identities=8), torch.tensor([0, 9, 1, 2]))


def test_it_completes_no_image() -> None:
    with pytest.raises(BenchError, match="priors"):
        create().complete(Batch(images(), torch.zeros(4, 1, 64, 64)), Noise([0, 1, 2, 3]))


def test_identity_loss_of_the_embedded_network() -> None:
    loss, given = IdentityLoss("embedded").train(), images().requires_grad_()
    assert not loss.network.training
    torch.testing.assert_close(loss(given, given), torch.zeros(4), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(loss(given, images().flip(0)).sum(), given)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("network", ["ir_se50", "resnet101"])
def test_identity_loss_of_the_official_networks(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the network named is loaded; IR-SE50 sees 256 px whatever the images' size."""
    options = {"ir_se50": {"widths": (16, 16, 16, 16), "units": (1, 1, 1, 1)}, "resnet101": {}}[network]
    small = ArcFace.create("paper" if network == "ir_se50" else network, **options)
    files = {f"arcface-{network.replace('_', '-')}": small.network.state_dict()}
    monkeypatch.setattr(arcface.weights, "load", files.__getitem__)
    monkeypatch.setattr(ArcFace, "create", lambda preset: ArcFace(small.config))
    loss, given = IdentityLoss("official", network), images(2, 512)
    reduced = torch.nn.functional.adaptive_avg_pool2d(given, 256) if network == "ir_se50" else given
    torch.testing.assert_close(loss.embed(given), small.eval().embed(reduced))
    distance = loss(given, given.flip(0))
    assert distance.shape == (2,) and distance[0] == pytest.approx(distance[1].item(), abs=1e-5)
