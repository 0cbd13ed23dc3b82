"""`facebench doctor`: folders as people have them, and what is said of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import cli
from bench.doctor import Findings, examine
from bench.errors import BenchError
from bench.runner.attempt import explained
from bench.store import MARK

N, SIDE = 6, 32


def picture(i: int, width: int = SIDE) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (SIDE, width, 3), dtype=np.uint8)


def hole() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:24, 8:24] = 255
    return mask


def save(path: Path, values: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def call(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli.app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def commands(found: Findings, folder: Path) -> list[str]:
    """What is to be done, with `DIR` for the folder and without remarks."""
    return [line.partition("  #")[0].replace(str(folder), "DIR") for line in found.do]


@pytest.mark.parametrize(
    ("names", "tool", "wanted"),
    [
        (["{:03d}_mask001"], "LaMa", ['DIR ORIGINALS --match "{name}_mask001"']),
        (
            ["{:03d}_masked", "{:03d}_pred", "{:03d}_comp"],
            "AOT-GAN",
            ['DIR ORIGINALS --match "{name}_comp"', 'DIR ORIGINALS --match "{name}_pred"'],
        ),
        (
            ["{:06d}_0_inpaint", "{:06d}_0_gt", "{:06d}_0_mask"],
            "EXE-GAN",
            ['DIR DIR --match "{name}_0_inpaint" --match-truth "{name}_0_gt"'],
        ),
        (
            ["gt/{:06d}_gt", "iter_3/{:06d}_inpaint"],
            "GRIG",
            ['DIR/iter_3 DIR/gt --match "{name}_inpaint" --match-truth "{name}_gt"'],
        ),
        (["{:03d}_0", "{:03d}_1"], "", ['DIR ORIGINALS --match "{name}_0"', 'DIR ORIGINALS --match "{name}_1"']),
        (["{:03d}/0", "{:03d}/1"], "", ['DIR ORIGINALS --match "{name}/0"', 'DIR ORIGINALS --match "{name}/1"']),
    ],
    ids=["lama", "aot", "exegan", "grig", "several", "folder-an-image"],
)
def test_names_of_programs_have_their_pattern(tmp_path: Path, names: list[str], tool: str, wanted: list[str]) -> None:
    for i in range(N):
        for k, name in enumerate(names):
            save(tmp_path / f"{name.format(i)}.png", picture(10 * i + k))
    found = examine(tmp_path)
    assert [line for line in commands(found, tmp_path) if "evaluate" in line] == [
        f"facebench evaluate {w}" for w in wanted
    ]
    assert {group.tool for group in found.groups} == {tool}
    assert ("several files of each image" in str(found)) == (len(names) > 1 and "/{" not in names[0])
    assert not found.refused


def test_a_command_that_it_says_works(tmp_path: Path) -> None:
    for i in range(N):
        save(tmp_path / "done" / f"{i:06d}_0_inpaint.png", picture(i))
        save(tmp_path / "done" / f"{i:06d}_0_gt.png", picture(i + 50))
        save(tmp_path / "done" / f"{i:06d}_0_mask.png", hole())
    (command,) = [line for line in examine(tmp_path / "done").do if "evaluate" in line]
    arguments = [word.strip('"') for word in command.split()[1:]]
    assert "25.0 to 25.0 %" in call(*arguments, "--metrics", "psnr")


def test_a_command_for_originals_beside_their_masks_works(tmp_path: Path) -> None:
    for i in range(N):
        save(tmp_path / "in" / f"{i:03d}.png", picture(i))
        save(tmp_path / "in" / f"{i:03d}_mask001.png", hole())
        save(tmp_path / "done" / f"{i:03d}.png", picture(i + 50))
    (command,) = [line for line in examine(tmp_path / "in").do if "evaluate RESULTS" in line]
    command = command.partition("  #")[0].replace("RESULTS", str(tmp_path / "done"))
    assert "25.0 to 25.0 %" in call(*(word.strip('"') for word in command.split()[1:]), "--metrics", "psnr")


def test_photographs(tmp_path: Path) -> None:
    for i in range(N):
        save(tmp_path / f"{i}.jpg", picture(i), exif=_turned())
    save(tmp_path / "copy.png", np.asarray(Image.open(tmp_path / "0.jpg").transpose(Image.Transpose.ROTATE_270)))
    save(tmp_path / "wide.png", picture(9, 2 * SIDE))
    save(tmp_path / "clear.png", np.dstack([picture(8), hole()]))
    (tmp_path / "a.heic").touch()
    (tmp_path / "list.txt").touch()
    (tmp_path / "data.mdb").touch()
    found = examine(tmp_path)
    assert (found.pictures, found.turned, found.transparent) == (N + 3, N, 1)
    assert found.kinds == {"photographs or results": N + 3}
    assert found.sizes == {"32 x 32": N + 2, "64 x 32": 1} and found.odd_sizes == ("wide.png",)
    assert found.stored == {"8-bit colour": N + 2, "8-bit colour with alpha": 1}
    assert found.copies == (("0.jpg", "copy.png"),)
    assert "wide.png is 64x32 but" in "\n".join(found.refused)
    assert "1 .heic (not read: save them as PNG)" in str(found) and "LMDB (.mdb) is not read" in str(found)
    assert f"facebench run folder --data {tmp_path}" in str(found)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    ("values", "kind", "said", "option"),
    [
        (hole(), "masks", "(most likely), it covers 25.0 %", ""),
        (255 - hole(), "masks", "perhaps black is the hole), it covers 75.0 %", ""),
        (hole() // 255, "masks", "6 hold 0 and 1", ""),
        (hole().astype(np.uint16) * 257, "masks", "16-bit grey", ""),
        (hole().clip(10, 240), "masks with grey values", "is no mask: it holds 2 values (10, 240)", "/>127"),
    ],
    ids=["white", "inverted", "zero-one", "sixteen-bit", "grey"],
)
def test_masks(tmp_path: Path, values: np.ndarray, kind: str, said: str, option: str) -> None:
    for i in range(N):
        save(tmp_path / f"{i}_mask.png", values)
    found = examine(tmp_path)
    assert found.kinds == {kind: N}
    assert said in str(found)
    threshold = " --mask-threshold 127" if option else ""
    assert commands(found, tmp_path) == [
        f'facebench evaluate RESULTS ORIGINALS --masks DIR --match-masks "{{name}}_mask"{threshold}',
        f"facebench run folder --data PICTURES --masks DIR{threshold}",
        f"folder:DIR{option}",
    ]


def test_masks_that_say_nothing_are_named(tmp_path: Path) -> None:
    for name, value in (("a", 0), ("b", 255)):
        save(tmp_path / f"{name}.png", np.full((SIDE, SIDE), value, np.uint8))
    for i in range(N):
        save(tmp_path / f"{i}.png", hole())
    found = examine(tmp_path)
    assert found.kinds == {"masks": N + 2}
    assert "a.png has no hole" in found.refused[0] and "b.png is all hole" in found.refused[1]


def test_label_maps_and_part_files(tmp_path: Path) -> None:
    """The numbers are CelebAMask-HQ's: hair 13 above neck 17."""
    maps = np.zeros((SIDE, SIDE), np.uint8)
    maps[:8], maps[8:20], maps[24:] = 13, 1, 17
    for i in range(N):
        save(tmp_path / "labels" / f"{i}.png", maps)
        save(tmp_path / "parts" / "0" / f"{i:05d}_hair.png", hole())
        save(tmp_path / "parts" / "1" / f"{i + 2000:05d}_neck.png", hole())
    found = examine(tmp_path)
    assert found.kinds == {"label maps": N, "part files of CelebAMask-HQ": 2 * N}
    assert found.order == "celebamask-hq" and "13 hair, 17 neck" in str(found)
    assert commands(found, tmp_path) == [
        "facebench run folder --data PICTURES --labels DIR/labels --labels-order celebamask-hq",
        "facebench run folder --data PICTURES --labels DIR/parts",
    ]
    assert ["most hair lies below mouth and neck" in line for line in found.refused] == [True]


