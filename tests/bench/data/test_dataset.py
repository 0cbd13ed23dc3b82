from __future__ import annotations

import pickle
import shutil
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data import cache, groups, splits, synthfaces
from bench.data import folder as files
from bench.data.dataset import KNOWN, ImageData, prepare_folder, prepare_synthfaces
from bench.data.guides.guide import Files
from bench.data.guides.semantics import prepare_labels
from bench.errors import BenchError

EXAMPLES = Path(__file__).parents[4] / "shared" / "data" / "faces"


class Told(list):
    """Collects what progress reports."""

    def __call__(self, what: str, done: int, total: int) -> None:
        self.append((what, done, total))


def test_a_folder_becomes_a_data_set(faces: Path, tmp_path: Path) -> None:
    told = Told()
    data = prepare_folder(faces, 16, tmp_path / "cache", progress=told)
    assert told == [("reading", 44, 44), ("decoding", 44, 44)]
    assert (data.name, data.size, len(data), data.filter) == ("faces", 16, 44, "pillow-lanczos")
    assert data.ids == sorted(data.ids) and "a/001.jpg" in data.ids
    images = data.images([3, 0, 3])
    assert images.shape == (3, 3, 16, 16) and images.dtype == torch.uint8 and images.is_contiguous()
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])
    floats = data.floats(torch.tensor([3, 0]))
    assert floats.dtype == torch.float32 and floats.min() >= -1 and floats.max() <= 1
    torch.testing.assert_close((floats + 1) * 127.5, images[:2].float(), atol=1e-4, rtol=0)
    assert [data.known(name, [0]) for name in KNOWN] == [None] * len(KNOWN)


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    (tmp_path / "faces").mkdir()
    Image.fromarray(pixels).save(tmp_path / "faces" / "a.png")
    data = prepare_folder(tmp_path / "faces", 8, tmp_path / "cache")
    np.testing.assert_array_equal(data.images([0])[0].permute(1, 2, 0), pixels)


def test_a_second_run_reuses_the_cache_at_once(faces: Path, tmp_path: Path) -> None:
    first = prepare_folder(faces, 256, tmp_path / "cache")
    told = Told()
    start = time.perf_counter()
    second = prepare_folder(faces, 256, tmp_path / "cache", progress=told)
    took = time.perf_counter() - start
    assert second == first and all(what != "decoding" for what, *_ in told)
    assert took < 0.2


def test_two_caches_are_equal_to_the_byte(faces: Path, tmp_path: Path) -> None:
    one, two = (prepare_folder(faces, 16, tmp_path / name) for name in ("one", "two"))
    assert one.entry.name == two.entry.name
    for name in ("images.npy", "manifest.json"):
        assert (one.entry / name).read_bytes() == (two.entry / name).read_bytes()


def test_the_same_content_elsewhere_shares_the_entry(faces: Path, tmp_path: Path) -> None:
    one = prepare_folder(faces, 16, tmp_path / "cache")
    told = Told()
    two = prepare_folder(shutil.copytree(faces, tmp_path / "moved"), 16, tmp_path / "cache", progress=told)
    assert two.fingerprint == one.fingerprint and two.entry == one.entry
    assert told == [("reading", 44, 44)]


def test_another_size_is_another_entry_of_the_same_data(faces: Path, tmp_path: Path) -> None:
    small, large = (prepare_folder(faces, size, tmp_path / "cache") for size in (8, 16))
    assert small.fingerprint == large.fingerprint and small.entry != large.entry
    assert (small.images([0]).shape[-1], large.images([0]).shape[-1]) == (8, 16)


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename"])
def test_a_change_of_the_data_refuses_the_old_split(faces: Path, tmp_path: Path, change: str) -> None:
    before = prepare_folder(faces, 8, tmp_path / "cache")
    path = before.split(0).save(tmp_path / "split.json")
    assert splits.load(path, prepare_folder(faces, 8, tmp_path / "cache").fingerprint)
    target = faces / "b" / "000.png"
    if change == "edit":
        Image.new("RGB", (9, 9), "red").save(target)
    elif change == "add":
        shutil.copy(target, faces / "new.png")
    elif change == "remove":
        target.unlink()
    else:
        target.rename(faces / "b" / "other.png")
    after = prepare_folder(faces, 8, tmp_path / "cache")
    assert after.fingerprint != before.fingerprint
    with pytest.raises(BenchError, match="changed since"):
        splits.load(path, after.fingerprint)


def test_a_damaged_cache_is_rebuilt(faces: Path, tmp_path: Path) -> None:
    data = prepare_folder(faces, 16, tmp_path / "cache")
    before = (data.entry / "images.npy").read_bytes()
    (data.entry / "images.npy").write_bytes(before[:-10])
    fresh = pickle.loads(pickle.dumps(data))
    with pytest.raises(BenchError, match="is damaged or gone: run the same command again"):
        fresh.images([0])
    prepare_folder(faces, 16, tmp_path / "cache")
    assert (data.entry / "images.npy").read_bytes() == before


