"""The commands as a user types them."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import masks
from bench import cli, registry
from bench.errors import BenchError
from masks.generators.semantic import LABELS

FACEBENCH = str(Path(sys.executable).with_name("facebench"))


def call(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


COMMANDS = [
    [], ["list"], ["info"], ["run"], ["report"], ["compare"], ["pack"], ["cite"], ["export", "hub"], ["verify", "pack"],
    ["complete"], ["site"],
    ["published"], ["doctor"], ["data"], ["data", "check"], ["data", "list"], ["data", "faces"],
    ["evaluate"], ["weights"], ["weights", "list"], ["weights", "fetch"], ["weights", "add"], ["weights", "convert"],
    ["masks"], ["masks", "make"], ["masks", "show"], ["masks", "check"], ["metrics"], ["metrics", "probe"],
    ["verify"], ["verify", "golden"], ["verify", "run"], ["score"], ["export"], ["export", "images"],
    ["suite"], ["suite", "list"], ["suite", "show"], ["suite", "schema"],
    ["jobs"], ["jobs", "list"], ["jobs", "remove"], ["jobs", "clean"], ["jobs", "disk"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches(command: list[str]) -> None:
    """Every command, option and argument says what it is."""
    output = call(*command, "--help")
    assert "Usage" in output
    group = cli.typer.main.get_command(cli.app)
    for name in command:
        group = group.commands[name]
    assert group.help
    assert all(
        getattr(p, "help", None) for p in group.params if p.name not in ("install_completion", "show_completion")
    )


def test_list_shows_every_method_metric_and_generator() -> None:
    shown = call("list")
    assert all(entry.card.name in shown for entry in registry.entries().values())
    listed = call("list", "--metrics")
    assert "perceptual@embedded" in listed
    assert "identity@embedded: knows pictures, not persons" in listed
    generators = call("list", "--masks")
    assert all(name in generators.split() or f"{name}," in generators.split() for name in masks.GENERATORS)
    assert generators.count("the region of that name") == 1
    with pytest.raises(BenchError, match="no method has the task"):
        call("list", "--task", "nothing")


@pytest.mark.parametrize("slug", registry.entries())
def test_info_shows_the_card(slug: str) -> None:
    shown = call("info", slug)
    assert registry.get(slug).card.name in shown
    assert "preset paper" in shown and "False" not in shown.partition("preset")[0]


def test_version() -> None:
    assert call("--version").startswith("face-inpaint-bench ")


def test_masks_are_made_shown_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "masks.npz"
    call("masks", "make", "irregular/20-30", str(path), "--size", "64", "-n", "5")
    assert "sound" in call("masks", "check", str(path))
    call("masks", "show", str(path), str(tmp_path / "sheet.png"))
    assert Image.open(tmp_path / "sheet.png").width > 64
    call("masks", "show", "irregular", str(tmp_path / "plot.png"), "--buckets", "10-20", "--size", "32")
    assert Image.open(tmp_path / "plot.png").width > 64
    folder = tmp_path / "folder"
    folder.mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[:16] = 255
    Image.fromarray(mask).save(folder / "a.png")
    assert "20-30 %" in call("masks", "check", str(folder))


def test_masks_that_belong_to_pictures_are_made_with_them(tmp_path: Path) -> None:
    for arguments in (["make", "hair"], ["show", "local"], ["show", "hair", "--buckets", "10-20"]):
        with pytest.raises(BenchError, match=r"cannot be made without pictures: name it in a suite .* `labels`"):
            call("masks", *arguments[:2], str(tmp_path / "x.npz"), *arguments[2:])
    assert not list(tmp_path.iterdir())
    hair = np.full((64, 64), LABELS.index("hair"))
    hair[:20] = 0
    masks.MaskSet.make("hair", 64, 1, 0, semantics=[hair]).save(tmp_path / "hair.npz")
    checked = " ".join(call("masks", "check", f"{tmp_path}/hair.npz").split())
    assert checked.endswith("sound, not drawn again: its label maps are not in the file")


def test_faces_are_drawn(tmp_path: Path) -> None:
    call("data", "faces", str(tmp_path / "faces.png"), "--size", "32")
    assert Image.open(tmp_path / "faces.png").size == (8 * 32, 4 * 32)


def test_data_check_counts(tmp_path: Path) -> None:
    for i in range(12):
        Image.fromarray(np.full((40, 40, 3), i * 20, np.uint8)).save(tmp_path / f"{i}.png")
    result = CliRunner().invoke(cli.app, ["data", "check", "anime", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 1
    assert "12" in result.output
    assert "chase" in call("data", "list")


def test_published_tables_are_listed_and_shown() -> None:
    assert "thesis 5.1" in call("published").splitlines()
    assert "EXE-GAN" in call("published", "thesis 5.1") == call("published", "thesis-5.1")
    assert call("published", "thesis 4.6", "--format", "md").count("|") > 20
    assert call("published", "thesis 4.6", "--format", "tex").startswith("\\begin{table}")
    assert "62.76" in call("published", "thesis 4.6", "--format", "csv")
    with pytest.raises(BenchError, match=r"no published table 'thesis 5.9'; there are thesis 5\.\d"):
        call("published", "thesis 5.9")
    with pytest.raises(BenchError, match="--format: 'pdf' is none of rich, md, csv, tex"):
        call("published", "thesis 4.6", "--format", "pdf")


def test_a_smoke_run_is_planned(tmp_path: Path) -> None:
    shown = call("run", "thesis-4.6", "--smoke", "--plan", "--out", str(tmp_path))
    assert "train grig (tiny) as GRIG (T = 1) on synthfaces" in shown
    with pytest.raises(BenchError, match="the suite folder has no `smoke` section"):
        call("run", "folder", "--smoke", "--out", str(tmp_path))


def test_published_data_sets_are_asked_for(tmp_path: Path) -> None:
    wanted = "--data celeba-hq=DIR --data ffhq=DIR"
    with pytest.raises(BenchError, match=f"needs your copies of its data sets, all or some: {wanted}"):
        call("run", "thesis-5.1", "--plan", "--out", str(tmp_path))
    with pytest.raises(BenchError, match=f"--data celebahq=x: the suite takes {wanted}"):
        call("run", "thesis-5.1", "--data", "celebahq=x", "--out", str(tmp_path))


def test_errors_are_one_message_and_exit_code_two(tmp_path: Path) -> None:
    for arguments, text in (
        (["run", "quikstart"], "did you mean quickstart"),
        (["info", "tela"], "did you mean telea"),
        (["masks", "make", "irregular/30-30", str(tmp_path / "x.npz")], "30-30"),
        (["verify", "golden", str(tmp_path), "--keys", str(tmp_path)], "no golden files"),
        (["report", str(tmp_path)], str(tmp_path)),
        (["published", "thesis"], "there is no published table"),
        (["weights", "fetch", "grig"], "by hand"),
        (["evaluate", str(tmp_path), str(tmp_path.parent)], "no images in"),
    ):
        done = subprocess.run([FACEBENCH, *arguments], capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert text in done.stderr


def test_what_may_not_be_opened_is_one_message(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def refused() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/closed/a")

    monkeypatch.setattr(cli, "app", refused)
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert capsys.readouterr().err == (
        "error: cannot open /closed/a: Permission denied; check its permissions, or choose another place\n"
    )


def test_weights_are_listed_added_and_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from safetensors.torch import load_file

    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path / "weights"))
    file = tmp_path / "given.pt"
    torch.save({"g": {"w": torch.ones(2)}, "iter": 1}, file)
    shown = call("weights", "list")
    assert "vgg16" in shown
    assert "528 MB" in shown
    assert "by hand" in shown
    assert "sound, SHA-256" in call("weights", "add", "exegan-256", str(file))
    assert "exegan-256" in call("weights", "list", "--here")
    assert "vgg16" not in call("weights", "list", "--here")
    assert "1 tensors" in call("weights", "convert", str(file), str(tmp_path / "out.safetensors"))
    assert list(load_file(tmp_path / "out.safetensors")) == ["g.w"]
    with pytest.raises(BenchError, match="not the official file"):
        call("weights", "add", "vgg16", str(file))


def test_weights_that_a_suite_needs_and_this_machine_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path / "weights"))
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "{suite: mine, data: [{name: synthfaces, train: 16, test: 8}], size: 64, "
        "methods: [telea, {method: aot, preset: tiny}], conditions: [center/25], "
        "metrics: [psnr, lpips@alex], train: {features: official}, report: {main: [psnr]}}"
    )
    shown = call("weights", "list", "--for", str(suite))
    assert [line.split()[0] for line in shown.splitlines()[1:3]] == ["vgg19", "alexnet"]
    assert "inception" not in shown
    suite.write_text(suite.read_text().replace("official", "embedded").replace("lpips@alex", "l1@hole"))
    assert "this machine has every file" in call("weights", "list", "--for", str(suite))
    for own in ("folder", "few-shot"):  # of images that are not named yet
        assert "List should have" not in call("weights", "list", "--for", own)
    with pytest.raises(BenchError, match="give one of them"):
        call("weights", "list", "--here", "--for", str(suite))


def test_a_run_without_a_terminal_says_at_once_that_it_has_begun(tmp_path: Path) -> None:
    """Before the libraries are there, whose import takes longest."""
    arguments = ["run", "nothing", "--out", str(tmp_path)]
    code = f"import sys; sys.modules['torch'] = None; sys.argv[1:] = {arguments}; from bench.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.startswith("suite nothing: getting ready\n")


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Twelve completed images that also differ outside the hole, their originals, and masks."""
    rng = np.random.default_rng(0)
    for name in ("completed", "truth", "masks"):
        (tmp_path / name).mkdir()
    for i in range(12):
        truth = rng.integers(0, 200, (64, 64, 3), dtype=np.uint8)
        mask = np.zeros((64, 64), np.uint8)
        mask[16:48, 16:48] = 255
        Image.fromarray(truth).save(tmp_path / f"truth/{i}.png")
        Image.fromarray(truth + rng.integers(1, 40, truth.shape, dtype=np.uint8)).save(tmp_path / f"completed/{i}.png")
        Image.fromarray(mask).save(tmp_path / f"masks/{i}.png")
    return {name: str(tmp_path / name) for name in ("completed", "truth", "masks")}


