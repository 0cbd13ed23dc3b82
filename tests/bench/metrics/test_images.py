"""Sources of images: folders, tensors, streams; compositing in 8 bits."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.errors import BenchError
from bench.metrics.images import Images, composite, prefetched, to_hole, to_uint8, zip_batches


def write(folder, images, start=0):
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(images, start):
        array = image[0].numpy() * 255 if len(image) == 1 else image.permute(1, 2, 0).numpy()
        Image.fromarray(array.astype("uint8")).save(folder / f"{i:03d}.png")
    return folder


def noise(n, size=8, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8))


def test_compositing_keeps_known_pixels_exactly():
    image, mask = noise(2), torch.zeros(2, 1, 8, 8)
    mask[:, :, 2:5, 2:5] = 1
    output = torch.full((2, 3, 8, 8), 3.0)  # out of range: clamped
    result = composite(output, image, mask)
    assert result.dtype == torch.uint8
    assert (result[:, :, 2:5, 2:5] == 255).all()
    known = (mask == 0).expand_as(image)
    assert (result[known] == image[known]).all()
    as_float = image.float() / 127.5 - 1  # the round trip through floats is exact too
    assert (composite(output, as_float, mask)[known] == image[known]).all()


def test_compositing_rounds():
    values = torch.tensor([-1.0, -0.999, 0.0, 0.5, 1.0]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert to_uint8(values)[0, 0, 0].tolist() == [0, 0, 128, 191, 255]


def test_compositing_refuses_other_shapes():
    with pytest.raises(BenchError, match="different shapes"):
        composite(noise(2), noise(1), torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize(
    "masks",
    [
        torch.tensor([0.0, 0.49, 0.5, 1.0]) >= 0.5,
        torch.tensor([0.0, 0.0, 1.0, 1.0]),
        torch.tensor([0.0, 0.0, 255.0, 255.0], dtype=torch.float64),
        torch.tensor([0, 0, 255, 255], dtype=torch.uint8),
        torch.tensor([0, 0, 1, 1], dtype=torch.uint8),
        torch.tensor([0, 0, 1, 1]),
    ],
)
def test_masks_of_any_type(masks):
    assert to_hole(masks.view(1, 1, 2, 2)).flatten().tolist() == [False, False, True, True]


def test_every_mask_of_a_tensor_has_its_own_white():
    masks = torch.tensor([[0, 255], [0, 1], [1, 0], [255, 255]], dtype=torch.uint8).view(4, 1, 1, 2)
    assert to_hole(masks).view(4, 2).tolist() == [[False, True], [False, True], [True, False], [True, True]]


@pytest.mark.parametrize("values", [[0.0, 0.49], [0, 127], [0, 128, 255], [1, 255], [-1, 1], [2, 0]])
def test_grey_values_are_no_mask(values):
    masks = torch.tensor(values).view(1, 1, 1, -1)
    with pytest.raises(BenchError, match=r"masks, mask 0 is no mask: it holds \d values"):
        to_hole(masks)


@given(sizes=st.lists(st.integers(0, 7), max_size=6), batch=st.integers(1, 5))
def test_streams_are_cut_into_one_size(sizes, batch):
    whole = torch.arange(sum(sizes), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    chunks = list(whole.split(sizes)) if sizes else []
    found = list(Images(iter(chunks), "x").batches(batch))
    assert [len(part) for part in found[:-1]] == [batch] * max(len(found) - 1, 0)
    assert sum(map(len, found)) == len(whole)
    if found:
        assert torch.equal(torch.cat(found), whole)


def test_all_kinds_of_sources_agree(tmp_path):
    images = noise(7)
    folder = write(tmp_path / "a", images)
    sources = [folder, str(folder), images, images.numpy(), images.split(3), lambda: iter(images.split(4))]
    sources += [images.float() / 127.5 - 1]
    for source in sources:
        assert torch.equal(torch.cat(list(Images(source, "x").batches(2))), images)


def test_manifest_and_folder_must_agree(tmp_path):
    folder = write(tmp_path / "a", noise(4))
    assert Images(folder, "x", ids=["001", "000"], exact=False).ids == ["001", "000"]
    with pytest.raises(BenchError, match=r"completed: .* do not match: 1 missing \(009\) and 1 not expected \(003\)"):
        Images(folder, "completed", ids=["000", "001", "002", "009"])
    with pytest.raises(BenchError, match="4 images, expected 3"):
        Images(noise(4), "x", ids=["a", "b", "c"])


def test_bad_folders(tmp_path):
    with pytest.raises(BenchError, match="not a folder"):
        Images(tmp_path / "none", "truth")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match="no images in"):
        Images(tmp_path / "empty", "truth")
    folder = write(tmp_path / "two", noise(1))
    Image.new("RGB", (8, 8)).save(folder / "000.jpg")
    with pytest.raises(BenchError, match="have one name"):
        Images(folder, "truth")


def test_pictures_without_a_known_suffix_are_said(tmp_path, capsys):
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "b.png").rename(tmp_path / "b")
    assert Images(tmp_path, "completed").ids == ["a"]
    assert "1 files without a known suffix (not read: save them as PNG)" in " ".join(capsys.readouterr().err.split())


def test_bad_images(tmp_path):
    folder = write(tmp_path / "sizes", noise(2))
    Image.new("RGB", (9, 8)).save(folder / "002.png")
    with pytest.raises(BenchError, match=r"002\.png is 9x8 but .*000\.png is 8x8"):
        list(Images(folder, "x").batches(4))
    (folder / "002.png").write_bytes(b"no picture")
    with pytest.raises(BenchError, match=r"002\.png is not a PNG, JPEG"):
        list(Images(folder, "x").batches(4))


def test_bad_tensors():
    nan = torch.zeros(3, 3, 2, 2)
    nan[1, 0, 0, 0] = torch.nan
    for bad, message in (
        (nan, "completed: NaN or infinity in image 1"),
        (torch.zeros(2, 1, 4, 4), r"expected images of shape \(N, 3, H, W\), got \(2, 1, 4, 4\)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.int64), "expected uint8 or float"),
        ([np.zeros((1, 3, 2, 2))], "expected batches of tensors, got ndarray"),
        ([noise(1, 4), noise(1, 5)], "image 1 of completed is 5x5 but image 0 of completed is 4x4"),
    ):
        with pytest.raises(BenchError, match=message):
            list(Images(bad, "completed").batches(2))
    with pytest.raises(BenchError, match="expected masks of shape"):
        list(Images(noise(1), "masks", masks=True).batches(2))


def test_counterparts_must_exist():
    with pytest.raises(BenchError, match="truth has fewer images than completed"):
        list(zip_batches([Images(noise(5), "completed"), Images(noise(3), "truth"), None], 2))
    with pytest.raises(
        BenchError, match=r"sizes differ: image 0 of completed \(completed\) is 8x8, image 0 of truth \(truth\) is 4x4"
    ):
        list(zip_batches([Images(noise(2), "completed"), None, Images(noise(2, 4), "truth")], 2))


def test_an_error_of_the_thread_reaches_the_reader():
    def broken():
        yield noise(2)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"), prefetched([Images(broken, "x")], 2) as stream:
        list(stream)


def test_leaving_early_ends_the_thread():
    with prefetched([Images(lambda: (noise(2) for _ in range(10_000)), "x")], 2) as stream:
        next(stream)
    assert not any(thread.name == "decode" for thread in threading.enumerate())
