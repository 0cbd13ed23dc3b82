from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data import folder as files
from bench.data import sources
from bench.data.sources import Folder
from bench.errors import BenchError
from bench.framing import framed
from bench.pictures import decode

MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "WEBP": ["RGB", "RGBA", "L"],
    "BMP": ["1", "L", "P", "RGB"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"],
    "GIF": ["L", "P"],
    "PPM": ["1", "L", "RGB", "I;16"],
}


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@settings(deadline=None)
@given(
    kind_and_mode=st.sampled_from([(kind, mode) for kind, modes in MODES.items() for mode in modes]),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    size=st.integers(1, 40),
    white=st.booleans(),
)
def test_every_mode_and_size_becomes_a_square_of_its_colour(
    kind_and_mode: tuple[str, str], width: int, height: int, size: int, white: bool
) -> None:
    kind, mode = kind_and_mode
    if mode == "I;16":
        image = Image.fromarray(np.full((height, width), 65535 if white else 0, np.uint16))
    else:
        image = Image.new("RGB", (width, height), "white" if white else "black").convert(mode)
    decoded = decode(encoded(image, kind), "x")
    assert decoded.mode == "RGB" and decoded.size == (width, height)
    pixels = framed(decoded, size)
    assert pixels.shape == (size, size, 3) and pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), 255 if white else 0, atol=2)  # JPEG and WebP lose a level or two


def test_find_is_recursive_sorted_and_skips_what_is_no_image(tmp_path: Path) -> None:
    for name in ["b/2.JPG", "b/10.png", "a.webp", "notes.txt", ".hidden.png", ".trash/x.png", "c/d/e.jpeg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files.find_images(tmp_path) == ["a.webp", "b/10.png", "b/2.JPG", "c/d/e.jpeg"]


def test_find_follows_links_and_survives_a_loop(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "1.png").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    assert files.find_images(tmp_path / "data") == ["linked/1.png"]


def test_folders_that_cannot_serve_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match=r"missing does not exist: give the folder"):
        files.find_images(tmp_path / "missing")
    with pytest.raises(BenchError, match=r"file is a file: give the folder"):
        files.find_images(tmp_path / "file")
    with pytest.raises(BenchError, match=r"empty has no images: put PNG, JPEG, WebP, BMP, TIFF, GIF or PNM files"):
        files.find_images(tmp_path / "empty")


@pytest.mark.skipif(os.name != "posix", reason="file names are Unicode elsewhere")
def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).touch()
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    with pytest.raises(BenchError, match="not UTF-8: rename"):
        files.find_images(tmp_path)


def test_a_folder_that_may_not_be_entered_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "lost+found").mkdir(mode=0)
    code = "import sys; from bench.data import folder; folder.find_images(sys.argv[1])"
    for place, message in (
        (tmp_path, r"cannot read the folder .*lost\+found: Permission denied; check its permissions, or give a folder"),
        (tmp_path / "lost+found", "cannot read the folder .*: Permission denied"),
    ):
        done = subprocess.run([*bound(), sys.executable, "-c", code, str(place)], capture_output=True, text=True)
        assert re.fullmatch(f"bench.errors.BenchError: {message}.*", done.stderr.splitlines()[-1])


