"""One pass over the images, with a random network in the place of the embedded one."""

from __future__ import annotations

import logging
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bench import metrics
from bench.errors import BenchError
from bench.metrics import frechet, kernel, measure, perceptual, pixel
from bench.metrics.extractors import signed
from bench.metrics.score import Pair

from .conftest import pictures

QUICK = ["psnr", "ssim", "l1", "l1@hole", "perceptual@embedded", "fid@embedded", "kid@embedded", "identity@embedded",
         "nme@embedded", "detection@dlib", "u-ids@embedded", "p-ids@embedded", "u-ids-cv@embedded"]  # fmt: skip


@pytest.fixture(scope="module")
def images():
    return pictures(70, 64)


def test_values_equal_the_parts(network, images):
    completed, truth, masks = images
    result = measure(completed, truth, masks, QUICK)
    with torch.inference_mode():
        ours, theirs = network(signed(completed)), network(signed(truth))
        unit = [perceptual.unit(f["maps"], [0.5, 0.5]) for f in (ours, theirs)]
    expected = {
        "psnr": pixel.psnr(completed, truth).mean(),
        "ssim": pixel.ssim(completed, truth).mean(),
        "l1@hole": pixel.l1_hole(completed, truth, masks.bool()).mean(),
        "perceptual@embedded": perceptual.distance({"maps": unit[0]}, {"maps": unit[1]}, None).mean(),
        "fid@embedded": frechet.distance(ours["features"], theirs["features"]),
        "kid@embedded": kernel.score(Pair(ours["features"], theirs["features"])).value,
        "identity@embedded": (1 - (ours["identity"] * theirs["identity"]).sum(1)).mean(),
    }
    for name, value in expected.items():
        assert result.value(name) == pytest.approx(float(value), rel=2e-5, abs=1e-7), name


def test_rows_and_images(network, images):
    result = measure(*images, QUICK)
    names = [row["metric"] for row in result.rows]
    assert names == [*QUICK[:6], "fid-infinity@embedded", *QUICK[6:]]  # FID∞ beside FID of a small set
    for row in result.rows:
        metric = metrics.get(row["metric"])
        assert list(row) == ["metric", "extractor", "value", "low", "high", "n", "note"]
        assert row["n"] == 70
        networks = {None: None, "embedded": "embedded-metrics-random", "dlib-hog": "dlib-hog-20.0.1-256"}
        assert row["extractor"] == networks[metric.extractor]
        if row["value"] is None:
            assert row["note"] == "n/a below n = 625"
            continue
        assert metric.bounds[0] <= row["value"] <= metric.bounds[1]
        if not row["metric"].startswith(("fid-infinity", "detection")):  # no face: 0 for all
            assert row["low"] < row["value"] < row["high"]
            values = result.per_image.query("metric == @row['metric']")
            assert values["id"].tolist() == [str(i) for i in range(70)]
            assert values["value"].mean() == pytest.approx(row["value"], rel=1e-9)
    assert result.rows[5]["note"].startswith("biased below n = 2,048")


def test_two_runs_are_equal_bit_for_bit(network, images):
    first, second = (measure(*images, QUICK) for _ in range(2))
    assert first.rows == second.rows
    pd.testing.assert_frame_equal(first.per_image, second.per_image, check_exact=True)


def test_an_image_counts_the_same_in_any_set(network, images):
    """The last batch is filled up, so that no feature depends on the number of images."""
    whole = measure(*images, ["perceptual@embedded", "identity@embedded"]).per_image.set_index(["metric", "id"])
    few = measure(*(part[:5] for part in images), ["perceptual@embedded", "identity@embedded"]).per_image
    for row in few.itertuples():
        assert row.value == whole.loc[(row.metric, row.id), "value"]


def test_an_image_counts_the_same_in_larger_batches_on_a_cpu(network, images):
    """Networks see 8 images at a time there, however many are read."""
    names = ["perceptual@embedded", "identity@embedded", "fid@embedded"]
    assert measure(*images, names, batch=64).rows == measure(*images, names, batch=8).rows


def test_each_network_sees_each_image_once(network, images, tmp_path):
    measure(*images, QUICK)
    assert network.seen == 2 * 72  # 70 images fill nine batches of 8
    network.seen = 0
    vectors = [name for name in QUICK if name != "perceptual@embedded"]
    first = measure(*images, vectors, cache=tmp_path)
    network.seen = 0
    again = measure(*images, vectors, cache=tmp_path)
    assert network.seen == 72  # the originals came from the cache
    assert again.rows == first.rows


