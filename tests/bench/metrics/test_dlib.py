"""identity@dlib, same-person@dlib and detection@dlib."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import pictures, weights
from bench.metrics import Measurement, extractors, identity, measure
from bench.metrics.extractors import Features

IDENTITY = ["identity@dlib", "same-person@dlib"]
SIDE = 256


class Colours(nn.Module):
    """A network whose vectors are an image's mean colour times 5: distances are known."""

    def forward(self, faces: Tensor) -> Tensor:
        return faces.mean(dim=(2, 3)) / 51


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(network: nn.Module, images: Tensor) -> Features:
        return {"identity": network(identity.square(images.float(), 150))}

    fake = extractors._Network("dlib-face", "colours", Colours(), run, torch.device("cpu"))
    monkeypatch.setattr(extractors, "load", lambda *_: fake)


def grey(*levels: int, side: int = SIDE) -> Tensor:
    return torch.stack([torch.full((3, side, side), level, dtype=torch.uint8) for level in levels])


def hole(top: int, bottom: int, n: int, side: int = SIDE) -> Tensor:
    masks = torch.zeros(n, 1, side, side)
    masks[:, :, top:bottom] = 1
    return masks


def test_distances_are_euclidean_and_persons_are_told_at_their_threshold(colours: None) -> None:
    completed, truth = grey(100, 117, 118, 151), grey(100, 100, 100, 100)
    result = measure(completed, truth, hole(0, SIDE, 4), IDENTITY)
    steps = np.array([0, 17, 18, 51]) * 3**0.5 / 51
    assert steps[1] < identity.SAME < steps[2]
    np.testing.assert_allclose(result.images("identity@dlib")["value"], steps, atol=1e-5)
    assert result.images("same-person@dlib")["value"].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("side", [64, SIDE, 512])
def test_a_hole_that_the_network_does_not_see_has_no_value(colours: None, side: int) -> None:
    """The crop begins at row 68 of 256: holes above it cannot count, and do not count as perfect."""
    truth = grey(*[100] * 3, side=side)
    masks = torch.cat([hole(0, side * end // SIDE, 1, side) for end in (60, 80)] + [hole(0, 0, 1, side)])
    completed = torch.where(masks > 0, torch.tensor(200, dtype=torch.uint8), truth)
    result = measure(completed, truth, masks, IDENTITY)
    for name in IDENTITY:
        assert result.images(name)["value"].isna().tolist() == [True, False, True]
        assert "2 of 3 images have no value" in result.row(name)["note"]
    assert result.value("identity@dlib") > 0
    assert not measure(completed, truth, None, IDENTITY).images("identity@dlib")["value"].isna().any()


def test_the_crop_is_that_of_aligned_faces() -> None:
    """A picture whose colours are its coordinates: the corners of the crop are where they should be."""
    rows, columns = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    crop = identity.square(torch.stack([columns, rows])[None], 150)[0]
    pixel = identity.SQUARE / 150
    for place, first in enumerate((40.2, 68.3)):
        assert crop[place, 0, 0] == pytest.approx(first + pixel / 2, abs=1e-3)
        assert crop[place, -1, -1] == pytest.approx(first + 177.2 - pixel / 2, abs=1e-3)


def test_pictures_that_are_not_square_are_left_out(colours: None) -> None:
    images = grey(100, 100)[..., :200]
    result = measure(images, images, None, ["psnr", *IDENTITY])
    assert result.value("psnr") is not None
    assert "not computed: dlib's network takes square pictures of aligned faces, got 200x256" in result.rows[1]["note"]


def test_without_the_packages_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights.cache, "shipped", lambda package: None)
    monkeypatch.setitem(sys.modules, "dlib", None)
    images = grey(100, 110, side=64)
    result = measure(images, images, None, ["l1", *IDENTITY, "detection@dlib"])
    assert result.value("l1") == 0
    for row in result.rows[1:]:
        assert row["value"] is None
        assert row["note"].startswith("not computed: ")
        assert "pip install 'face-inpaint-bench[identity]'" in row["note"]


def test_another_network_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(3)}, tmp_path / "net.pth")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "net.pth")
    result = measure(grey(1, 2), grey(1, 2), None, ["l1", "identity@dlib"])
    assert f"{tmp_path / 'net.pth'} does not fit dlib's face network" in result.row("identity@dlib")["note"]


def official() -> None:
    """Skips where the extra is not installed."""
    pytest.importorskip("dlib")
    if weights.here(weights.INDEX["dlib-face"]) is None:
        pytest.skip("face-recognition-models is not installed")


def read(files: list[Path]) -> Tensor:
    found = [np.asarray(pictures.decode(pictures.read(file), file).convert("RGB")) for file in files]
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)


@pytest.fixture
def faces(shared: Path) -> Tensor:
    official()
    files = sorted((shared / "data/faces").glob("*.png"))
    assert len(files) == 44
    return read(files)


