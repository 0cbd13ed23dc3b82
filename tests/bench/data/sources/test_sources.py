"""The same pictures in a folder and in archives of every kind: the same names, pixels, fingerprint and results."""

from __future__ import annotations

import random
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import cli, jobs, results, runner, suite
from bench.data import folder as files
from bench.data import groups, lists, sources, synthfaces
from bench.data.dataset import prepare_folder
from bench.data.guides.attributes import prepare_attributes
from bench.data.guides.guide import Files
from bench.data.guides.semantics import prepare_labels
from bench.doctor import examine
from bench.errors import BenchError
from tests.bench.data.sources.archives import FORMATS, names, parquet, shards, tarred, zipped

COUNT, SIDE = 12, 40


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of synthetic faces, called as an LMDB numbers them."""
    folder = tmp_path_factory.mktemp("data") / "mine"
    folder.mkdir()
    drawn = synthfaces.render(range(COUNT), SIDE).images.add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy()
    for i, picture in enumerate(drawn):
        Image.fromarray(picture).save(folder / f"{i:05d}.png")
    return folder


def run(place: Path, root: Path) -> tuple[list[str], pd.DataFrame]:
    """The ids of all jobs, and the values."""
    content = {
        "suite": "same",
        "size": 32,
        "data": [{"name": "mine", "folder": str(place), "train": 4, "test": 8}],
        "methods": ["mean", "telea"],
        "conditions": ["irregular/20-30"],
        "metrics": ["psnr"],
        "report": {"main": ["psnr"], "samples": 0},
    }
    made = jobs.plan(suite.parse(content, "same.yaml"), root)
    outcome = runner.run(made, runner.Options(device="cpu", workers=0))
    assert not outcome.failed
    per_image = pd.read_parquet(results.collect(made) / "per_image.parquet")
    return made.ids, per_image


@pytest.fixture(scope="module")
def expected(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], pd.DataFrame]:
    return run(faces, tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_is_the_folder_of_its_pictures(kind: str, faces: Path, tmp_path: Path) -> None:
    place = FORMATS[kind](faces, tmp_path)
    before = names(tmp_path)
    found = prepare_folder(place, 32, tmp_path / "cache")
    wanted = prepare_folder(faces, 32, tmp_path / "other")
    assert found.ids == wanted.ids == [f"{i:05d}.png" for i in range(COUNT)]
    assert (found.fingerprint, found.name, found.entry.name) == (wanted.fingerprint, "mine", wanted.entry.name)
    every = range(COUNT)
    np.testing.assert_array_equal(found.images(every).numpy(), wanted.images(every).numpy())
    after = [name for name in names(tmp_path) if not name.startswith(("cache/", "other/"))]
    assert after == before  # nothing is unpacked, and no lock is left


@pytest.mark.parametrize("kind", FORMATS)
def test_a_suite_has_the_same_results_to_the_last_digit(
    kind: str, faces: Path, tmp_path: Path, expected: tuple[list[str], pd.DataFrame]
) -> None:
    ids, values = run(FORMATS[kind](faces, tmp_path), tmp_path / "runs")
    assert ids == expected[0] and len(values) == 16
    pd.testing.assert_frame_equal(values, expected[1], check_exact=True)


@pytest.mark.parametrize("kind", FORMATS)
def test_many_threads_read_at_once(kind: str, faces: Path, tmp_path: Path) -> None:
    order = [f"{i:05d}.png" for i in range(COUNT)] * 8
    random.Random(0).shuffle(order)
    with sources.opened(FORMATS[kind](faces, tmp_path)) as source, ThreadPoolExecutor(16) as pool:
        assert list(pool.map(source.read, order)) == [(faces / name).read_bytes() for name in order]


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_is_hashed_again_only_when_it_changed(
    kind: str, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SETTLED_NS", -(10**12))  # as if it had been there for long
    place, told = FORMATS[kind](faces, tmp_path), []

    def prepare() -> str:
        told.clear()
        return prepare_folder(place, 32, tmp_path / "cache", progress=lambda *done: told.append(done[0])).fingerprint

    first = prepare()
    assert told == ["reading", "decoding"]
    assert prepare() == first and not told
    with sources.opened(place) as source:
        holder = source.file("00003.png")
    holder.touch()
    assert prepare() == first and told == ["reading"]


def test_commands_take_an_archive(faces: Path, tmp_path: Path) -> None:
    path = zipped(faces, tmp_path / "mine.zip")
    checked = CliRunner().invoke(cli.app, ["data", "check", "folder", str(path)], catch_exceptions=False)
    assert checked.exit_code == 0 and "images: 12, from 40 x 40 to 40 x 40" in checked.output
    found = examine(path)
    assert found.pictures == COUNT and not found.refused
    assert [line.partition("  #")[0] for line in found.do] == [f"facebench run folder --data {path}"]
    found = suite.located({"suite": "x", "data": []}, [str(path)])
    assert found["data"] == [{"name": "mine", "folder": str(path), "published": False}]


def test_label_maps_are_read_from_an_archive(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    Image.fromarray(np.repeat(np.arange(16, dtype=np.uint8), 16).reshape(16, 16)).save(tmp_path / "maps" / "1.png")
    found, wanted = (
        prepare_labels(Files(place, 16, tmp_path / "cache"))
        for place in (zipped(tmp_path / "maps", tmp_path / "maps.zip"), tmp_path / "maps")
    )
    assert found.fingerprint == wanted.fingerprint and found.ids == ["1.png"]


def test_names_follow_the_rules_for_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    for name in ("00000/img0.png", "__MACOSX/00000/._img0.png", "masks/img0.png", "a.heic", "img.0.png", "img.1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    wanted = ["00000/img0.png", "img.0.png", "img.1.png"]
    assert files.find_images(folder) == wanted
    for place in (zipped(folder, tmp_path / "a.zip"), tarred(folder, tmp_path / "a.tar")):
        with sources.opened(place) as source:
            assert source.names == wanted
        said = " ".join(capsys.readouterr().err.split())
        assert "masks/ (annotations, by its name)" in said and "1 files .heic (not read)" in said


@pytest.mark.parametrize("write", [tarred, parquet])
def test_shards_of_several_parts_keep_the_makers_split(write, faces: Path, tmp_path: Path) -> None:
    suffix = {tarred: "tar", parquet: "parquet"}[write]
    place = shards(write, faces, tmp_path / "mine", "train-{}." + suffix)
    (place / f"train-1.{suffix}").rename(place / f"test-0.{suffix}")
    split = prepare_folder(place, 32, tmp_path / "cache").split(0)
    assert split.rule == "folder" and split.test == tuple(f"test/{i:05d}.png" for i in (1, 4, 7, 10))
    assert len(split.train) == 8


def test_beside_pictures_archives_are_no_data(faces: Path, tmp_path: Path) -> None:
    place = shards(tarred, faces, tmp_path / "mine", "all-{}.tar")
    (place / "data.mdb").touch()
    (place / "1.png").write_bytes((faces / "00000.png").read_bytes())
    with sources.opened(place) as source:
        assert source.names == ["1.png"]


@pytest.mark.parametrize("path", [None, "0.png"])
def test_rows_without_names_of_their_own_are_numbered(
    path: str | None, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = parquet(faces, tmp_path / "mine.parquet", names(faces), path=path)
    with sources.opened(place) as source:
        assert source.names == names(faces) and source.read("00003.png") == (faces / "00003.png").read_bytes()
    assert "pictures are numbered" in capsys.readouterr().err


def test_a_source_tells_whether_its_names_are_the_makers_own(faces: Path, tmp_path: Path) -> None:
    """An LMDB, rows without paths and dataset_tool.py's zip count sorted paths, whatever these were called."""
    tool = tmp_path / "tool"
    (tool / "00000").mkdir(parents=True)
    for i in range(COUNT):
        (tool / f"00000/img{i:08d}.png").write_bytes((faces / f"{i:05d}.png").read_bytes())
    unnamed = [
        FORMATS["lmdb"](faces, tmp_path),
        parquet(faces, tmp_path / "rows.parquet", path=None),
        zipped(tool, tmp_path / "tool.zip"),
        tool,
    ]
    named = [faces, *(FORMATS[kind](faces, tmp_path) for kind in ("zip", "tar", "parquet"))]
    for place in (*unnamed, *named):
        assert prepare_folder(place, 8, tmp_path / "cache").named is (place in named), place