def test_the_cache_is_keyed_by_content_and_network(network, images, tmp_path, monkeypatch):
    completed, truth, masks = images
    first = measure(completed, truth, masks, ["fid@embedded"], cache=tmp_path)
    other = measure(completed, completed, masks, ["fid@embedded"], cache=tmp_path)
    assert other.value("fid@embedded") < 1e-6 < first.value("fid@embedded")
    monkeypatch.setattr("bench.nn.embedded.fingerprint", lambda role: "another")
    network.seen = 0
    measure(completed, truth, masks, ["fid@embedded"], cache=tmp_path)
    assert network.seen == 2 * 72


def test_a_damaged_cache_is_computed_again(network, images, tmp_path, caplog):
    first = measure(*images, ["fid@embedded"], cache=tmp_path)
    files = sorted(tmp_path.glob("*.features"))
    assert len(files) == 9
    data = bytearray(files[0].read_bytes())
    data[-7] ^= 1
    files[0].write_bytes(data)
    files[1].write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        again = measure(*images, ["fid@embedded"], cache=tmp_path)
    assert again.rows == first.rows
    assert [record.message.endswith("computed again") for record in caplog.records] == [True, True]
    caplog.clear()
    assert measure(*images, ["fid@embedded"], cache=tmp_path).rows == first.rows
    assert not caplog.text