def test_persons_are_told_from_others(shared: Path) -> None:
    """Six persons, each in two photographs, one of them occluded."""
    official()
    ones, others = (read(sorted((shared / "data/recovery").glob(f"*_{kind}.png"))) for kind in ("occluded", "exemplar"))
    with extractors.exact():
        network = extractors.load("dlib-face")
        distances = torch.cdist(*(network(images)["identity"].double() for images in (ones, others)))
    same = torch.eye(6, dtype=torch.bool)
    assert distances.shape == (6, 6)
    assert distances[same].max() < min(identity.SAME, float(distances[~same].min()))  # an AUC of 1
    with extractors.exact():
        vectors = [F.normalize(extractors.load("embedded")(images)["identity"].double()) for images in (ones, others)]
    stand_in = 1 - vectors[0] @ vectors[1].T
    area = (stand_in[same][:, None] < stand_in[~same]).double().mean()
    assert area == pytest.approx(0.756, abs=0.02)  # what the caution of identity@embedded says


def test_cosine_and_whole_pictures_tell_persons_badly(faces: Tensor) -> None:
    upper = torch.triu(torch.ones(44, 44, dtype=torch.bool), 1)
    extractor = extractors.load("dlib-face")
    with extractors.exact():
        vectors = extractor(faces)["identity"].double()
        whole = extractor._network(F.interpolate(faces.float(), size=(150, 150), mode="bilinear", antialias=True))  # type: ignore[attr-defined]
    apart = torch.cdist(vectors, vectors)[upper]
    assert apart.mean() == pytest.approx(0.863, abs=0.01)
    assert (apart < identity.SAME).double().mean() < 0.01
    assert torch.cdist(whole.double(), whole.double())[upper].lt(identity.SAME).double().mean() > 0.7
    ones = F.normalize(vectors)
    assert (1 - ones @ ones.T)[upper].mean() < 0.2


def fills(faces: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Telea's method, the mean of the known pixels, and another person's face."""
    area = masks[0, 0].numpy().astype(np.uint8)
    telea = [cv2.inpaint(np.ascontiguousarray(one.permute(1, 2, 0)), area, 3, cv2.INPAINT_TELEA) for one in faces]
    known = faces[:, :, area == 0].float().mean(dim=2).round().to(torch.uint8)
    flat = known[:, :, None, None].expand_as(faces)
    return {
        "telea": torch.from_numpy(np.stack(telea)).permute(0, 3, 1, 2),
        "mean": torch.where(masks > 0, flat, faces),
        "other": torch.where(masks > 0, faces.roll(1, 0), faces),
    }


def test_fills_of_real_faces(faces: Tensor, tmp_path: Path) -> None:
    """A hole of the middle 25 %: who is seen, and whether a face is seen at all."""
    masks = torch.zeros(44, 1, SIDE, SIDE)
    masks[:, :, 64:192, 64:192] = 1
    found: dict[str, Measurement] = {
        name: measure(filled, faces, masks, [*IDENTITY, "detection@dlib"], cache=tmp_path)
        for name, filled in fills(faces, masks).items()
    }
    for name, distance, detected in (("telea", 0.67, 0.02), ("mean", 0.72, 0.0), ("other", 0.80, 1.0)):
        assert found[name].value("identity@dlib") == pytest.approx(distance, abs=0.02), name
        assert found[name].value("same-person@dlib") < 0.1
        assert found[name].value("detection@dlib") == pytest.approx(detected, abs=0.02), name
    untouched = measure(faces, faces, masks, [*IDENTITY, "detection@dlib"], cache=tmp_path)
    assert untouched.value("identity@dlib") == 0
    assert untouched.value("same-person@dlib") == 1
    assert untouched.value("detection@dlib") == pytest.approx(43 / 44)
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (10, 3, SIDE, SIDE), dtype=np.uint8))
    assert measure(torch.cat([noise, grey(128)]), None, None, ["detection@dlib"]).value("detection@dlib") == 0


def test_detectors_find_faces_in_flat_fills_of_irregular_holes(faces: Tensor) -> None:
    """What the caution of detection@mtcnn says."""
    from masks import MaskSet

    holes = torch.from_numpy(np.stack([*MaskSet.make("irregular/40-50", SIDE, 44, 0)]))[:, None] > 0
    filled = torch.where(holes, torch.tensor(128, dtype=torch.uint8), faces)
    result = measure(filled, None, None, ["detection@mtcnn", "detection@dlib", "detection-probability@mtcnn"])
    assert result.value("detection@mtcnn") == pytest.approx(0.61, abs=0.01)
    assert result.value("detection@dlib") == pytest.approx(0.20, abs=0.01)
    assert 0.5 < result.value("detection-probability@mtcnn") < result.value("detection@mtcnn")


def test_small_pictures_are_enlarged_for_the_detector(faces: Tensor) -> None:
    small = F.interpolate(faces.float(), size=(64, 64), mode="area").round().to(torch.uint8)
    found = extractors.load("dlib-hog")(small)["box"]
    seen = ~found.isnan().any(dim=1)
    assert seen.double().mean() > 0.9
    assert 0 < found[seen].mean() < 64
