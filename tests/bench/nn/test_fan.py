"""FAN and its detector S3FD against face-alignment 1.5.0 under filled weights, and their parts on made-up numbers.

The golden file holds what the package gave: for its own networks, and for its functions on boxes and maps of ours.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.golden import Inputs, fill
from bench.nn import fan, s3fd
from bench.profile import count_parameters

with np.load(Path(__file__).parents[2] / "golden/fan.npz") as archive:
    META: dict[str, Any] = json.loads(str(archive["meta"]))
    GOLDEN = {name[4:]: archive[name] for name in archive.files if name.startswith("out_")}
INPUTS = Inputs(META["seed"])
BOXES = GOLDEN["boxes"]


def filled(name: str, network: nn.Module) -> nn.Module:
    state = {key: fill(key, tuple(value.shape), META["rule"][name]) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in state.items()})
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def aligner() -> nn.Module:
    return filled("fan", fan.FAN())


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    return filled("s3fd", s3fd.S3FD())


@pytest.fixture(scope="module")
def picture() -> Tensor:
    """uint8 (3, 200, 200)."""
    return ((INPUTS.image(200, offset=20)[0] + 1) / 2 * 255).round().to(torch.uint8)


def test_names_and_parameters_are_the_checkpoints(aligner: nn.Module, detector: nn.Module) -> None:
    for name, network, n in (("fan", aligner, 23_820_176), ("s3fd", detector, 22_459_110)):
        lines = [f"{key} {'x'.join(map(str, value.shape))}" for key, value in sorted(network.state_dict().items())]
        assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == META["names"][name]
        assert count_parameters(network) == META["params"][name] == n


def test_heat_maps(aligner: nn.Module) -> None:
    heat = copy.deepcopy(aligner).double()((INPUTS.image(256) + 1) / 2)
    assert heat.shape == (1, 68, 64, 64)
    scale = GOLDEN["heat"].std()
    assert np.abs(heat[:, ::8, ::8, ::8].numpy() - GOLDEN["heat"]).max() < 1e-9 * scale
    assert np.abs(heat.sum(dim=(2, 3)).numpy() - GOLDEN["heat_sums"]).max() < 1e-9 * scale * 64 * 64


def test_scores_and_codes_of_all_scales(detector: nn.Module) -> None:
    scales = copy.deepcopy(detector).double()(INPUTS.image(96, offset=10) * 120)
    assert [tuple(score.shape[1:]) for score, _ in scales] == [(n, n) for n in (24, 12, 6, 7, 4, 2)]
    for i, (score, codes) in enumerate(scales):
        assert GOLDEN[f"score{i}"].std() > 0.1  # the places differ
        assert np.abs(score.numpy() - GOLDEN[f"score{i}"]).max() < 1e-9
        assert np.abs(codes.numpy() - GOLDEN[f"code{i}"]).max() < 1e-9 * np.abs(GOLDEN[f"code{i}"]).max()


def test_faces_of_a_picture(detector: nn.Module, picture: Tensor) -> None:
    found = s3fd.detect(detector, picture[:, :120, :96]).numpy()
    assert found.shape == GOLDEN["faces"].shape == (157, 5)
    assert np.abs(found - GOLDEN["faces"]).max() < 1e-2  # pixels; float32


def test_boxes_and_suppression_on_made_up_maps(picture: Tensor) -> None:
    scales = []
    for i, (h, w) in enumerate(((24, 16), (12, 8), (6, 4), (7, 6), (4, 3), (2, 2))):
        classes = INPUTS.latent(1, 2, h, w, offset=100 + i).float() * 1.5
        scales.append((classes.softmax(dim=1)[:, 1], INPUTS.latent(1, 4, h, w, offset=200 + i).float() * 2))
    found = s3fd.detect(lambda _: scales, picture).numpy()
    assert sum(int((score > s3fd.SCORE).sum()) for score, _ in scales) > len(found) == 89  # some are suppressed
    assert np.abs(found - GOLDEN["made_faces"]).max() < 1e-3


@pytest.mark.parametrize("far", [False, True])
def test_suppression_by_hand(far: bool) -> None:
    """Anchors of neighbouring cells overlap by more than a half, those three cells apart by less than a fifth."""
    score = torch.zeros(1, 5, 5)
    score[0, 2, 0], score[0, 2, 3 if far else 1] = 0.7, 0.9
    [first, *others] = s3fd.detect(lambda _: [(score, torch.zeros(1, 4, 5, 5))], torch.zeros(3, 20, 20).byte())
    assert first.tolist() == pytest.approx([6, 2, 22, 18, 0.9] if far else [-2, 2, 14, 18, 0.9])
    assert [box.tolist() for box in others] == ([pytest.approx([-6, 2, 10, 18, 0.7])] if far else [])


def test_features_of_nothing_stay_nothing() -> None:
    norm = s3fd.Norm(3, 2.0)
    features = torch.zeros(1, 3, 1, 2)
    features[0, :2, 0, 1] = torch.tensor([3.0, 4.0])
    assert norm(features).detach()[0, :, 0].T.tolist() == [[0, 0, 0], pytest.approx([1.2, 1.6, 0])]


def test_no_face() -> None:
    maps = torch.full((1, 3, 3), 0.5)  # a face scores more
    assert s3fd.detect(lambda _: [(maps, torch.ones(1, 4, 3, 3))], torch.zeros(3, 12, 12).byte()).shape == (0, 5)


def test_crops(picture: Tensor) -> None:
    """Inside, over two corners, and larger than the picture."""
    for box, expected, sums in zip(BOXES, GOLDEN["crops"], GOLDEN["crop_sums"], strict=True):
        cut = fan.crop(picture.permute(1, 2, 0).numpy(), *fan.frame(box))
        assert cut.shape == (256, 256, 3)
        assert np.abs(cut[::8, ::8].astype(int) - expected).max() <= 1  # OpenCV's arithmetic may round another way
        assert np.abs(cut.astype(int).sum((0, 1)) - sums).max() < 0.5 * 256 * 256


def test_a_crop_beside_the_picture_is_black() -> None:
    assert not fan.crop(np.full((40, 40, 3), 255, np.uint8), np.array([-90.0, 300.0]), 60.0).any()


def test_points(aligner: nn.Module, picture: Tensor) -> None:
    for box, expected in zip(BOXES[:3], GOLDEN["points"], strict=True):
        found = fan.landmarks(aligner, picture, box).numpy()
        assert (found != expected).sum() <= 1  # another processor's float32 may decide a tie in another way


def test_peaks_of_made_up_heat_maps() -> None:
    """A peak in each, in the corners and at the border too; the last maps have flat surroundings."""
    heat = (0.1 * INPUTS.latent(68, 64, 64, offset=300)).float().numpy()
    places = np.stack([np.arange(68) * 13 % 64, np.arange(68) * 29 % 64], axis=1)
    places[:4] = [[0, 0], [63, 63], [0, 30], [30, 63]]
    for one, (x, y) in zip(heat, places, strict=True):
        one[y, x] = 5
    heat[60:] = np.round(heat[60:])
    points = fan.decode(heat)
    np.testing.assert_array_equal(points, GOLDEN["peaks"])
    np.testing.assert_array_equal(fan.in_image(points, 64, *fan.frame(BOXES[0])), GOLDEN["peaks_in_image"])
    assert np.abs(points - 0.5 - places).max() == 0.25
    assert (points[:4] - 0.5 == places[:4]).all()


def test_a_mirror_changes_sides() -> None:
    np.testing.assert_array_equal(fan.MIRRORED, GOLDEN["mirrored"])
    assert (fan.MIRRORED[fan.MIRRORED] == np.arange(68)).all()


@pytest.mark.parametrize("place", [(60, 80), (75, 101), (88, 64)])
def test_a_bright_spot_is_found_where_it_is(place: tuple[int, int]) -> None:
    """The whole way with a network that takes brightness for a landmark, once it has looked at the mirror image too."""
    x, y = place
    image = torch.zeros(3, 150, 160, dtype=torch.uint8)
    image[:, y - 1 : y + 2, x - 1 : x + 2] = 255
    box = (40.3, 50.7, 100.9, 120.2)

    def network(crops: Tensor) -> Tensor:
        assert torch.equal(crops[1], crops[0].flip(2))
        return nn.functional.avg_pool2d(crops.mean(dim=1, keepdim=True), 4).expand(2, 68, 64, 64)

    found = fan.landmarks(network, image, box)
    cell = fan.frame(box)[1] / fan.HEAT
    assert (found - torch.tensor([x, y])).abs().max() <= 1 + cell
    assert fan.frame(box)[1] / 20 > 1 + cell  # far less than the crop