def test_evaluate_measures_folders(folders: dict[str, str], tmp_path: Path) -> None:
    import pandas as pd

    from bench import metrics

    names = "psnr,l1,fid,fid@embedded,lpips@alex,perceptual@embedded,identity@embedded"
    arguments = ["evaluate", folders["completed"], folders["truth"], "--metrics", names]
    shown = call(*arguments, "--out", str(tmp_path / "raw.csv"))
    assert "not computed" in shown
    table = pd.read_csv(tmp_path / "raw.csv").set_index("metric")
    assert list(table) == ["title", "extractor", "value", "low", "high", "n", "note", "images", "caution"]
    assert shown.count("identity@embedded: knows pictures, not persons") == 1
    assert table["caution"].notna().sum() == 1
    assert set(table["images"]) == {"as given"}
    assert (table["n"] == 12).all()
    assert table.loc["psnr", "low"] < table.loc["psnr", "value"] < table.loc["psnr", "high"]
    assert np.isnan(table.loc["fid", "value"])
    assert "weights fetch inception-fid" in table.loc["fid", "note"]
    for name, row in table.iterrows():  # no number of one network can be taken for another's
        embedded = [metrics.get(str(name)).extractor == "embedded", "@embedded" in str(name)]
        embedded += ["embedded" in row["title"], "embedded" in str(row["extractor"])]
        assert len(set(embedded)) == 1
    call(*arguments, "--masks", folders["masks"], "--out", str(tmp_path / "pasted.csv"))
    pasted = pd.read_csv(tmp_path / "pasted.csv").set_index("metric")
    assert set(pasted["images"]) == {"composite"}
    assert pasted.loc["l1", "value"] == pytest.approx(table.loc["l1", "value"] / 4, rel=0.05)
    again = call(*arguments, "--masks", folders["masks"], "--raw", "--out", str(tmp_path / "again.csv"))
    assert "as given" in again
    assert pd.read_csv(tmp_path / "again.csv").set_index("metric").loc["l1", "value"] == table.loc["l1", "value"]