def test_two_at_once_build_one_entry(faces: Path, tmp_path: Path) -> None:
    told = Told()
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(prepare_folder, faces, 16, tmp_path / "cache", None, told) for _ in range(4)]
        assert len({run.result().entry for run in runs}) == 1
    assert sum(what == "decoding" for what, *_ in told) == 1


@pytest.mark.parametrize("content", [b"", b"only text", b"\x89PNG\r\n\x1a\n and then nonsense"])
def test_a_bad_file_is_named_and_leaves_no_cache(faces: Path, tmp_path: Path, content: bytes) -> None:
    (faces / "bad.png").write_bytes(content)
    with pytest.raises(BenchError, match=r"faces/bad\.png is .*remove"):
        prepare_folder(faces, 8, tmp_path / "cache")
    (faces / "bad.png").unlink()
    assert len(prepare_folder(faces, 8, tmp_path / "cache")) == 44


def test_a_file_that_changes_meanwhile_is_named(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "hash_files", lambda source, *rest: dict.fromkeys(source.names, "hash of other bytes"))
    with pytest.raises(BenchError, match=r"a/001\.jpg changed while .*run the same command again"):
        prepare_folder(faces, 8, tmp_path / "cache")


def test_bad_requests_are_named(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="image size is 0"):
        prepare_folder(faces, 0, tmp_path / "cache")
    with pytest.raises(BenchError, match="does not exist"):
        prepare_folder(tmp_path / "nowhere", 8, tmp_path / "cache")
    with pytest.raises(BenchError, match="0 images were asked for"):
        prepare_synthfaces(0, 16, 0, tmp_path / "cache")
    with pytest.raises(BenchError, match=r"faces has no image 'x\.png'"):
        prepare_folder(faces, 8, tmp_path / "cache").indices(["x.png"])


def test_splits_of_a_folder(faces: Path, tmp_path: Path) -> None:
    data = prepare_folder(faces, 8, tmp_path / "cache")
    split = data.split(seed=1)
    assert (len(split.train), len(split.test), split.rule) == (34, 10, "seed")
    assert [data.ids[index] for index in data.indices(split.test)] == list(split.test)
    assert len(data.split(1, train=5, test=20).train) == 5


def test_a_known_data_set_has_its_published_split(faces: Path, tmp_path: Path) -> None:
    split = prepare_folder(faces, 8, tmp_path / "cache", name="CHASE").split(0)
    assert (len(split.train), len(split.test)) == (18, 10)
    with pytest.raises(BenchError, match="Shell has 44 images and the split needs 64"):
        prepare_folder(faces, 8, tmp_path / "cache", name="shell").split(0)
    art = prepare_folder(shutil.copytree(faces, tmp_path / "art"), 8, tmp_path / "cache")
    assert len(art.split(0).train) == 34  # a folder that happens to have this name


def test_masks_among_the_pictures_are_refused(faces: Path, tmp_path: Path) -> None:
    hole = Image.fromarray(np.eye(32, dtype=np.uint8))
    hole.save(faces / "z_mask.png")
    with pytest.raises(
        BenchError, match=r"1 of 45 files are masks or label maps.*z_mask\.png \(mask\): put masks into"
    ):
        prepare_folder(faces, 8, tmp_path / "cache")
    maps = tmp_path / "maps"
    maps.mkdir()
    hole.save(maps / "a.png")
    assert len(prepare_labels(Files(maps, 8, tmp_path / "cache"))) == 1


def test_a_known_data_set_is_read_from_its_makers_folder(faces: Path, tmp_path: Path) -> None:
    """Its ids are the same whether the folder or the one above it is given."""
    faces = faces.rename(tmp_path / "images1024x1024")
    (tmp_path / "thumbnails128x128").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "thumbnails128x128" / "0.png")
    above = prepare_folder(tmp_path, 8, tmp_path / "cache", name="ffhq")
    assert above.ids == prepare_folder(faces, 8, tmp_path / "cache", name="ffhq").ids and len(above) == 44


def test_a_set_of_equal_pictures_cannot_train(tmp_path: Path) -> None:
    for index in range(12):
        Image.new("RGB", (9, 9), "red").save(tmp_path / f"{index}.png")
    with pytest.raises(BenchError, match="every training image equals a test image"):
        prepare_folder(tmp_path, 8, tmp_path / "cache").split(0)


def test_train_and_test_folders_are_honoured(faces: Path, tmp_path: Path) -> None:
    (faces / "a").rename(faces / "train")
    (faces / "b").rename(faces / "test")
    split = prepare_folder(faces, 8, tmp_path / "cache").split(0)
    assert split.rule == "folder" and len(split.train) == len(split.test) == 22


def test_it_travels_to_other_processes_without_its_pixels(faces: Path, tmp_path: Path) -> None:
    data = prepare_folder(faces, 64, tmp_path / "cache")
    first = data.images(range(44))
    packed = pickle.dumps(data)
    assert len(packed) < 5_000
    assert torch.equal(pickle.loads(packed).images(range(44)), first)