def test_published_numbers_are_not_looked_for_among_those_of_an_archive(faces: Path, tmp_path: Path) -> None:
    data = prepare_folder(FORMATS["lmdb"](faces, tmp_path), 8, tmp_path / "cache", "celeba-hq")
    (table := tmp_path / "list_attr.txt").write_text(f"{COUNT}\nMale\n" + "".join(f"{i}.jpg 1\n" for i in range(COUNT)))
    with pytest.raises(BenchError, match="numbers that a tool gave them"):
        data.split(0, given={"held_out": lists.HELD_OUT["lama"]})
    with pytest.raises(BenchError, match=r"list_attr.txt counts pictures .*numbers that a tool gave them"):
        groups.of(data, data.ids[:2], table)
    with pytest.raises(BenchError, match=r"list_attr.txt counts pictures .*numbers that a tool gave them"):
        prepare_attributes(Files(table, 8, tmp_path / "cache", pictures=tmp_path / "mine.lmdb"))


def test_a_zip_with_the_slashes_of_windows_keeps_the_makers_split(faces: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("test\\"), b"")
        for i, name in enumerate(names(faces)):
            archive.writestr(zipfile.ZipInfo(f"{'train' if i < 8 else 'test'}\\{name}"), (faces / name).read_bytes())
    data = prepare_folder(tmp_path / "mine.zip", 8, tmp_path / "cache")
    split = data.split(0)
    assert split.rule == "folder" and split.test == tuple(f"test/{i:05d}.png" for i in range(8, 12))