def test_evaluate_names_what_is_wrong(folders: dict[str, str], tmp_path: Path) -> None:
    completed, truth, masks = folders.values()
    with pytest.raises(BenchError, match="did you mean fid"):
        call("evaluate", completed, truth, "--metrics", "fidd")
    with pytest.raises(BenchError, match="l1@hole looks at the holes: add --masks DIR"):
        call("evaluate", completed, truth, "--metrics", "l1@hole")
    with pytest.raises(BenchError, match="damage is measured before known pixels are pasted: say --raw"):
        call("evaluate", completed, truth, "--masks", masks, "--metrics", "psnr,damage")
    with pytest.raises(BenchError, match="fid@embedded/train: say fid@embedded/reference, and --reference DIR"):
        call("evaluate", completed, truth, "--metrics", "fid@embedded/train")
    result = CliRunner().invoke(cli.app, ["evaluate", completed, truth, "--metrics", "fid,lpips@alex"])
    assert result.exit_code == 1  # nothing could be computed
    Image.new("RGB", (32, 64)).save(f"{truth}/3.png")
    for extra in ([], ["--masks", masks]):
        with pytest.raises(BenchError, match=r"truth.*3\.png is 32x64 but"):
            call("evaluate", completed, truth, "--metrics", "psnr", *extra)
    for i in range(12):
        Image.new("RGB", (32, 32)).save(f"{truth}/{i}.png")
    with pytest.raises(BenchError, match=r"sizes differ: .*0\.png \(completed\) is 64x64, .*0\.png \(truth\) is 32x32"):
        call("evaluate", completed, truth, "--metrics", "psnr")
    Path(f"{truth}/3.png").rename(f"{truth}/other.png")
    for extra in ([], ["--masks", masks]):
        with pytest.raises(BenchError, match=r"truth: .* do not match: 1 missing \(3\) and 1 not expected \(other\)"):
            call("evaluate", completed, truth, "--metrics", "psnr", *extra)