def bound() -> list[str]:
    """What a command stands behind to be one whom permissions bind: root may read all, unless it gives that up."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root reads every folder")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def test_fingerprint_follows_names_and_content_not_order() -> None:
    one = files.fingerprint({"a": "1", "b": "2"})
    assert one == files.fingerprint({"b": "2", "a": "1"})
    assert len({one, files.fingerprint({"a": "2", "b": "1"}), files.fingerprint({"a": "1", "c": "2"})}) == 3


def test_hashes_are_remembered_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, listing = tmp_path / "data", tmp_path / "listing.json"
    data.mkdir()
    (data / "a.png").write_bytes(b"one")
    (data / "b.png").write_bytes(b"two")
    monkeypatch.setattr(files, "SETTLED_NS", -(10**12))  # as if the files had been there for long
    reads: list[tuple[str, int, int]] = []

    def hashes(*ids: str) -> dict[str, str]:
        reads.clear()
        return files.hash_files(Folder(data, [*ids]), listing, lambda *done: reads.append(done))

    first = hashes("a.png", "b.png")
    assert reads == [("reading", 2, 2)]
    assert hashes("a.png", "b.png") == first and not reads
    before = (data / "b.png").stat()
    (data / "b.png").write_bytes(b"owt")  # of the same length
    os.utime(data / "b.png", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    second = hashes("a.png", "b.png")
    assert reads == [("reading", 1, 1)] and second["a.png"] == first["a.png"] and second["b.png"] != first["b.png"]
    listing.write_text("{damaged")
    assert hashes("a.png", "b.png") == second and reads == [("reading", 2, 2)]


def test_a_file_that_just_changed_is_hashed_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    listing = tmp_path / "listing.json"
    first = files.hash_files(Folder(tmp_path, ["a.png"]), listing)
    stamp = (tmp_path / "a.png").stat()
    (tmp_path / "a.png").write_bytes(b"two")
    os.utime(tmp_path / "a.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert files.hash_files(Folder(tmp_path, ["a.png"]), listing) != first


def test_natural_order_counts() -> None:
    assert sorted(["10.jpg", "2.jpg", "a1", "1/30.png"], key=files.natural) == ["1/30.png", "2.jpg", "10.jpg", "a1"]


def test_runs_and_folders_named_otherwise_are_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ["a.png", "runs/x/b.png", "runs/.facebench", "holes/a.png", "more/holes/c.png", "d.heic", "e.HEIC"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files.find_images(tmp_path, {(tmp_path / "holes").resolve(): "masks"}) == ["a.png", "more/holes/c.png"]
    said = " ".join(capsys.readouterr().err.split())
    assert "holes/ (masks), runs/ (runs), 2 files .heic (not read: save them as PNG)" in said
    (tmp_path / ".facebench").touch()
    with pytest.raises(BenchError, match=r"holds runs .*put runs elsewhere with --out"):
        files.find_images(tmp_path)
    with pytest.raises(BenchError, match=r"has no images \(left out: 1 files .heic"):
        (tmp_path / "phone").mkdir()
        (tmp_path / "phone" / "1.heic").touch()
        files.find_images(tmp_path / "phone")


def test_pictures_without_a_known_suffix_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey(9).save(tmp_path / "a.png")
    (tmp_path / "s").mkdir()
    beside = ["README", "faces.json", "x.npy", ".DS_Store", "list.img"]
    for name in beside:
        (tmp_path / name).write_text("BMW and P1 are no pictures")
    shutil.copy(tmp_path / "a.png", tmp_path / ".hidden")
    shutil.copy(tmp_path / "a.png", tmp_path / "poster.pdf")  # what has such a suffix is not opened
    os.mkfifo(tmp_path / "pipe")
    assert files.find_images(tmp_path) == ["a.png"] and not capsys.readouterr().err
    for name in ("img0", "s/x.img", "photo.jpg_large", os.fsdecode(b"z\xff")):
        shutil.copy(tmp_path / "a.png", tmp_path / name)
    assert files.find_images(tmp_path) == ["a.png"]
    said = " ".join(capsys.readouterr().err.split())
    assert "4 files such as img0 (pictures without a known suffix: name them .png" in said


@pytest.mark.parametrize("names", [("a.png", "a.jpg"), ("s/a.png", "s/a.PNG"), ("v1.2.png", "v1.2.webp")])
def test_two_files_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in ("other.png", "a/a.png", *names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(BenchError, match=f"{min(names)} and .*{max(names)} have one name: .*rename or remove one"):
        files.find_images(tmp_path)


def test_folders_of_annotations_are_no_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside = ["train_label", "test-Mask", "CelebAMask-HQ-mask-anno", "parsing256", "x.edges", "sketches", "landmark 68"]
    for name in ["img", "unmasked", "labelled", *beside]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").touch()
    assert files.find_images(tmp_path) == ["img/0.png", "labelled/0.png", "unmasked/0.png"]
    said = " ".join(capsys.readouterr().err.split())
    assert all(f"{name}/ (annotations, by its name)" in said for name in beside)
    assert "parsing256/0.png" in files.find_images(tmp_path, labels=True)
    assert files.find_images(tmp_path / "train_label") == ["0.png"]  # who names the folder itself means it
    (tmp_path / "only" / "masks").mkdir(parents=True)
    (tmp_path / "only" / "masks" / "0.png").touch()
    with pytest.raises(BenchError, match=r"no images \(left out: masks/ \(annotations, by its name\)\): put PNG"):
        files.find_images(tmp_path / "only")


def test_folders_of_results_are_no_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside = ["results", "output", "masked", "inpainted_256", "Test-Results", "completed", "predictions", "comp"]
    for name in ["img", "compact", *beside]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").touch()
    assert files.find_images(tmp_path) == ["compact/0.png", "img/0.png"]
    said = " ".join(capsys.readouterr().err.split())
    assert all(f"{name}/ (results, by its name)" in said for name in beside)
    assert files.find_images(tmp_path / "results") == ["0.png"]  # who names the folder itself means it


def test_a_long_list_of_what_is_left_out_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(30):
        (tmp_path / f"{index:02d}" / "mask").mkdir(parents=True)
    (tmp_path / "a.png").touch()
    assert files.find_images(tmp_path) == ["a.png"]
    assert "19/mask/ (annotations, by its name), and 10 more" in " ".join(capsys.readouterr().err.split())


def grey(*values: int, kind: type = np.uint8) -> Image.Image:
    return Image.fromarray(np.resize(np.array(values, kind), (8, 8)))


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (grey(0, 255), "mask"),
        (grey(0, 1), "mask"),
        (grey(0, 65535, kind=np.uint16), "mask"),
        (grey(0, 255).convert("1"), "mask"),
        (grey(0, 255).convert("RGB"), "mask"),
        (grey(*range(19)), "label map"),
        (grey(3, 17), "label map"),
        (grey(*range(20)), None),
        (grey(0, 254), None),
        (grey(0), None),
        (grey(255), None),
        (grey(7), None),
        (Image.merge("RGB", [grey(0, 1), grey(1, 0), grey(0)]), None),
    ],
)
def test_masks_and_label_maps_are_told_by_their_values(image: Image.Image, what: str | None) -> None:
    assert files.annotation(decode(encoded(image), "x")) == what


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.txt", "faces.lmdb/data.mdb"], r"holds LMDB \(faces.lmdb/\): give .*faces.lmdb$"),
        (["x/y/shards/0.tar", "x/more/c.txt"], r"holds tar \(x/y/\): give .*x/y$"),
        (
            ["a.parquet", "b.parquet", "more/c.txt"],
            r"holds Parquet \(a.parquet, b.parquet\): give one of them, or move all 2 into",
        ),
        (
            ["train.zip", "test.zip"],
            r"a zip file \(test.zip, train.zip\): each is a data set .* one splits that one alone; to train on one and",
        ),
        (["train/0.tar", "test/0.parquet"], r"holds Parquet, tar \(test/, train/\): each is a data set of its own"),
        (["train/data.mdb", "val/data.mdb"], r"holds LMDB \(train/, val/\): each is a data set of its own"),
        (["a.txt", "b/a.txt"], r"has no images: put PNG"),
    ],
)
def test_archives_one_level_below_are_told(tmp_path: Path, files: list[str], message: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BenchError, match=message):
        sources.opened(tmp_path)
