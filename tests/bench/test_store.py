from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from bench import store
from bench.errors import BenchError


def test_atomic_write_leaves_the_former_file_when_it_fails(tmp_path: Path) -> None:
    path = store.write_text(tmp_path / "a.txt", "first")
    with pytest.raises(RuntimeError), store.atomic_write(path, "w") as handle:
        handle.write("second")
        raise RuntimeError
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_atomic_write_makes_folders_and_ordinary_permissions(tmp_path: Path) -> None:
    path = store.write_text(tmp_path / "a" / "b.txt", "text")
    (tmp_path / "plain").write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_every_name_that_the_system_takes_can_be_written(tmp_path: Path) -> None:
    assert store.write_text(tmp_path / f"{'n' * 251}.txt", "text").read_text() == "text"


def test_what_a_killed_process_leaves_is_known_by_its_name(tmp_path: Path) -> None:
    with store.atomic_write(tmp_path / "rows.parquet"):
        assert [path.parent for path in tmp_path.glob(".*.part")] == [tmp_path]  # as jobs and caches remove them


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "the disk is full: free some space and run the same command again"),
        (errno.EACCES, "the folder is not writable: choose another place"),
        (errno.EROFS, "the folder is not writable: choose another place"),
        (errno.EISDIR, "Is a directory: choose another place"),
    ],
)
def test_write_errors_name_the_path_and_the_remedy(tmp_path: Path, number: int, remedy: str) -> None:
    with pytest.raises(BenchError, match=f"{remedy}$") as caught, store.atomic_write(tmp_path / "x.bin"):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "x.bin") in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_a_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="is a file, not a folder"):
        store.check_folder(tmp_path / "file" / "runs")


def test_json_is_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    one = store.write_json(tmp_path / "1.json", {"a": 1, "b": [2.5, "ü"]})
    two = store.write_json(tmp_path / "2.json", {"b": [2.5, "ü"], "a": 1})
    assert one.read_bytes() == two.read_bytes()
    assert store.read_json(one) == {"a": 1, "b": [2.5, "ü"]}


def test_damaged_json_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(BenchError, match=r"x\.json.*delete it"):
        store.read_json(tmp_path / "x.json")


def test_seeds_differ_by_every_part_and_never_change() -> None:
    seeds = {store.derive_seed(0, "synthfaces", "00001", "center/25"), store.derive_seed(0, "synthfaces", "00001")}
    assert len(seeds | {store.derive_seed(1, "synthfaces", "00001")}) == 3
    assert store.derive_seed(0, "a") == 225321766190137866
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("name", "slug"), [("irregular/10-20", "irregular_10-20"), ("folder:/data/x y", "folder_data_x_y"), ("a", "a")]
)
def test_file_slug(name: str, slug: str) -> None:
    assert store.file_slug(name) == slug


@pytest.mark.parametrize("name", ["..", "", "///", "我的方法", "a" * 1000])
def test_file_slug_of_an_odd_name(name: str) -> None:
    slug = store.file_slug(name)
    assert slug.strip(".")
    assert len(slug) <= store.LONGEST
    assert slug == store.file_slug(name) != store.file_slug(f"{name}.")