def test_a_remedy_for_masks_works_as_it_is_said(folders: dict[str, str]) -> None:
    """Grey values are refused by every command, and the option that the message names parts them."""
    completed, truth, masks = folders.values()
    for path in Path(masks).iterdir():
        soft = np.asarray(Image.open(path)).clip(20, 230)
        Image.fromarray(soft).save(path)
    runs, few = str(Path(truth).parent / "runs"), ["--size", "64", "--methods", "mean", "--plan"]
    commands = {
        "psnr": ["evaluate", completed, truth, "--masks", masks, "--metrics", "psnr"],
        "12 masks": ["masks", "check", masks],
        "score mean": ["run", "folder", "--data", truth, "--out", runs, "--masks", masks, *few],
    }
    for shown, command in commands.items():
        with pytest.raises(BenchError, match=r"png is no mask: it holds 2 values \(20, 230\).*--mask-threshold 127"):
            call(*command)
        assert shown in call(*command, "--mask-threshold", "127")


def test_masks_that_say_nothing_are_refused_by_name(folders: dict[str, str]) -> None:
    completed, truth, masks = folders.values()
    for value, reason in ((0, "has no hole"), (255, "is all hole")):
        Image.new("L", (64, 64), value).save(f"{masks}/7.png")
        with pytest.raises(BenchError, match=rf"7\.png {reason}.*mend or remove it"):
            call("evaluate", completed, truth, "--masks", masks, "--metrics", "psnr")
    Image.new("L", (64, 64), 0).save(f"{masks}/7.png")
    with pytest.raises(BenchError, match=r"without a hole are 7\.png"):
        call("masks", "check", masks)
    Image.new("L", (64, 64), 255).save(f"{masks}/7.png")
    assert f"all hole are 7.png: refused but in a bucket, folder:{masks}/90-100" in call("masks", "check", masks)


def test_options_of_mask_files_are_refused_beside_a_frozen_set(tmp_path: Path) -> None:
    call("masks", "make", "center/25", f"{tmp_path}/a.npz", "--size", "32", "-n", "1")
    with pytest.raises(BenchError, match=r"--invert-masks is for folders of mask files, and .*a\.npz is a frozen set"):
        call("masks", "check", f"{tmp_path}/a.npz", "--invert-masks")


def test_the_card_of_edgeconnect_names_celeba_alone() -> None:
    assert any(line.rstrip().endswith(" celeba") for line in call("info", "edgeconnect").splitlines())


