"""Emotion accuracy by hand, and end to end with the embedded expression network."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from bench.data import synthfaces
from bench.metrics import emotion, extractors, get, measure
from bench.nn import embedded, expression

from .conftest import pictures


def test_by_hand():
    truth = torch.tensor([[3.0, 1, 0], [0, 2, 1], [0, 1, 5], [9, 0, 8]])
    completed = torch.tensor([[1.0, 0, -1], [5, 2, 1], [0, 1, 2], [7, 0, 8]])
    assert emotion.kept({"emotion": completed}, {"emotion": truth}, None).tolist() == [1, 0, 1, 0]


class ReadsColour:
    """Sees in an image the emotion whose number is the value of the first pixel."""

    name, faces, note, fingerprint = "hsemotion", False, "", "hsemotion-stub"

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        first, last = (torch.nn.functional.one_hot(images[:, 0, 0, x].long(), 8).float() for x in (0, -1))
        return {"emotion": first, "mirrored": last}


def test_the_value_is_the_share_of_images(monkeypatch):
    monkeypatch.setattr(extractors, "load", lambda name, device: ReadsColour())
    completed, truth, _ = pictures(5, 32)
    truth[:, 0, 0, 0] = torch.tensor([0, 3, 7, 4, 4]).byte()
    truth[:, 0, 0, -1] = torch.tensor([0, 1, 7, 2, 4]).byte()
    completed[:, 0, 0, -1] = 0
    completed[:, 0, 0, 0] = torch.tensor([0, 3, 1, 5, 4]).byte()
    result = measure(completed, truth, None, ["emotion@hsemotion"])
    assert result.per_image["value"].tolist() == [1, 1, 0, 0, 1]
    assert result.value("emotion@hsemotion") == pytest.approx(0.6)
    assert result.rows[0]["extractor"] == "hsemotion-stub"
    # 0 and 3 are a fifth of both sides, 4 is a fifth of one and two of the other; three mirrored ones stay
    assert result.rows[0]["note"] == "chance: 0.16, mirrored originals: 0.60"


def test_the_embedded_network_measures_under_its_own_name():
    faces = synthfaces.render(range(24), size=64, seed=4321).images
    same, other = (measure(x, faces, None, ["emotion@embedded"]) for x in (faces, faces.roll(1, 0)))
    assert same.value("emotion@embedded") == 1
    assert other.value("emotion@embedded") < 0.7  # another picture, another mood
    assert same.rows[0]["extractor"] == expression.fingerprint()
    assert expression.fingerprint().startswith(f"{embedded.fingerprint('metrics')}-expression-")
    assert get("emotion@embedded").title == "Emotion accuracy (embedded)"
