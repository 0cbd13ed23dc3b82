"""No command loses a file that it did not make itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import facebench
from bench import target
from bench.commands import complete
from bench.errors import BenchError
from tests.bench.test_export import call


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with faces/, copies of them, a photograph, a frozen set and two checkpoints."""
    monkeypatch.chdir(tmp_path)
    for folder in ("faces", "copies"):
        Path(folder).mkdir()
    for name, face in zip("abc", facebench.faces(3, size=32), strict=True):
        face.save(f"faces/{name}.png")
        face.save(f"copies/{name}.png")
    facebench.faces(1, size=32)[0].save("photo.png")
    call("masks", "make", "center/25", "frozen.npz", "--size", 32, "-n", 2)
    Path("frozen.csv").write_text("name,group\na,1\n")
    for name in "ab":
        save_file({name: torch.ones(2)}, f"{name}.safetensors", {"format": "pt", "step": name})
    return tmp_path


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("evaluate copies faces --metrics l1 --out photo.png", "photo.png must end in .csv"),
        (
            "evaluate copies faces --metrics l1 --out frozen.csv",
            "frozen.csv is there already, .* name another file, or",
        ),
        ("metrics probe synthfaces --out frozen.csv", "frozen.csv is there already, and this command did not write it"),
        ("cite nowhere --out frozen.csv", "frozen.csv must end in .bib"),
        ("pack nowhere --out frozen.npz", "frozen.npz must end in .zip"),
        ("data faces photo.png", "photo.png is there already, and this command did not write it"),
        ("data faces faces", "faces must end in .png"),
        ("masks show center/25 frozen.npz", "frozen.npz must end in .png"),
        ("masks show frozen.npz photo.png", "photo.png is there already"),
        ("masks show faces sheet.png", "faces is a folder of mask files: write folder:faces"),
        ("masks make center/25 sheet.png", "sheet.png must end in .npz"),
        (
            "masks make center/25 frozen.npz --size 32 -n 3",
            "frozen.npz is there already with other content, and frozen",
        ),
        ("masks make irregular/20-30 frozen.npz --size 32 -n 2", "frozen masks are never replaced: name another file,"),
        ("weights convert a.safetensors a.safetensors", "a.safetensors is given, and would be lost"),
        (
            "weights convert a.safetensors b.safetensors",
            "b.safetensors is there .* checkpoints are never replaced: name",
        ),
        ("weights convert a.safetensors b.pth", "b.pth must end in .safetensors"),
    ],
)
def test_what_is_there_is_kept(place: Path, command: str, message: str) -> None:
    before = {path: path.read_bytes() for path in place.rglob("*.*")}
    with pytest.raises(BenchError, match=message):
        call(*command.split())
    assert {path: path.read_bytes() for path in place.rglob("*.*")} == before


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("evaluate copies faces --metrics l1 --out scores.csv", "scores.csv"),
        (
            "metrics probe synthfaces --size 32 --metrics l1@hole --faults mean --out p.csv --out p.md --out p.json",
            "p.md",
        ),
        ("data faces --size 16", "synthfaces.png"),
        ("masks show frozen.npz", "masks.png"),
        ("masks make center/25 frozen.npz --size 32 -n 2", "frozen.npz"),
        ("weights convert a.safetensors c.safetensors", "c.safetensors"),
    ],
)
def test_the_same_command_may_be_given_again(place: Path, command: str, file: str) -> None:
    call(*command.split())
    made = Path(file).read_bytes()
    call(*command.split())
    assert len(Path(file).read_bytes()) == len(made)


def test_a_converted_file_keeps_what_its_source_says_of_itself(place: Path) -> None:
    call("weights", "convert", "a.safetensors", "c.safetensors")
    with safe_open("c.safetensors", "pt") as converted:
        assert converted.metadata() == {"format": "pt", "step": "a", "structure": '{"a": "a"}'}


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(BenchError, match=r"pipe\.csv is no file"):
        target.check(tmp_path / "pipe.csv", target.CSV)
    target.save_png(tmp_path / "a.PNG", Image.new("L", (8, 8)))
    target.check(tmp_path / "a.PNG", target.PNG)


def test_a_folder_of_pictures_is_compared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every result with every file that is given: 800 pictures took 15 s."""
    names: list[str] = [str(i) for i in range(50)]
    followed: list[Path] = []

    def follow(path: Path) -> str:
        followed.append(path)
        return str(path)

    images = {name: tmp_path / "in" / f"{name}.png" for name in names}
    monkeypatch.setattr(target, "realpath", follow)
    (tmp_path / "in").mkdir()
    complete._targets(tmp_path / "out", tmp_path / "in", images, {}, [*images.values()])
    assert len(followed) <= 2 * len(names)
