from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.data import cache
from bench.errors import BenchError

IMAGES = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(100)


def built(entry: Path) -> Path:
    entry.mkdir(parents=True, exist_ok=True)
    halves = ({"images": IMAGES[part], "labels": LABELS[part]} for part in (slice(0, 64), slice(64, 100)))
    cache.build(entry, {"ids": [str(i) for i in LABELS]}, 100, halves, IMAGES.nbytes)
    return entry


def test_what_is_built_is_loaded_as_read_only_maps(tmp_path: Path) -> None:
    loaded = cache.load(built(tmp_path))
    assert loaded is not None
    manifest, arrays = loaded
    assert manifest["count"] == 100 and manifest["ids"][3] == "3"
    np.testing.assert_array_equal(arrays["images"], IMAGES)
    np.testing.assert_array_equal(arrays["labels"], LABELS)
    assert isinstance(arrays["images"], np.memmap) and not arrays["images"].flags.writeable


def test_two_builds_are_equal_to_the_byte(tmp_path: Path) -> None:
    one, two = built(tmp_path / "one"), built(tmp_path / "two")
    for name in ("images.npy", "labels.npy", "manifest.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: flip(entry / "images.npy"),
        lambda entry: os.truncate(entry / "images.npy", 1000),
        lambda entry: (entry / "images.npy").write_bytes(b""),
        lambda entry: (entry / "labels.npy").unlink(),
        lambda entry: (entry / "manifest.json").unlink(),
        lambda entry: (entry / "manifest.json").write_text("{"),
        lambda entry: (entry / "manifest.json").write_text("[]"),
        lambda entry: (entry / "manifest.json").write_text('{"version": 0}'),
        lambda entry: np.save(entry / "images.npy", IMAGES[:50]),
    ],
)
def test_damage_is_seen(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    entry = built(tmp_path)
    later = (entry / "manifest.json").stat().st_mtime_ns + 10**9
    damage(entry)
    if (entry / "images.npy").exists():
        os.utime(entry / "images.npy", ns=(later, later))  # clocks of some file systems are coarse
    assert cache.load(entry) is None
    assert cache.load(built(entry)) is not None


def test_a_copy_is_sound_whatever_its_time_stamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Path(shutil.copytree(built(tmp_path / "one"), tmp_path / "two"))
    later = (entry / "manifest.json").stat().st_mtime_ns + 1
    os.utime(entry / "images.npy", ns=(later, later))
    assert cache.load(entry) is not None
    monkeypatch.setattr(cache, "checksum", lambda array: pytest.fail("the checksum was compared twice"))
    assert cache.load(entry) is not None


def test_a_stopped_build_is_no_entry_and_leaves_nothing_for_long(tmp_path: Path) -> None:
    def stops():
        yield {"images": IMAGES[:64]}
        raise BenchError("face.png is damaged")

    with pytest.raises(BenchError, match="face"):
        cache.build(tmp_path, {}, 100, stops(), 0)
    assert cache.load(tmp_path) is None and not list(tmp_path.iterdir())
    (tmp_path / ".images.npy.abc.part").write_bytes(b"of a killed process")
    assert sorted(path.name for path in built(tmp_path).iterdir()) == ["images.npy", "labels.npy", "manifest.json"]


def test_a_full_disk_is_told_before_anything_is_decoded(tmp_path: Path) -> None:
    batches = iter([{"images": IMAGES}])
    with pytest.raises(BenchError, match=r"needs 1000000000\.0 GB .*free some space"):
        cache.build(tmp_path, {}, 100, batches, 10**18)
    assert next(batches)


def test_the_lock_lets_one_in(tmp_path: Path) -> None:
    inside: list[int] = []

    def work() -> None:
        with cache.locked(tmp_path / "new"):
            inside.append(1)
            seen.append(len(inside))
            threading.Event().wait(0.02)
            inside.pop()

    seen: list[int] = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1, 1, 1, 1]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"cannot write .*file/cache"), cache.locked(tmp_path / "file" / "cache"):
        pass


def test_in_parallel_keeps_the_order_and_reports() -> None:
    told: list[tuple[str, int, int]] = []
    chunks = cache.in_parallel(lambda x: x * 2, range(130), "reading", lambda *done: told.append(done))
    assert [value for chunk in chunks for value in chunk] == list(range(0, 260, 2))
    assert told == [("reading", 64, 130), ("reading", 128, 130), ("reading", 130, 130)]