def test_evaluate_pairs_the_names_of_other_programs(folders: dict[str, str]) -> None:
    """The message says the pattern, and the pattern works."""
    completed, truth, masks = folders.values()
    psnr = ["--metrics", "psnr"]
    expected = call("evaluate", completed, truth, *psnr)
    for path in Path(completed).iterdir():
        path.rename(path.with_name(f"{path.stem}_pred.PNG"))
    for path in Path(masks).iterdir():
        path.rename(path.with_name(f"{path.stem}_mask001.png"))
    with pytest.raises(BenchError, match=r'truth: .*; they match with --match "\{name\}_pred"$'):
        call("evaluate", completed, truth, *psnr)
    found = ["--match", "{name}_pred"]
    assert call("evaluate", completed, truth, *psnr, *found) == expected
    with pytest.raises(BenchError, match=r'masks: .*; they match with --match-masks "\{name\}_mask001"$'):
        call("evaluate", completed, truth, *psnr, *found, "--masks", masks)
    shown = call("evaluate", completed, truth, *psnr, *found, "--masks", masks, "--match-masks", "{name}_mask001")
    assert "holes: 25.0 % of a picture on average, 25.0 to 25.0 %" in shown
    for path in Path(truth).iterdir():
        path.rename(path.with_name(f"{path.stem}_gt.png"))
    with pytest.raises(BenchError, match=r'--match "\{name\}_pred" --match-truth "\{name\}_gt"$'):
        call("evaluate", completed, truth, *psnr)
    assert call("evaluate", completed, truth, *psnr, *found, "--match-truth", "{name}_gt") == expected


def test_masks_beside_the_results_are_not_measured(folders: dict[str, str]) -> None:
    completed, truth, masks = folders.values()
    arguments = ["evaluate", completed, truth, "--masks", masks, "--metrics", "psnr"]
    expected = call(*arguments)
    for path in Path(masks).iterdir():
        (Path(completed) / f"{path.stem}_mask.png").write_bytes(path.read_bytes())
    with pytest.raises(BenchError, match=r'say which one with --match "\{name\}" \(or --match "\{name\}_mask"\)$'):
        call(*arguments)
    shown = call(*arguments, "--match", "{name}")
    assert "12 files of other names" in shown and shown.endswith(expected)
    with pytest.raises(BenchError, match=r"12 of 12 results are masks .*0_mask\.png \(mask\)"):
        call(*arguments, "--match", "{name}_mask")
    Image.new("L", (64, 64)).save(f"{masks}/more.png")
    with pytest.raises(BenchError, match=r'not expected \(more\); they match with --match-masks "\{name\}"$'):
        call(*arguments, "--match", "{name}")
    assert call(*arguments, "--match", "{name}", "--match-masks", "{name}").endswith(expected)
    Path(f"{completed}/3.png").unlink()
    with pytest.raises(BenchError, match=r"not expected \(3, more\)"):
        call(*arguments, "--match", "{name}")
    assert "11 of 12 originals have a result" in call(*arguments, "--match", "{name}", "--match-masks", "{name}")


def test_masks_beside_the_originals_are_no_originals(folders: dict[str, str]) -> None:
    """As LaMa has them: NAME.png and NAME_mask001.png in one folder, and its results are called like the masks."""
    completed, truth, masks = folders.values()
    psnr = ["--metrics", "psnr"]
    expected = call("evaluate", completed, truth, "--masks", masks, *psnr)
    for path in Path(masks).iterdir():
        path.rename(Path(truth) / f"{path.stem}_mask001.png")
    for path in Path(completed).iterdir():
        path.rename(path.with_name(f"{path.stem}_mask001.png"))
    given = ["evaluate", completed, truth, "--masks", truth, "--match-masks", "{name}_mask001", *psnr]
    with pytest.raises(BenchError, match=r'12 missing .*; they match with --match "\{name\}_mask001"$'):
        call(*given)
    given += ["--match", "{name}_mask001"]
    assert "12 of 24 originals" in call(*given)
    assert call(*given, "--match-truth", "{name}").endswith(expected)
    with pytest.raises(BenchError, match=r"truth: 12 of 12 originals are masks .*0_mask001\.png \(mask\)"):
        call("evaluate", completed, truth, *given[-2:], "--match-truth", "{name}_mask001", *psnr)


