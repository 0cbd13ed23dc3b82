"""Completed pictures on disk: they come back bit for bit, and damage is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.archive import FILE, Archive, written
from bench.errors import BenchError

N, SIDE = 5, 33


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    """Originals, completions and holes; one picture is all hole, one has next to none."""
    rng = torch.Generator().manual_seed(0)
    originals, completed = torch.randint(0, 256, (2, N, 3, SIDE, SIDE), dtype=torch.uint8, generator=rng)
    holes = torch.rand(N, 1, SIDE, SIDE, generator=rng) < 0.5
    holes[0], holes[1] = True, False
    holes[1, 0, 3, 4] = True
    return originals, torch.where(holes, completed, originals), holes


def write(path: Path, whole: bool = False, completions: int = 1) -> None:
    _, completed, holes = drawn()
    ids = [f"{i}.png" for i in range(N)]
    with written(path, {"ids": ids, "whole": whole, "completions": completions}) as writer:
        for picture, hole in zip(completed, holes, strict=True):
            for k in range(completions):
                writer.add(picture.roll(k, 0), None if whole else hole)


@pytest.mark.parametrize("whole", [False, True])
def test_pictures_come_back_bit_for_bit(tmp_path: Path, whole: bool) -> None:
    originals, completed, holes = drawn()
    write(tmp_path / FILE, whole)
    archive = Archive.open(tmp_path / FILE)
    assert archive.ids == [f"{i}.png" for i in range(N)] and archive.whole is whole
    for numbers in ([0, 1], [2, 3, 4], [3]):
        assert torch.equal(archive.read(numbers, originals[numbers], holes[numbers]), completed[numbers])


def test_several_completions_of_an_image(tmp_path: Path) -> None:
    originals, completed, holes = drawn()
    write(tmp_path / FILE, completions=3)
    found = Archive.open(tmp_path / FILE).read([2, 4], originals[[2, 4]], holes[[2, 4]], completion=2)
    assert torch.equal(found, torch.where(holes[[2, 4]], completed[[2, 4]].roll(2, 1), originals[[2, 4]]))


def test_equal_pictures_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.zip")
    monkeypatch.setattr("time.time", lambda: 1e9)
    write(tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), written(tmp_path / FILE, {"ids": []}):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "short", "gone"])
def test_damage_is_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / FILE
    originals, _, holes = drawn()
    write(path)
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        path.write_bytes(data[:200] + bytes([data[200] ^ 255]) + data[201:])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        with written(path, {"ids": [], "format": "another 2"}):
            pass
    elif damage == "short":
        with written(path, {"ids": ["a", "b"], "whole": True, "completions": 1}) as writer:
            writer.add(originals[0], None)
    else:
        path.unlink()
    with pytest.raises(BenchError, match=r"completed.zip.*run the same command again"):
        Archive.open(path).read([0], originals[:1], holes[:1])


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    write(tmp_path / FILE)
    with pytest.raises(BenchError, match="has 33 x 33 pixels, not the originals' size"):
        Archive.open(tmp_path / FILE).read([0], torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.ones(1, 1, 8, 8) > 0)