def test_what_a_folder_of_data_must_not_hold_is_refused_in_the_readers_words(tmp_path: Path) -> None:
    for i in range(N):
        save(tmp_path / f"{i}.png", picture(i))
        save(tmp_path / f"{i}_m.png", hole())
    refused = "\n".join(examine(tmp_path).refused)
    assert "run --data: 6 of 12 files are masks or label maps" in refused
    assert "run --masks: " in refused and "0.png is no mask: it has colours" in refused
    save(tmp_path / "0.jpg", picture(0))
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:500])
    refused = "\n".join(examine(tmp_path).refused)
    assert "broken.png is damaged" in refused
    assert "evaluate: completed: " in refused and "have one name: rename or remove one of them" in refused


def test_what_lies_below_is_told(tmp_path: Path) -> None:
    for i in range(20):
        save(tmp_path / "many" / f"{i:05d}" / f"{i:05d}.png", picture(i))
    save(tmp_path / "many" / "runs" / "x.png", picture(0))
    (tmp_path / "many" / "runs" / MARK).touch()
    found = examine(tmp_path / "many")
    assert found.pictures == 20 and found.left_out == ("runs/ (runs of facebench)",)
    assert "20 {name} in 20 folders, as FFHQ writes them" in str(found)
    assert any("completed: no images in" in line for line in found.refused)
    assert commands(found, tmp_path / "many") == ["facebench run folder --data DIR"]
    (tmp_path / "empty").mkdir()
    assert "has no images" in examine(tmp_path / "empty").refused[0]


