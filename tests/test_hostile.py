"""Malformed and hostile files: one message, no traceback, nothing run, nothing else harmed."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import masks
from bench import cli, condition, suite
from bench.data.dataset import prepare_folder
from bench.errors import BenchError
from masks.errors import MaskError
from tests import hostile
from tests.reports import made_up

PROCESSOR, WALL = 15.0, 120.0  # seconds that a case may take
MEMORY = 600 * 2**20  # bytes by which a case may raise the peak
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@contextmanager
def limited() -> Iterator[None]:
    """Fail instead of hanging."""

    def stop(*_: Any) -> None:
        raise AssertionError("it hangs")

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    signal.setitimer(signal.ITIMER_REAL, WALL)
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def facebench(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The command as the shell calls it, in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["facebench", *arguments])
    with pytest.raises(SystemExit) as ended, limited():
        cli.main()
    return int(ended.value.code or 0)


def hashed(folder: Path) -> str:
    """Everything below a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(f"{path.relative_to(folder)}\0{path.lstat().st_mtime_ns}\0".encode(errors="surrogateescape"))
        total.update(path.read_bytes() if path.is_file() else b"")
    return total.hexdigest()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results that stand already, which no case may touch."""
    return made_up.write_run(tmp_path_factory.mktemp("runs") / "finished", made_up.rows(**hostile.SMALL), pictures=1)


def test_there_are_two_hundred() -> None:
    assert len(hostile.CASES) >= 200


@pytest.mark.parametrize("name", hostile.CASES)
def test_malformed_input(
    name: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    before, peak = hashed(finished), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    case = hostile.CASES[name]()
    code = facebench(case.command, monkeypatch)
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert "\x1b" not in out + err
    if not case.odd or code not in (0, 1):
        assert code == 2, err
        assert err.count("error: ") == 1 or "a new line" in name, err
        assert case.odd or case.named in err
    assert not list(tmp_path.rglob(hostile.CANARY))
    assert [path.name for path in (*tmp_path.iterdir(), *(tmp_path / "a").iterdir())] == ["a", "b"]
    if (elsewhere := place / "elsewhere").exists():
        assert [path.name for path in elsewhere.iterdir()] == ["precious.txt"]
    assert hashed(finished) == before
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < MEMORY


CACHES = {
    "listing: no JSON": ("listings/*.json", b"{"),
    "listing: a list": ("listings/*.json", b"[1, 2]"),
    "listing: numbers": ("listings/*.json", b'{"good.png": 5, "0.png": [1], "1.png": [null, 7]}'),
    "listing: deep": ("listings/*.json", b"[" * 100_000),
    "manifest: no JSON": ("32px-*/manifest.json", b"{"),
    "manifest: a list": ("32px-*/manifest.json", b"[]"),
    "manifest: deep": ("32px-*/manifest.json", b"[" * 100_000),
    "manifest: other arrays": ("32px-*/manifest.json", b'{"version": 1, "count": 3, "arrays": {"../../x": "0"}}'),
    "array: empty": ("32px-*/images.npy", b""),
    "array: text": ("32px-*/images.npy", b"hello"),
    "array: claims 10^12 images": ("32px-*/images.npy", hostile.npy("(1000000000000, 32, 32, 3)")),
    "array: objects": ("32px-*/images.npy", hostile.npy("(12, 32, 32, 3)", "|O", hostile.pickle.dumps(1))),
    "array: a broken header": ("32px-*/images.npy", b"\x93NUMPY\x01\x00\x04\x00(((("),
    "array: a header that is code": ("32px-*/images.npy", hostile.npy("__import__('os')")),
    "array: other pixels": ("32px-*/images.npy", hostile.npy("(12, 32, 32, 3)", "|u1", bytes(12 * 32 * 32 * 3))),
}


@pytest.mark.parametrize("name", CACHES)
def test_damaged_caches_are_built_again(name: str, tmp_path: Path) -> None:
    pictures, cache = tmp_path / "pictures", tmp_path / "cache"
    pictures.mkdir()
    for i in range(12):
        (pictures / f"{i}.png").write_bytes(hostile.picture("PNG", (32 + i, 40)))
    expected = prepare_folder(pictures, 32, cache).images(range(12))
    pattern, content = CACHES[name]
    (path,) = cache.glob(pattern)
    path.write_bytes(content)
    with limited():
        assert torch.equal(prepare_folder(pictures, 32, cache).images(range(12)), expected)


def values() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    )


@quick
@given(key=st.sampled_from([*hostile.SUITE, "train", "shots", "seeds", "priors", "smoke", "expect"]), value=values())
def test_suites_with_anything_in_them(key: str, value: Any) -> None:
    with limited():
        try:
            suite.parse(hostile.SUITE | {key: value}, "x.yaml")
        except (BenchError, MaskError) as error:
            assert "x.yaml" in str(error)


@quick
@given(text=st.text(alphabet="[]{}:&*<>!|-? \n\t'\"#%@`,a1.", max_size=80))
def test_yaml_of_any_kind(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"any-{os.getpid()}.yaml"
    path.write_text(text)
    with limited():
        try:
            assert isinstance(suite.content(str(path)), dict)
        except BenchError as error:
            assert path.name in str(error)


@quick
@given(
    name=st.text(max_size=30)
    | st.from_regex(
        r"(irregular|center|folder:|frozen:|degraded)/?[-0-9.a-z/>]{0,12}(\+[a-z]{0,9}){0,3}", fullmatch=True
    )
)
def test_conditions_of_any_name(name: str) -> None:
    with limited(), suppress(MaskError, BenchError):
        read = condition.parse(name)
        assert masks.parse(str(masks.parse(read.masks))) == masks.parse(read.masks)


@quick
@given(data=st.data())
def test_mask_sets_with_changed_bytes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    bits, manifest = hostile.mask_set()
    good = hostile.npz(bits=bits, manifest=hostile.np.array(hostile.json.dumps(manifest)))
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"any-{os.getpid()}.npz"
    path.write_bytes(changed)
    with limited():
        try:
            assert masks.MaskSet.load(path).fingerprint == manifest["sha256"]  # what is taken is what was saved
        except MaskError as error:
            assert path.name in str(error)


def test_suites_that_ship_stay_valid_yaml_for_the_strict_reader() -> None:
    for path in suite.SUITES.iterdir():
        if str(path).endswith(".yaml"):
            assert suite.content(Path(str(path)).stem) == yaml.safe_load(path.read_text(encoding="utf-8"))
