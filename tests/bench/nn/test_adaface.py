"""AdaFace's network against its layers written down a second time, and what is measured with it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import weights
from bench.errors import BenchError
from bench.metrics import extractors, identity
from bench.metrics.score import Pair
from bench.nn.adaface import AdaFace


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AdaFace:
    """Made-up weights in the layout of the authors' checkpoint, which holds the loss's kernel, too."""
    torch.manual_seed(0)
    made = AdaFace()
    for name, value in made.state_dict().items():
        if value.ndim > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.05)
        elif value.is_floating_point():  # of norms and PReLU
            value.uniform_(0.2, 0.8)
    state = {f"model.{name}": value for name, value in made.state_dict().items()} | {"head.kernel": torch.zeros(512, 9)}
    torch.save({"state_dict": state, "epoch": 25}, tmp_path / "adaface.ckpt")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "adaface.ckpt")
    return made.eval()


def by_layers(w: dict[str, Tensor], rgb: Tensor) -> Tensor:
    """net.py's IR-101, from its checkpoint's names alone, in float64."""
    w = {name: value.double() for name, value in w.items()}

    def norm(x: Tensor, name: str) -> Tensor:
        scale, shift = w.get(f"{name}.weight"), w.get(f"{name}.bias")
        return F.batch_norm(x, w[f"{name}.running_mean"], w[f"{name}.running_var"], scale, shift, eps=1e-5)

    x = F.conv2d(rgb.double()[:, [2, 1, 0]], w["input_layer.0.weight"], padding=1)
    x = F.prelu(norm(x, "input_layer.1"), w["input_layer.2.weight"])
    strides = [2 if i in (0, 3, 16, 46) else 1 for i in range(49)]
    for i, stride in enumerate(strides):
        unit, short = f"body.{i}.res_layer", x[:, :, ::stride, ::stride]
        if f"body.{i}.shortcut_layer.0.weight" in w:
            short = norm(F.conv2d(short, w[f"body.{i}.shortcut_layer.0.weight"]), f"body.{i}.shortcut_layer.1")
        y = F.conv2d(norm(x, f"{unit}.0"), w[f"{unit}.1.weight"], padding=1)
        y = F.prelu(norm(y, f"{unit}.2"), w[f"{unit}.3.weight"])
        x = short + norm(F.conv2d(y, w[f"{unit}.4.weight"], stride=stride, padding=1), f"{unit}.5")
    x = norm(x, "output_layer.0").flatten(1) @ w["output_layer.3.weight"].T + w["output_layer.3.bias"]
    return F.normalize(norm(x, "output_layer.4"))


def test_vectors_are_those_of_the_layers(network):
    """From pictures whose five points lie where the crop has them: the crop is the picture."""
    images = torch.randint(0, 256, (2, 3, 112, 112), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    points = torch.tensor(identity.TEMPLATE).expand(2, 5, 2).clone()
    points[1] = torch.nan  # no face
    found = extractors.extract(extractors.load("adaface"), images, {"landmarks": points}, batch=2)
    expected = by_layers(network.state_dict(), (images[:1].float() / 255 - 0.5) / 0.5)
    assert (found["identity"][:1] - expected).abs().max() < 1e-4 and found["identity"][1].isnan().all()
    swapped = by_layers(network.state_dict(), (images[:1].flip(1).float() / 255 - 0.5) / 0.5)
    assert (swapped - expected).abs().max() > 0.01  # the order of colours counts


def test_a_file_of_another_network_is_refused(network, tmp_path):
    torch.save({"state_dict": nn.Linear(2, 2).state_dict()}, tmp_path / "adaface.ckpt")
    with pytest.raises(BenchError, match=r"adaface\.ckpt does not fit AdaFace"):
        extractors.load("adaface")


def test_similarity_and_angle_by_hand():
    truth = {"identity": torch.tensor([[1.0, 0], [0, 2], [3, 3], [torch.nan] * 2])}
    completed = {"identity": torch.tensor([[2.0, 0], [1, 0], [1, 0], [torch.nan] * 2])}
    expected = [1, 0, math.sqrt(0.5), math.nan]
    assert identity.similarity(completed, truth, None).tolist() == pytest.approx(expected, abs=1e-7, nan_ok=True)
    angles = [0, 90, 45, math.nan]
    assert identity.degrees(completed, truth, None).tolist() == pytest.approx(angles, abs=1e-4, nan_ok=True)


def test_who_passes_is_said_by_strangers():
    """Fifty persons in a plane, 2 degrees apart: one of 1,225 strangers may pass, and 49 have the same cosine."""
    angles = torch.arange(50) * math.radians(2)
    turned = angles + math.radians(1.5)  # nearer to its original than any stranger
    turned[:10] += math.radians(3)  # further
    truth, completed = (torch.stack([a.cos(), a.sin()], dim=1) for a in (angles, turned))
    score = identity.verified(Pair(completed, truth))
    assert score.value == pytest.approx(0.8) and score.contributions.tolist() == [0] * 10 + [1] * 40
    truth[49] = completed[49] = torch.nan
    score = identity.verified(Pair(completed, truth))
    assert score.value == pytest.approx(39 / 49) and score.note == "1 of 50 images have no value"
    assert math.isnan(identity.verified(Pair(completed[48:], truth[48:])).value)


def test_one_stranger_in_a_thousand_passes():
    g = torch.Generator().manual_seed(0)
    truth = F.normalize(torch.randn(100, 16, generator=g, dtype=torch.float64))
    cosines = (truth @ truth.T)[tuple(torch.triu_indices(100, 100, 1))].sort(descending=True).values
    threshold = cosines[4].item()  # of 4,950 pairs, 4 lie above

    def at(cosine: float) -> float:
        side = F.normalize(torch.randn(100, 16, generator=g, dtype=torch.float64) * 1)
        side = F.normalize(side - (side * truth).sum(dim=1, keepdim=True) * truth)
        return identity.verified(Pair(cosine * truth + math.sqrt(1 - cosine**2) * side, truth)).value

    assert at(threshold + 1e-6) == 1 and at(threshold - 1e-6) == 0
