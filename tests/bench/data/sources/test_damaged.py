"""Archives that are damaged, foreign or hostile: one message names them and the remedy, and nothing is unpacked."""

from __future__ import annotations

import io
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bench.data import sources
from bench.data.dataset import prepare_folder
from bench.errors import BenchError
from tests.bench.data.sources.archives import lmdb, names, parquet, shards, tarred, zipped


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(4):
        picture = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")
    return folder


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def text(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("no archive at all\n" * 1000)
    return path


def one(path: Path, name: str, data: bytes = b"x", mode: int = 0o644) -> Path:
    """A zip with this member."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, data)
    return path


def locked(path: Path) -> Path:
    """A zip that says that its member is encrypted."""
    data = bytearray(one(path, "a.png").read_bytes())
    for start, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(start) + place] |= 1
    path.write_bytes(data)
    return path


def flipped(path: Path, faces: Path) -> Path:
    """A zip in which some bytes of a picture changed."""
    data = zipped(faces, path).read_bytes()
    path.write_bytes(data.replace((faces / "2.png").read_bytes()[60:80], b"\0" * 20))
    return path


def member(path: Path, name: str, kind: bytes = tarfile.REGTYPE, times: int = 1) -> Path:
    """A tar with this member."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, "/etc/hostname", 1 if kind == tarfile.REGTYPE else 0
    with tarfile.open(path, "w") as archive:
        for _ in range(times):
            archive.addfile(info, io.BytesIO(b"x"))
    return path


def compressed(path: Path, faces: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(faces, "faces")
    return path


def endless(path: Path, faces: Path) -> Path:
    """A tar of which all is there but its end."""
    with tarfile.open(tarred(faces, path)) as archive:
        return cut(path, max(one.offset_data + 512 * -(-one.size // 512) for one in archive))


def renamed(path: Path) -> Path:
    """A tar with another name in the header of a member, whose checksum stayed."""
    path.write_bytes(path.read_bytes().replace(b"2.png", b"5.png"))
    return path


def columns(path: Path, **found: pa.Array) -> Path:
    pq.write_table(pa.table(found), path)
    return path


def other_keys(place: Path) -> Path:
    import lmdb

    with lmdb.open(str(place), map_size=1 << 20) as environment, environment.begin(write=True) as writer:
        writer.put(b"0a1b2c", b"x")
    return place


BAD: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "zip, cut": (lambda d, f: cut(zipped(f, d / "a.zip"), 2000), r"a\.zip is no zip archive, or damaged .*copy"),
    "zip, foreign": (lambda d, f: text(d / "a.zip"), r"a\.zip is no zip archive"),
    "zip, changed": (lambda d, f: flipped(d / "a.zip", f), r"a\.zip/2\.png is damaged .*CRC.* make the archive again"),
    "zip, encrypted": (lambda d, f: locked(d / "a.zip"), r"a\.png is encrypted: .*without a password"),
    "zip, parent": (lambda d, f: one(d / "a.zip", "../a.png"), r"'\.\./a\.png', a name that leads out of it"),
    "zip, absolute": (lambda d, f: one(d / "a.zip", "/a.png"), "'/a.png', a name that leads out of it"),
    "zip, parent of Windows": (lambda d, f: one(d / "a.zip", "b\\..\\..\\a.png"), "a name that leads out of it"),
    "zip, server": (lambda d, f: one(d / "a.zip", "\\\\host\\a\\b.png"), "a name that leads out of it"),
    "zip, drive": (lambda d, f: one(d / "a.zip", "C:\\a.png"), "a name that leads out of it: make it anew"),
    "zip, link": (lambda d, f: one(d / "a.zip", "a.png", mode=stat.S_IFLNK | 0o777), r"a\.png is a link: make"),
    "zip, no picture": (lambda d, f: one(d / "a.zip", "a.png"), r"a\.zip/a\.png is not a PNG, .*replace or remove it"),
    "zip, empty": (lambda d, f: one(d / "a.zip", "a.csv"), r"a\.zip has no images: put PNG"),
    "tar, cut": (lambda d, f: cut(tarred(f, d / "a.tar"), 3000), r"a\.tar is no tar .*unexpected end of data.*: copy"),
    "tar, cut in a header": (lambda d, f: cut(tarred(f, d / "a.tar"), 2300), "header at byte 2,048 is damaged or miss"),
    "tar, changed": (lambda d, f: renamed(tarred(f, d / "a.tar")), r"a\.tar is no tar .*header at byte .* is damaged"),
    "tar, no end": (lambda d, f: endless(d / "a.tar", f), r"a\.tar is no tar .*header at byte .* missing"),
    "tar, foreign": (lambda d, f: text(d / "a.tar"), r"a\.tar is no tar archive"),
    "tar, compressed": (lambda d, f: compressed(d / "a.tar", f), r"a\.tar is no tar archive without compression"),
    "tar.gz": (lambda d, f: compressed(d / "a.tar.gz", f), r"a\.tar\.gz is a file: .*\.tar\.gz: unpack it"),
    "tar, parent": (lambda d, f: member(d / "a.tar", "b/../../a.png"), "a name that leads out of it"),
    "tar, absolute": (lambda d, f: member(d / "a.tar", "/a.png"), "a name that leads out of it"),
    "tar, symlink": (lambda d, f: member(d / "a.tar", "a.png", tarfile.SYMTYPE), "is a link or no plain file: .*--der"),
    "tar, hard link": (lambda d, f: member(d / "a.tar", "a.png", tarfile.LNKTYPE), "is a link or no plain file"),
    "tar, device": (lambda d, f: member(d / "a.tar", "a.png", tarfile.FIFOTYPE), "is a link or no plain file"),
    "tar, twice": (lambda d, f: member(d / "a.tar", "a.png", times=2), "holds two pictures 'a.png': rename or remove"),
    "shards, gap": (
        lambda d, f: shards(tarred, f, d / "s", "x-{}.tar") / "x-{0..4}.tar", r"x-3\.tar does not exist: name the"
    ),
    "shards, twice": (
        lambda d, f: tarred(f, shards(tarred, f, d / "s", "x-{}.tar") / "x-4.tar").parent, "holds two pictures '0.png'"
    ),
    "lmdb, foreign": (lambda d, f: text(d / "a" / "data.mdb").parent, r"a/data\.mdb is no LMDB, or damaged"),
    "lmdb, other keys": (lambda d, f: other_keys(d / "a"), "another layout .*0a1b2c.*: write its pictures out"),
    "lmdb, unfinished": (lambda d, f: lmdb(f, d / "a", length=9), "holds 4 pictures of 256 .*length` says 9: "),
    "parquet, null": (
        lambda d, f: parquet(f, d / "a.parquet", bytes=None), r"a\.parquet holds no bytes of 4 pictures: Dataset"
    ),
    "parquet, cut": (lambda d, f: cut(parquet(f, d / "a.parquet"), 900), r"a\.parquet is no Parquet file, or damaged"),
    "parquet, foreign": (lambda d, f: text(d / "a.parquet"), r"a\.parquet is no Parquet file"),
    "parquet, table": (lambda d, f: columns(d / "a.parquet", psnr=pa.array([1.0])), "no column struct<bytes, path>"),
    "parquet, parent": (lambda d, f: parquet(f, d / "a.parquet", ["0.png"], path="../a.png"), "leads out of it"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_is_named(kind: str, faces: Path, tmp_path: Path) -> None:
    make, message = BAD[kind]
    (tmp_path / "in").mkdir()
    place = make(tmp_path / "in", faces)
    before = names(tmp_path)
    with pytest.raises(BenchError, match=message):
        prepare_folder(place, 8, tmp_path / "cache")
    assert [name for name in names(tmp_path) if not name.startswith("cache/")] == before


@pytest.mark.parametrize("write", [zipped, tarred, parquet, lmdb])
def test_a_picture_of_absurd_size_is_not_read(write: Callable[..., Path], faces: Path, tmp_path: Path) -> None:
    place = write(faces, tmp_path / {zipped: "a.zip", tarred: "a.tar", parquet: "a.parquet", lmdb: "a"}[write])
    with sources.opened(place) as source, pytest.raises(BenchError, match=r"0\.png has more than .*: remove it"):
        source.read(source.names[0], most=100)


def test_a_group_of_rows_that_would_fill_the_memory_is_refused(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = parquet(faces, tmp_path / "a.parquet")
    monkeypatch.setattr("bench.pictures.MAX_BYTES", 2000)
    with pytest.raises(BenchError, match=r"a\.parquet: a group of 4 rows has .*: write it with row_group_size=100"):
        sources.opened(place)


def test_of_several_resolutions_one_is_taken(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "a"
    for side in (32, 64):
        for i, name in enumerate(names(faces)):
            Image.fromarray(np.full((side, side, 3), side + i, np.uint8)).save(faces / name)
        lmdb(faces, place, side)
    for size, asked, side in ((16, "", 32), (33, "", 64), (100, "", 64), (None, "", 64), (16, "64", 64)):
        with sources.opened(place / asked, size) as source:
            assert source.place == place / str(side)
        said = " ".join(capsys.readouterr().err.split())
        assert (f"32, 64 pixels: those of {side} are read" in said) is (not asked)
    small, large = (prepare_folder(place, size, tmp_path / "cache") for size in (16, 33))
    assert small.fingerprint != large.fingerprint  # one file holds both: each has hashes of its own
    assert int(small.images([0]).max()) == 32 and int(large.images([0]).max()) == 64
    with pytest.raises(BenchError, match="has no pictures of 16 pixels: choose 32, 64"):
        sources.opened(place / "16")


def test_without_lmdb_the_extra_is_named(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = lmdb(faces, tmp_path / "a")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(BenchError, match=r"is an LMDB: pip install 'face-inpaint-bench\[lmdb\]'"):
        sources.opened(place)


def test_an_lmdb_that_should_be_longer_is_not_read(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lmdb as library

    class Longer:
        """A whole environment that tells of more pages than there are."""

        def __init__(self, *given: object, **options: object) -> None:
            self.environment = opened(*given, **options)
            self.stat, self.close = self.environment.stat, self.environment.close

        def info(self) -> dict[str, int]:
            return self.environment.info() | {"last_pgno": 1 << 20}

    place, opened = lmdb(faces, tmp_path / "a"), library.open
    monkeypatch.setattr(library, "open", Longer)
    with pytest.raises(BenchError, match=r"data\.mdb is no LMDB, or damaged \([\d,]+ of [\d,]+ bytes\)"):
        sources.opened(place)