def test_synthfaces_are_rendered_once_with_their_guides(tmp_path: Path) -> None:
    told = Told()
    data = prepare_synthfaces(44, 16, 7, tmp_path / "cache", told)
    assert told == [("rendering", 32, 44), ("rendering", 44, 44)]
    assert prepare_synthfaces(44, 16, 7, tmp_path / "cache", told) == data and len(told) == 2
    faces = synthfaces.render([5, 40], 16, 7)
    assert (data.floats([5, 40]) - faces.images).abs().max() <= 0.5 / 127.5 + 1e-6
    for name in ("semantics", "landmarks", "identity", "attributes"):
        assert np.array_equal(data.known(name, [5, 40]), getattr(faces, name)), name


def test_synthfaces_keep_people_apart(tmp_path: Path) -> None:
    data = prepare_synthfaces(44, 16, 0, tmp_path / "cache")
    split = data.split(0)
    assert split.rule == "identity" and (len(split.train), len(split.test)) == (32, 12)
    train, test = (set(data.known("identity", data.indices(part)).tolist()) for part in (split.train, split.test))
    assert not train & test


def test_synthfaces_of_another_seed_are_other_data(tmp_path: Path) -> None:
    one, two = (prepare_synthfaces(4, 16, seed, tmp_path / "cache") for seed in (0, 1))
    assert one.fingerprint != two.fingerprint and one.entry != two.entry


def test_a_loader_can_draw_1500_images_a_second(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (400, 256, 256, 3), dtype=np.uint8)
    cache.build(tmp_path, {}, 400, [{"images": pixels}], pixels.nbytes)
    data = ImageData("x", 256, "f", [str(index) for index in range(400)], "none", tmp_path)
    rates = []
    for _ in range(3):
        order, start = random.permutation(400), time.perf_counter()
        for first in range(0, 400, 16):
            data.images(order[first : first + 16])
        rates.append(400 / (time.perf_counter() - start))
    assert max(rates) >= 1500


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the example photographs are not here")
def test_the_example_photographs(tmp_path: Path) -> None:
    data = prepare_folder(EXAMPLES, 64, tmp_path / "cache")
    split = data.split(0)
    assert (len(split.train), len(split.test)) == (34, 10)
    assert data.floats(range(44)).std() > 0.3


def test_names_are_the_same_in_every_form_of_unicode(tmp_path: Path) -> None:
    """Pictures named on macOS (NFD), their captions, lists and attributes on another system (NFC); ids stay."""
    composed = [f"Am\u00e9lie_{i}" for i in range(12)]
    parted = [unicodedata.normalize("NFD", name) for name in composed]
    for place, every in (("mine", parted), ("maps", composed)):
        (tmp_path / place).mkdir()
        for i, name in enumerate(every):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / place / f"{name}.png")
    data, maps = (prepare_folder(tmp_path / place, 8, tmp_path / "cache") for place in ("mine", "maps"))
    assert data.ids == [f"{name}.png" for name in sorted(parted)]
    assert [maps.images([i])[0, 0, 0, 0] for i in data.namesakes(maps, range(12))] == list(
        data.images(range(12))[:, 0, 0, 0]
    )
    (tmp_path / "test.txt").write_text("\n".join(composed[:5]), "utf-8")
    assert data.split(0, given={"held_out": tmp_path / "test.txt"}).test == tuple(f"{name}.png" for name in parted[:5])
    (tmp_path / "a.csv").write_text("name,glasses\n" + "".join(f"{name}.png,yes\n" for name in composed), "utf-8")
    assert groups.of(data, data.ids, tmp_path / "a.csv") == {"glasses": ["yes"] * 12}
    Image.new("RGB", (8, 8)).save(tmp_path / "mine" / f"{composed[0]}.png")
    with pytest.raises(BenchError, match=r"have one name: .*rename or remove one of them"):
        prepare_folder(tmp_path / "mine", 8, tmp_path / "cache")


def test_what_belongs_to_images_and_is_missing_is_counted_and_mended(faces: Path, tmp_path: Path) -> None:
    def data(ids: list[str]) -> ImageData:
        return ImageData("mine", 8, "", ids, "", tmp_path, place=tmp_path / "maps")

    images = data([f"CelebA-HQ-img/{i}.jpg" for i in range(4)])
    for ids, message in {
        (
            "CelebA-HQ-img/0.png",
        ): r"maps lacks 3 of 4 images of mine \(CelebA-HQ-img/1, .*, .*\): add files of these names",
        (
            "0.png",
            "1.png",
        ): r"lacks 4 of 4 .* without CelebA-HQ-img/: give the folder CelebA-HQ-img/ as",
        ("x/CelebA-HQ-img/0.png",): r"files of these names lie in its x/: give that folder",
    }.items():
        with pytest.raises(BenchError, match=message):
            images.namesakes(data([*ids]), range(4))
