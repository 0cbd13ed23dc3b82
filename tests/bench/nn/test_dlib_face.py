"""dlib's face network against dlib itself, with the official weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench import weights
from bench.data import dataset
from bench.nn.dlib_face import SIDE, FaceNetwork


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """Drawn faces, noise, one colour and stripes: uint8 (N, 3, 150, 150)."""
    drawn = dataset.prepare_synthfaces(3, SIDE, 0, tmp_path_factory.mktemp("faces")).images(range(3))
    faces = ((drawn + 1) * 127.5).round().to(torch.uint8) if drawn.is_floating_point() else drawn
    noise = np.random.default_rng(0).integers(0, 256, (2, 3, SIDE, SIDE), dtype=np.uint8)
    stripes = torch.arange(SIDE).mul(11).remainder(256).to(torch.uint8).expand(1, 3, SIDE, SIDE)
    return torch.cat([faces, torch.from_numpy(noise), torch.full((1, 3, SIDE, SIDE), 128, dtype=torch.uint8), stripes])


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    found = FaceNetwork()
    found.fill(weights.read(official()))
    return found.eval()


def official() -> Path:
    found = weights.here(weights.INDEX["dlib-face"])
    if found is None:
        pytest.skip("face-recognition-models is not installed")
    return found


@torch.inference_mode()
def test_it_equals_dlib(network: FaceNetwork, chips: Tensor) -> None:
    dlib = pytest.importorskip("dlib")
    reference = dlib.face_recognition_model_v1(str(official()))
    expected = [reference.compute_face_descriptor(chip.permute(1, 2, 0).contiguous().numpy()) for chip in chips]
    found = network(chips.float())
    assert found.norm(dim=1).min() > 1
    assert np.abs(found.numpy() - np.array(expected)).max() < 1e-6


@torch.inference_mode()
def test_a_face_has_the_same_numbers_alone(network: FaceNetwork, chips: Tensor) -> None:
    alone = torch.cat([network(chip[None].float()) for chip in chips])
    assert (network(chips.float()) - alone).abs().max() < 1e-6


def test_tensors_that_do_not_fit_are_refused() -> None:
    network = FaceNetwork()
    sound = [torch.zeros(sum(part.numel() for part in layer)) for layer in network.layers()]
    network.fill({str(i): tensor for i, tensor in enumerate(sound)})
    swapped = [sound[1], sound[0], *sound[2:]]
    for other in (sound[:-1], [*sound, torch.zeros(1)], swapped):
        with pytest.raises(RuntimeError, match="not 59 of 5,614,592"):
            network.fill({str(i): tensor for i, tensor in enumerate(other)})