def test_the_command_looks_at_anything_and_refuses_what_is_no_folder(tmp_path: Path) -> None:
    save(tmp_path / "[bold]a.png", picture(0))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert "bad.png is not a PNG" in call("doctor", tmp_path)
    found = json.loads(call("doctor", tmp_path, "--json"))
    assert found["pictures"] == 2 and found["kinds"]["files that are refused"] == 1
    for path, reason in ((tmp_path / "none", "does not exist"), (tmp_path / "bad.png", "is a file")):
        with pytest.raises(BenchError, match=reason):
            call("doctor", path)


def test_it_starts_without_torch(tmp_path: Path) -> None:
    save(tmp_path / "a.png", picture(0))
    code = f"import sys; from bench.doctor import examine; examine({str(tmp_path)!r}); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """done/, with a name that LaMa would give, truth/ and masks/."""
    for i in range(N):
        truth, mask = picture(i), hole()
        save(tmp_path / "truth" / f"{i}.png", truth)
        save(tmp_path / "masks" / f"{i}.png", mask)
        save(tmp_path / "done" / f"{i}_mask001.png", np.where(mask[..., None] > 0, picture(90 + i), truth))
    return tmp_path


def test_results_are_compared_with_originals_and_masks(sets: Path) -> None:
    done, truth, masks = sets / "done", sets / "truth", sets / "masks"
    shown = call("doctor", done, "--truth", truth, "--masks", masks).replace("\n", "")
    command = f'facebench evaluate {done} {truth} --masks {masks} --match "{{name}}_mask001"'
    assert f"all 6 pair, and their sizes agree: {command}" in shown
    assert "do not hold the original under their holes" in shown
    for i in range(N):
        save(masks / f"{i}.png", 255 - hole())
    assert "black seems to be the hole: say --invert-masks" in call("doctor", done, "--truth", truth, "--masks", masks)
    save(truth / "0.png", picture(0, 2 * SIDE))
    assert "refused: " in call("doctor", done, "--truth", truth)
    with pytest.raises(BenchError, match="--masks goes with --truth"):
        call("doctor", done, "--masks", masks)


def test_refusals_of_files_name_the_command(sets: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Names, sizes, masks, polarity, annotations, orders of labels: each points to the folder that it is about."""
    done, truth = sets / "done", sets / "truth"
    named = ["evaluate", done, truth, "--match", "{name}_mask001", "--metrics", "psnr"]
    runs = ["--out", sets / "runs", "--size", "32", "--methods", "mean", "--plan"]
    grey, inverted, wide, maps, both = (sets / name for name in ("grey", "inverted", "wide", "maps", "both"))
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[:8], labels[8:20], labels[24:] = 13, 1, 17
    for i in range(N):
        save(grey / f"{i}.png", hole().clip(10, 240))
        save(inverted / f"{i}.png", 255 - hole())
        save(wide / f"{i}.png", picture(i, 2 * SIDE))
    for i in range(20):
        save(maps / f"{i}.png", labels)
        save(both / f"{i}.png", picture(i))
        save(sets / "data" / f"{i}.png", picture(i))
    save(both / "m.png", hole())
    data = ["run", "folder", "--data", sets / "data", *runs]
    cases: list[tuple[list[str | Path], str, Path | None]] = [
        (["evaluate", done, truth], "they match with", truth),
        ([*named, "--masks", grey], "is no mask", grey),
        ([*named, "--masks", inverted], "say --invert-masks", inverted),
        (["evaluate", wide, truth, "--metrics", "psnr"], "sizes differ", wide),
        (["run", "folder", "--data", both, *runs], "masks or label maps", both),
        ([*data, "--labels", maps], "most hair lies below", maps),
        ([*data, "--masks", grey], "is no mask", grey),
        (["masks", "check", grey], "is no mask", grey),
        (["evaluate", done, sets / "nothing"], "is not a folder", None),
        (["evaluate", done, truth, "--metrics", ","], "names no metric", None),
    ]
    for arguments, reason, folder in cases:
        monkeypatch.setattr(sys, "argv", ["facebench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and reason in said, said
        assert said.count("facebench doctor") == (folder is not None), said
        assert folder is None or f"`facebench doctor {folder}` says" in said, said
    with pytest.raises(BenchError) as raised:  # in Python the folder is an attribute, and the message stays as it is
        call("masks", "check", grey)
    assert raised.value.folder == grey and "doctor" not in str(raised.value)
    assert f"`facebench doctor {grey}` says" in explained(raised.value)  # of a job