def test_a_pattern_that_was_said_is_not_advised_again(folders: dict[str, str]) -> None:
    completed, truth, masks = folders.values()
    for path in [*Path(masks).iterdir()]:
        path.rename(path.with_name(f"{path.stem}_mask001.png"))
    Image.new("L", (64, 64)).save(f"{masks}/more_mask001.png")
    with pytest.raises(BenchError, match=r"1 not expected \(more\)$"):
        call("evaluate", completed, truth, "--masks", masks, "--match-masks", "{name}_mask001", "--metrics", "psnr")


def test_one_folder_given_twice_is_refused(folders: dict[str, str]) -> None:
    completed, truth, _ = folders.values()
    with pytest.raises(BenchError, match="completed and truth are one folder"):
        call("evaluate", truth, f"{truth}/../truth", "--metrics", "psnr")
    with pytest.raises(BenchError, match="truth and masks are one folder"):
        call("evaluate", completed, truth, "--masks", truth, "--metrics", "psnr")


def test_other_masks_and_inverted_ones_are_told(folders: dict[str, str], tmp_path: Path) -> None:
    import pandas as pd

    completed, truth, masks = folders.values()
    for i in range(12):
        image = np.array(Image.open(f"{truth}/{i}.png"))
        image[16:48, 16:48] = 100
        Image.fromarray(image).save(f"{completed}/{i}.png")
    arguments = ["evaluate", completed, truth, "--masks", masks, "--metrics", "psnr"]
    expected = call(*arguments)
    assert "under the hole" not in expected
    for path in Path(masks).iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    with pytest.raises(BenchError, match=r"masks: inside the holes 12 of 12 .* say --invert-masks"):
        call(*arguments)
    assert call(*arguments, "--invert-masks") == expected
    assert "20-30 %   12" in call("masks", "check", masks, "--invert-masks")
    with pytest.raises(BenchError, match="--invert-masks goes with --masks"):
        call("run", "quickstart", "--invert-masks")
    half = np.zeros((64, 64), np.uint8)
    half[:, :32] = 255
    for path in Path(masks).iterdir():
        Image.fromarray(half).save(path)
    for extra in ([], ["--raw"]):
        assert "hold the original under the hole: 75%" in call(*arguments, *extra, "--out", str(tmp_path / "out.csv"))
        assert "12 of 12 images" in pd.read_csv(tmp_path / "out.csv")["note"][0]


def test_a_frozen_set_stands_for_the_files_of_its_masks(folders: dict[str, str], tmp_path: Path) -> None:
    completed, truth, files = folders.values()
    path = tmp_path / "set.npz"
    names = [f"{i}.png" for i in range(12)][::-1]
    sides = np.arange(12) + 20
    for i, side in enumerate(sides):  # each image has a mask of its own
        mask = np.zeros((64, 64), np.uint8)
        mask[:side, :side] = 255
        Image.fromarray(mask).save(f"{files}/{i}.png")
    masks.MaskSet.make(f"folder:{files}/paired", 64, 12, 0, images=names).save(path)
    arguments = ["evaluate", completed, truth, "--metrics", "psnr,l1@hole", "--masks"]
    assert call(*arguments, str(path)) == call(*arguments, files)
    run = ["run", "folder", "--data", truth, "--methods", "mean", "--plan", "--out", str(tmp_path / "runs"), "--masks"]
    with pytest.raises(BenchError, match=r"has no mask|are not resized"):
        call(*run, str(path), "--size", "32")
    assert f"frozen:{path}" in call(*run, str(path))
    for option in (["--invert-masks"], ["--mask-threshold", "0"]):
        for command in (arguments, run):
            with pytest.raises(BenchError, match=f"{option[0]} is for folders of mask files, and .*set.npz"):
                call(*command, str(path), *option)
    with pytest.raises(BenchError, match="--match-masks is for folders"):
        call(*arguments, str(path), "--match-masks", "{name}_mask")
    Path(f"{truth}/3.png").rename(f"{truth}/x.png")
    Path(f"{completed}/3.png").rename(f"{completed}/x.png")
    with pytest.raises(BenchError, match=r"set\.npz has no mask of 1 of 12 images \(first: x\)"):
        call(*arguments, str(path))