@pytest.mark.parametrize("above", ["", "default/"])
@pytest.mark.parametrize("write", [tarred, parquet])
def test_shards_in_sub_folders_keep_the_makers_split(write, above: str, faces: Path, tmp_path: Path) -> None:
    """`default/train/0000.parquet` is how Hugging Face converts data sets, train/ and val/ are common for tar."""
    suffix = {tarred: "tar", parquet: "parquet"}[write]
    place = tmp_path / "mine"
    for part, held in (("train", names(faces)[:8]), ("val", names(faces)[8:])):
        (folder := place / above / part).mkdir(parents=True)
        for i in range(2):
            write(faces, folder / f"{i:04d}.{suffix}", held[i::2])
    (place / "README.md").touch()
    data = prepare_folder(place, 32, tmp_path / "cache")
    split = data.split(0)
    assert split.rule == "folder" and split.test == tuple(f"val/{i:05d}.png" for i in range(8, 12))
    assert split.train == tuple(f"train/{i:05d}.png" for i in range(8))


def test_older_shards_of_hugging_face_have_a_hash(faces: Path, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    for i, digest in enumerate(("b6c9e0fd8ebc2ad0", "0a1b2c3d4e5f6071")):
        parquet(faces, place / f"train-0000{i}-of-00002-{digest}.parquet", names(faces)[i:8:2])
    assert prepare_folder(place, 32, tmp_path / "cache").ids == names(faces)[:8]
    parquet(faces, place / "test-00000-of-00001-b6c9e0fd8ebc2ad1.parquet", names(faces)[8:])
    split = prepare_folder(place, 32, tmp_path / "cache").split(0)
    assert split.test == tuple(f"test/{i:05d}.png" for i in range(8, 12)) and len(split.train) == 8
