"""Rules that published evaluations break, where no other test of a metric keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench import metrics, weights
from bench.errors import BenchError
from bench.metrics import extractors, measure
from bench.metrics.extractors import signed
from bench.nn.irse import IRSE

from .conftest import pictures

SETS = ["fid@embedded", "kid@embedded", "u-ids@embedded", "p-ids@embedded", "u-ids-cv@embedded"]
SINGLE = ["psnr", "ssim", "l1", "l1@hole", "mae@aot", "perceptual@embedded", "identity@embedded", "nme@embedded"]


def declare(monkeypatch: pytest.MonkeyPatch, name: str, **facts: Any) -> None:
    monkeypatch.setitem(metrics._REGISTRY, name, replace(metrics.get(name), **facts))


def test_discriminative_scores_begin_at_their_declared_n(network, monkeypatch):
    for name in ("u-ids", "p-ids"):
        assert metrics.get(name).smallest_n == 5000
        assert metrics.get(f"{name}@embedded").smallest_n == 625  # the same number of pairs a dimension
        declare(monkeypatch, f"{name}@embedded", smallest_n=20)
    names = ["u-ids@embedded", "p-ids@embedded", "u-ids-cv@embedded"]
    few, enough = (measure(*pictures(n, 32), names) for n in (19, 20))
    assert [row["note"] for row in few.rows] == ["n/a below n = 20", "n/a below n = 20", ""]
    assert [row["value"] is None for row in few.rows] == [True, True, False]
    assert all(row["value"] is not None for row in enough.rows)


def test_fid_of_few_images_is_marked_and_gets_company(network, monkeypatch):
    assert metrics.get("fid").advised_n == 2048
    declare(monkeypatch, "fid@embedded", advised_n=30)
    few, enough = (measure(*pictures(n, 32), ["fid@embedded"]) for n in (29, 30))
    assert [row["metric"] for row in few.rows] == ["fid@embedded", "fid-infinity@embedded"]
    assert few.rows[0]["note"] == "biased below n = 30: compare at equal n only"
    assert [(row["metric"], row["note"]) for row in enough.rows] == [("fid@embedded", "")]


def test_no_number_of_one_network_answers_for_another(network):
    """Asking for the official number never gives the embedded one."""
    result = measure(*pictures(20, 32), ["fid@embedded", "identity@embedded"])
    for name in ("fid", "identity@facenet", "identity@arcface"):
        with pytest.raises(BenchError, match="was not measured"):
            result.value(name)
    with pytest.raises(BenchError, match="unknown metric 'identity'"):
        metrics.get("identity")  # no identity distance without the name of its network


class FaceOfTheImage:
    """Finds a face whose corner is the value of the first pixel: another one in every image."""

    name, faces, note, fingerprint = "mtcnn", False, "", "mtcnn-stub"

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        corner = images[:, 0, 0, 0].float()
        box = torch.stack([corner, corner, corner + 20, corner + 20], dim=1)
        box[images[:, 1, 0, 0] == 255] = torch.nan  # the second channel says that there is none
        return {"box": box, "landmarks": box[:, None, :2].expand(-1, 5, 2).clone()}


class CropMean(FaceOfTheImage):
    """An identity network that gives the mean colours of its crop."""

    name, faces, fingerprint = "facenet", True, "facenet-stub"

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        assert faces is not None
        return {"identity": extractors.crop_boxes(images, faces["box"]).mean(dim=(2, 3))}


@pytest.fixture
def stubs(monkeypatch):
    networks = {"mtcnn": FaceOfTheImage(), "facenet": CropMean()}
    monkeypatch.setattr(extractors, "load", lambda name, device: networks[name])


def test_both_images_are_cropped_by_the_face_of_the_original(stubs):
    completed, truth, _ = pictures(4, 64)
    truth[:, 0, 0, 0], truth[:, 1, 0, 0] = torch.tensor([3, 9, 15, 21]).byte(), 0
    completed[:, 0, 0, 0], completed[:, 1, 0, 0] = 40, 255  # a detector would crop it otherwise, or miss it
    result = measure(completed, truth, None, ["identity@facenet"])
    for value, a, b, x in zip(result.per_image["value"], completed, truth, [3, 9, 15, 21], strict=True):
        one, two = (extractors.crop_boxes(i[None], torch.tensor([[x, x, x + 20, x + 20]])).mean((2, 3)) for i in (a, b))
        assert value == pytest.approx(1 - torch.cosine_similarity(one.double(), two.double()).item(), abs=1e-6)
    assert result.rows[0]["extractor"] == "facenet-stub"


def test_faces_that_are_missed_are_counted(stubs):
    completed, truth, _ = pictures(5, 64)
    truth[:, 0, 0, 0], truth[:, 1, 0, 0], completed[:, 1, 0, 0] = 5, 0, 0
    truth[1, 1, 0, 0] = completed[1:3, 1, 0, 0] = 255
    result = measure(completed, truth, None, ["identity@facenet", "detection@mtcnn"])
    assert (result.rows[0]["n"], result.rows[0]["note"]) == (4, "1 of 5 images have no value")
    assert result.value("detection@mtcnn") == 3 / 5  # a completion without a face counts against the method


@pytest.fixture
def arcface(monkeypatch, tmp_path):
    """A small IR-SE as the file that a user supplies."""
    small = partial(IRSE, dim=16, widths=(16, 16, 16, 16), units=(1, 1, 1, 1))
    monkeypatch.setattr(extractors, "IRSE", small)
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "model_ir_se50.pth")
    torch.manual_seed(0)
    network = small().eval()
    torch.save(network.state_dict(), tmp_path / "model_ir_se50.pth")
    return network


def test_arcface_names_itself_and_what_speaks_against_it(arcface):
    extractor = extractors.load("arcface")
    assert extractor.fingerprint.startswith("arcface-ir-se50-aligned112-float32-")
    assert extractor.faces
    assert "train with this network" in extractor.note  # an identity loss is measured by its own network
    images = pictures(2, 128)[0]
    points = torch.tensor([[40.0, 50], [80, 50], [60, 70], [45, 95], [78, 95]])
    found = extractors.extract(extractor, images, {"landmarks": torch.stack([points, points * math.nan])}, batch=2)
    with torch.inference_mode():
        expected = arcface(extractors.align(signed(images[:1]), points[None]))
    assert (found["identity"][:1] - expected).abs().max() < 1e-6
    assert found["identity"][1].isnan().all()


def test_one_image_has_values_without_intervals(network):
    result = measure(*pictures(1, 64), [*SINGLE, *SETS])
    for row in result.rows:
        if metrics.get(row["metric"]).kind != "set":
            assert row["value"] is not None
        else:
            assert row["value"] is None
            assert row["note"].startswith("n/a below n = ")
        assert row["low"] is row["high"] is None


@pytest.mark.parametrize(("completed", "truth"), [(0, 0), (0, 255), (255, 255), (128, 0)])
def test_constant_images_have_a_number_or_none(completed, truth):
    """On the embedded network itself: never NaN in a row, and equal sets are equal."""
    ours, theirs = (torch.full((12, 3, 64, 64), value, dtype=torch.uint8) for value in (completed, truth))
    masks = torch.ones(12, 1, 64, 64)
    result = measure(ours, theirs, masks, [*SINGLE, "fid@embedded", "kid@embedded", "u-ids-cv@embedded"])
    for row in result.rows:
        assert row["value"] is None or not math.isnan(row["value"]), row
        if completed == truth and row["metric"] in ("l1", "perceptual@embedded", "identity@embedded", "fid@embedded"):
            assert row["value"] == pytest.approx(0, abs=1e-4), row


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_broken_pixel_is_an_error(value):
    completed, truth, masks = pictures(3, 32)
    broken = signed(completed)
    broken[1, 2, 3, 4] = value
    with pytest.raises(BenchError, match="completed: NaN or infinity in image 1"):
        measure(broken, truth, masks, ["l1"])


def test_another_range_of_values_is_an_error():
    """[0, 255] in floats would be clamped to white."""
    completed, truth, masks = pictures(3, 32)
    with pytest.raises(BenchError, match=r"truth: values of 0 to 2\d\d; float images are expected in \[-1, 1\]"):
        measure(completed, truth.float(), masks, ["l1"])
    assert measure(signed(completed) * 1.5, truth, masks, ["l1"]).value("l1") is not None  # an overshoot is clamped


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (-0.5, 0.5)])
def test_a_range_that_is_said_gives_the_number_of_eight_bits(low, high):
    completed, truth, masks = pictures(4, 32)
    expected = measure(completed, truth, masks, SINGLE[:5]).rows
    floats = [low + images.double() / 255 * (high - low) for images in (completed, truth)]
    assert measure(*floats, masks, SINGLE[:5], value_range=(low, high)).rows == expected
    assert measure(completed, floats[1], masks, SINGLE[:5], value_range=(low, high)).rows == expected


@pytest.mark.parametrize("stream", [False, True])
def test_floats_that_hardly_lie_in_the_range_are_refused(stream):
    completed, truth, masks = pictures(6, 32)

    def given(images):
        return (lambda: iter(images.split(2))) if stream else images

    unit = truth.float() / 255
    with pytest.raises(BenchError, match=r"truth: hardly any float is below 0 .* say value_range=\(0, 1\)"):
        measure(completed, given(unit), masks, ["l1"])
    with pytest.raises(BenchError, match=r"completed: hardly any float is below 0"):
        measure(given(completed.float() / 255), truth, masks, ["l1"])
    for images, stated, reason in (
        (signed(truth), (0, 1), r"values of -1 to .* expected in \[0, 1\]"),
        (unit, (0, 255), r"floats of 0 to .* hardly lie in \[0, 255\]"),
        (truth.float(), (0, 1), r"values of 0 to 2.* expected in \[0, 1\]"),
    ):
        with pytest.raises(BenchError, match=f"truth: {reason}"):
            measure(completed, given(images), masks, ["l1"], value_range=stated)
    assert measure(completed, given(unit), masks, ["l1"], value_range=(-1, 1)).value("l1") is not None  # the user knows


@pytest.mark.parametrize("stream", [False, True])
def test_floats_in_the_unit_range_may_overshoot_and_are_refused(stream):
    """Outputs that are not clamped, and what a bicubic filter gives, were read as [-1, 1]: 9.46 for 24.78."""
    completed, truth, masks = pictures(6, 32)
    noisy = completed.float() / 255 + torch.randn(truth.shape, generator=torch.Generator().manual_seed(0)) * 0.01
    assert noisy.min() < 0 and noisy.max() > 1
    with pytest.raises(BenchError, match=r"completed: hardly any float is below 0 \(they are -0\.0.* to 1\.0"):
        measure((lambda: iter(noisy.split(2))) if stream else noisy, truth, masks, ["l1"])
    dark = signed(truth).clamp(-0.2, 1)  # 1 in 100 below -0.05 is no overshoot
    dark[dark < -0.05] = 0.5
    dark.flatten()[::100] = -0.2
    assert measure(dark, truth, masks, ["l1"]).value("l1") is not None


@pytest.mark.parametrize(
    "given", [(0,), (0, 1, 2), (1, 0), (0, 0), (0, math.nan), (-math.inf, 1), "01", 1, ("a", "b"), object()]
)
def test_what_is_no_range_is_refused(given):
    completed, truth, masks = pictures(2, 16)
    with pytest.raises(BenchError, match=r"value_range: .* is no range: give two numbers, the lower one first"):
        measure(completed, truth, masks, ["l1"], value_range=given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch: 0 is no number of images"),
        ({"batch": -1}, "batch: -1 is no number of images"),
        ({"batch": 2.5}, r"batch: 2\.5 is no number of images"),
        ({"device": "gpu"}, "device: 'gpu' is none that torch knows"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(BenchError, match=f"^{message}"):
        measure(*pictures(2, 16), ["l1"], **options)


def test_one_metric_is_a_list_of_one():
    sources = pictures(2, 16)
    assert measure(*sources, "psnr").rows == measure(*sources, ["psnr"], batch=np.int64(2)).rows


def test_arrays_give_the_same_number_however_they_lie(recwarn):
    completed, truth, masks = (images.numpy() for images in pictures(4, 16))
    expected = measure(completed, truth, masks, SINGLE[:5]).rows
    still = truth.copy()
    still.setflags(write=False)
    for one, two, hole in (
        (completed[:, ::-1], truth[:, ::-1], masks),
        (completed[..., ::-1], truth[..., ::-1], masks[..., ::-1]),
        (completed, still, masks),
        ((completed / 255).astype(">f8"), (truth / 255).astype(">f4"), masks.astype(">i4")),
    ):
        found = measure(one, two, hole, SINGLE[:5], value_range=(0, 1)).rows
        assert [row["value"] for row in found] == pytest.approx([row["value"] for row in expected], rel=1e-5)
    assert not recwarn.list
    with pytest.raises(BenchError, match="completed: arrays of object are not read: give uint8 or floats"):
        measure(completed.astype(object), truth, masks, ["l1"])


def test_statistics_are_in_double_precision(network):
    result = measure(*pictures(12, 32), [*SINGLE, "fid@embedded", "kid@embedded"])
    assert result.per_image["value"].dtype == "float64"
    for name in SINGLE:
        metric = metrics.get(name)
        if metric.kind == "pixels":
            completed, truth, masks = pictures(2, 64)
            assert metric.load()(completed, truth, masks.bool()).dtype == torch.float64


def test_a_cache_cut_anywhere_is_computed_again(network, tmp_path):
    images = pictures(8, 32)
    first = measure(*images, ["fid@embedded"], cache=tmp_path)
    (file,) = tmp_path.glob("*.features")
    whole = file.read_bytes()
    for size in (0, 1, 31, 32, 33, 40, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert measure(*images, ["fid@embedded"], cache=tmp_path).rows == first.rows
        assert file.read_bytes() == whole  # mended