@pytest.mark.parametrize("device", ["banana", "gpu", "cuda:0", "cuda", "CPU"])
def test_every_command_checks_devices_alike(device: str, folders: dict[str, str], tmp_path: Path) -> None:
    import torch

    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    out, table = tmp_path / "out", tmp_path / "out.csv"
    commands = (
        ["run", "quickstart", "--out", str(out)],
        ["evaluate", folders["completed"], folders["truth"], "--metrics", "psnr", "--out", str(table)],
        ["profile", "mean", "--out", str(out)],
    )
    for command in commands:
        with pytest.raises(BenchError, match=r"--device(: .* is none of auto, cpu, cuda| cuda: no GPU is visible)"):
            call(*command, "--device", device)
    assert not out.exists() and not table.exists()


def test_evaluate_takes_any_number_at_a_time(folders: dict[str, str]) -> None:
    arguments = [
        "evaluate",
        folders["completed"],
        folders["truth"],
        "--masks",
        folders["masks"],
        "--metrics",
        "psnr,ssim",
    ]
    assert len({call(*arguments, "--batch", str(size)) for size in (1, 5, 12, 32)}) == 1
    Image.new("RGB", (64, 64)).save(f"{folders['completed']}/photo.heic", format="PNG")
    assert "left out of" in call_all(*arguments)


def call_all(*arguments: str) -> str:
    """What a command says on both streams."""
    done = subprocess.run([FACEBENCH, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_runs_do_not_go_into_the_folder_of_images(folders: dict[str, str]) -> None:
    with pytest.raises(BenchError, match=r"--out: .*holds the images of truth"):
        call("run", "folder", "--data", folders["truth"], "--out", folders["truth"])
    assert not Path(folders["truth"], ".facebench").exists()


@pytest.mark.parametrize(
    ("command", "advice"), [("run", "; run the same command again to go on from here"), ("report", "")]
)
def test_stopped_by_ctrl_c(command: str, advice: str, tmp_path: Path, monkeypatch, capsys) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.cli._run", stop)
    monkeypatch.setattr("bench.cli.reporter", stop)
    monkeypatch.setattr(sys, "argv", ["facebench", command, {"run": "quickstart"}.get(command, str(tmp_path))])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err.endswith(f"\nstopped{advice}\n")


def test_messages_about_what_is_not_given(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="the suite folder is for your own images: add --data DIR"):
        call("run", "folder")
    with pytest.raises(BenchError, match=f"{tmp_path} is not the folder of a run: give that of a suite"):
        call("report", str(tmp_path))
    with pytest.raises(BenchError, match=r"there is no .*absent"):
        call("report", str(tmp_path / "absent"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/protocol.json").write_text("{}")
    with pytest.raises(BenchError, match=f"did you mean {tmp_path / 'mine'}?"):
        call("report", str(tmp_path))
    with pytest.raises(BenchError, match="fid/reference, and --reference DIR"):
        call("evaluate", str(tmp_path), str(tmp_path), "--metrics", "fid/train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--address", "10.0.0.1:6379"], "--address: it is that of a Ray cluster, and the jobs run here: say --on ray"),
        (["--num-nodes", "2"], "--num-nodes: run the same command on every node, with MASTER_ADDR"),
        (["--devices", "2", "--on", "ray"], "--devices: several devices for one job need a shared folder"),
    ],
)
def test_a_plan_refuses_what_the_run_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    for more in ([], ["--plan"]):
        with pytest.raises(BenchError, match=message):
            call("run", "quickstart", "--out", str(tmp_path / "runs"), *arguments, *more)


def test_a_tracker_that_is_not_installed_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_lightning.loggers", None)
    train = "{steps: 1, batch: 2, features: embedded, trackers: [mlflow]}"
    suite = (
        f"suite: tracked\nsize: 32\ndata: [{{name: synthfaces, train: 8, test: 8}}]\nmethods: [aot]\ntrain: {train}\n"
    )
    (tmp_path / "tracked.yaml").write_text(suite + "conditions: [center/25]\nmetrics: [l1]\n")
    for more in ([], ["--plan"]):
        with pytest.raises(BenchError, match=r"train\.trackers: mlflow: install it with `pip install .*\[trackers\]`"):
            call("run", str(tmp_path / "tracked.yaml"), "--out", str(tmp_path / "runs"), *more)