def test_a_cache_that_is_no_folder_is_an_error(network, images, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(BenchError, match="cache"):
        measure(*images, ["fid@embedded"], cache=tmp_path / "cache")


def test_folders(network, images, tmp_path):
    for folder, part in zip(("completed", "truth", "masks"), images, strict=True):
        (tmp_path / folder).mkdir()
        for i, image in enumerate(part[:6]):
            array = image.permute(1, 2, 0).numpy() if len(image) == 3 else image[0].numpy() * 255
            Image.fromarray(array.astype(np.uint8)).save(tmp_path / folder / f"face-{i}.png")
    folders = [tmp_path / name for name in ("completed", "truth", "masks")]
    done: list[int] = []
    result = measure(*folders, ["psnr", "l1@hole"], batch=4, progress=done.append)
    assert result.value("psnr") == measure(*(part[:6] for part in images), ["psnr"]).value("psnr")
    assert result.per_image["id"].unique().tolist() == [f"face-{i}" for i in range(6)]
    assert done == [4, 6]
    ids = ["face-2", "face-1"]
    with pytest.raises(BenchError, match=r"4 not expected \(face-0, face-3, face-4\)"):
        measure(*folders, ["psnr"], ids=ids)
    (tmp_path / "truth" / "face-3.png").rename(tmp_path / "truth" / "other.png")
    with pytest.raises(BenchError, match=r"truth: file names .* 1 missing \(face-3\) and 1 not expected \(other\)"):
        measure(*folders, ["psnr"])


def test_manifest(images):
    completed, truth, masks = (part[:3] for part in images)
    assert measure(completed, truth, masks, ["l1"], ids=["c", "a", "b"]).per_image["id"].tolist() == ["c", "a", "b"]
    with pytest.raises(BenchError, match="named twice"):
        measure(completed, truth, masks, ["l1"], ids=["a", "a", "b"])
    with pytest.raises(BenchError, match="has 3 images, expected 2"):
        measure(completed.split(1), truth, masks, ["l1"], ids=["a", "b"])
    with pytest.raises(BenchError, match="has 3 images, expected 4"):
        measure(completed.split(1), truth.split(1), masks.split(1), ["l1"], ids=["a", "b", "c", "d"])
    with pytest.raises(BenchError, match="0 images"):
        measure(iter([]), iter([]), None, ["l1"])


def test_what_a_metric_needs(images):
    completed, truth, masks = (part[:3] for part in images)
    assert measure(completed, truth, None, ["psnr"]).value("psnr") > 0
    with pytest.raises(BenchError, match=r"masks is None, but needed by l1@hole$"):
        measure(completed, truth, None, ["psnr", "l1@hole"])
    with pytest.raises(BenchError, match="truth is None, but needed by psnr"):
        measure(completed, None, masks, ["psnr"])


def test_references(network, images):
    completed, truth, masks = images
    wanted = ["fid@embedded", "fid@embedded/train", "kid@embedded/train"]
    result = measure(completed, truth, masks, wanted, reference={"train": truth[:40].split(7)})
    with torch.inference_mode():
        ours, theirs = network(signed(completed))["features"], network(signed(truth[:40]))["features"]
    assert result.value("fid@embedded/train") == pytest.approx(frechet.distance(ours, theirs), rel=1e-4)
    expected = kernel.score(Pair(ours, theirs, paired=False)).value
    assert result.value("kid@embedded/train") == pytest.approx(expected, rel=1e-4)
    assert result.value("fid-infinity@embedded/train") is not None
    only = measure(completed, None, None, ["fid@embedded/reference"], reference=truth[:40])
    assert only.value("fid@embedded/reference") == pytest.approx(result.value("fid@embedded/train"), rel=1e-6)


def test_bad_references(network, images):
    with pytest.raises(BenchError, match="no reference is called 'train'"):
        measure(*images, ["fid@embedded/train"])
    with pytest.raises(BenchError, match="'reference' is not used: ask for it"):
        measure(*images, ["fid@embedded"], reference=images[1])


def test_large_references_stream(network, monkeypatch):
    """Moments alone are kept of a set that only FID asks for."""
    chunk = pictures(64, 16)[1]
    kept = []
    original = frechet.Moments.of.__func__
    spy = classmethod(lambda cls, rows: kept.append(len(rows)) or original(cls, rows))
    monkeypatch.setattr(frechet.Moments, "of", spy)
    wanted = ["fid@embedded/train"]
    result = measure(chunk, None, None, wanted, reference={"train": lambda: (chunk for _ in range(150))})
    assert result.value("fid@embedded/train") == pytest.approx(0, abs=1e-3)
    assert max(kept) <= 4096
    assert sum(n for n in kept if n > 64) == 9600


def test_absent_weights_are_said(images):
    result = measure(*images, ["fid", "u-ids", "psnr"])
    assert [row["value"] is None for row in result.rows] == [True, True, True, False]
    for row in result.rows[:3]:
        assert row["note"].startswith("not computed: ")
        assert "inception" in row["note"]
        assert row["extractor"] == "inception"


def test_one_image(network, images):
    result = measure(*(part[:1] for part in images), ["psnr", "fid@embedded", "kid@embedded"])
    psnr, fid, infinity, kid = result.rows
    assert psnr["value"] > 0
    assert psnr["low"] is psnr["high"] is None
    assert (fid["value"], fid["note"], kid["note"]) == (None, "n/a below n = 2", "n/a below n = 2")
    assert infinity["value"] is None


def test_numbers_do_not_depend_on_the_number_of_threads():
    generator = torch.Generator().manual_seed(0)
    rough = torch.randint(0, 256, (40, 3, 160, 160), generator=generator).float()
    truth = torch.nn.functional.avg_pool2d(rough, 5, 1, 2)
    completed = (truth + 9 * torch.randn(truth.shape, generator=generator)).clamp(0, 255)
    names, threads, found = ["ssim", "ssim@lama", "fid@embedded"], torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(measure(completed.byte(), truth.byte(), None, names))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert found[0].rows == found[1].rows
    pd.testing.assert_frame_equal(found[0].per_image, found[1].per_image, check_exact=True)


def test_equal_and_empty(images):
    _, truth, masks = (part[:4] for part in images)
    masks = masks.clone()
    masks[0] = 0
    result = measure(truth, truth, masks, ["psnr", "ssim", "l1@hole"])
    psnr, ssim, hole = result.rows
    assert (psnr["value"], psnr["low"], psnr["note"]) == (math.inf, None, "infinite for 4 of 4 images")
    assert ssim["value"] == 1
    assert (hole["value"], hole["n"], hole["note"]) == (0, 3, "1 of 4 images have no value")
    assert measure(truth, truth, masks * 0, ["l1@hole"]).value("l1@hole") is None


def test_nan_output_is_an_error(images):
    completed, truth, masks = (part[:3] for part in images)
    diverged = signed(completed)
    diverged[2] = torch.nan
    with pytest.raises(BenchError, match="completed: NaN or infinity in image 2"):
        measure(diverged, truth, masks, ["psnr"])


def test_a_metric_that_pictures_are_too_small_for_is_left_out(images):
    small = [part[:3, :, :40, :40] for part in images]
    result = measure(*small, ["ssim@ec51", "psnr"])
    assert result.rows[0]["note"].startswith("not computed: SSIM with a window of 51")
    assert result.value("psnr") > 0


def test_unknown_metric_and_value(images):
    with pytest.raises(BenchError, match="unknown metric 'fidd'"):
        measure(*images, ["fidd"])
    with pytest.raises(BenchError, match="'ssim' was not measured: there are psnr"):
        measure(*images, ["psnr"]).value("ssim")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_cpu(network, images):
    cpu, gpu = (measure(*images, QUICK, device=device) for device in ("cpu", "cuda"))
    for a, b in zip(cpu.rows, gpu.rows, strict=True):
        assert b["value"] == pytest.approx(a["value"], rel=1e-3, abs=1e-6), a["metric"]
