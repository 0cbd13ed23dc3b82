"""Which jobs a suite becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import masks
from bench import identity, jobs, results, suite
from bench.errors import BenchError

SUITE = {
    "suite": "priors",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 4, "test": 2}],
    "methods": ["isfrnet", "exegan"],
    "conditions": ["center/25"],
    "train": {"features": "embedded"},
    "metrics": ["l1@hole"],
    "report": {"main": ["l1@hole"]},
}


def trained(root: Path, **changes: object) -> list[str]:
    made = jobs.plan(suite.parse(SUITE | changes, "here"), root)
    return [job.identity["method"] for job in made.jobs if job.kind == "train"]


def test_a_prior_is_trained_once_before_what_stands_on_it(tmp_path: Path) -> None:
    assert trained(tmp_path) == ["stylegan2", "psp", "isfrnet", "exegan"]


def test_official_weights_take_the_place_of_training(tmp_path: Path) -> None:
    """pSp's checkpoints hold their generator: it is not trained either."""
    path = tmp_path / "psp_ffhq_encode.pt"
    path.write_bytes(b"official")
    psp = {"method": "psp", "weights": str(path)}
    assert trained(tmp_path, priors=[psp]) == ["isfrnet", "exegan"]
    assert trained(tmp_path, methods=["hierinv"], priors=[psp]) == ["stylegan2", "hierinv"]


def test_a_sampler_waits_for_the_prior_that_it_draws_from(tmp_path: Path) -> None:
    """It has no training of its own, and is another one for each training of its prior."""
    changes = {"methods": ["repaint", "mean"], "shots": [2, "all"], "seeds": [0, 1]}
    made = jobs.plan(suite.parse(SUITE | changes, "here"), tmp_path)
    priors = [job for job in made.jobs if job.kind == "train"]
    drawn = [job for job in made.jobs if job.kind == "complete" and job.method == "repaint"]
    assert [prior.method for prior in priors] == ["adm"] * 4
    assert [job.needs for job in drawn] == [(prior.id,) for prior in priors]
    assert [job.identity["priors"]["adm"] for job in drawn] == [prior.id for prior in priors]
    assert [job.needs for job in made.jobs if job.kind == "complete" and job.method == "mean"] == [()]


def test_seeds_of_one_training_are_one_model_whoever_ran_them(tmp_path: Path) -> None:
    """So that two machines, each with a seed, make one row; those of other steps are another model."""
    methods = ["repaint", "mean", "isfrnet"]

    def models(**changes: object) -> dict[str, dict[int, str]]:
        made = jobs.plan(suite.parse(SUITE | {"methods": methods} | changes, "here"), tmp_path)
        found: dict[str, dict[int, str]] = {}
        for job in made.scores:
            found.setdefault(job.method, {})[job.row["seed"]] = results.provenance(made, job)["model"]
        return found

    both, second = models(seeds=[0, 1]), models(seeds=[1])
    fewer = models(train={"features": "embedded", "steps": 2})
    assert {name: {*of} for name, of in both.items()} == {"repaint": {0, 1}, "mean": {0}, "isfrnet": {0, 1}}
    assert {name: {*of} for name, of in second.items()} == {"repaint": {1}, "mean": {0}, "isfrnet": {1}}
    for name in methods:
        assert len({*both[name].values(), *second[name].values()}) == 1
        assert (fewer[name][0] == both[name][0]) == (name == "mean")
    raw = models(methods=[{"method": "mean", "paste": False}])
    assert raw["mean"][0] != both["mean"][0]
    erased = models(conditions=["irregular/10-20"])
    assert erased["isfrnet"][0] == both["isfrnet"][0]


def test_a_sampler_with_official_weights_trains_nothing(tmp_path: Path) -> None:
    path = tmp_path / "celeba256_250000.pt"
    path.write_bytes(b"official")
    assert trained(tmp_path, methods=[{"method": "repaint", "weights": str(path)}]) == []
    prior = {"method": "adm", "weights": str(path)}
    assert trained(tmp_path, methods=["repaint"], priors=[prior]) == []


def test_rows_of_one_method_are_told_apart(tmp_path: Path) -> None:
    rows = ["repaint", {"method": "repaint", "variant": "Blended"}, {"method": "repaint", "title": "twice"}]
    made = jobs.plan(
        suite.parse(SUITE | {"methods": [*rows[:2], {**rows[2], "options": {"jump": 2}}]}, "here"), tmp_path
    )
    assert [job.label.partition(" on ")[0] for job in made.jobs if job.kind != "score"] == [
        "train adm (tiny)",
        "complete repaint (tiny)",
        "complete repaint (tiny) as RePaint (Blended)",
        "complete repaint (tiny) as twice",
    ]


def pictures(folder: Path, count: int = 12, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng([seed, i]).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
    return folder


def holes(folder: Path, side: int, count: int = 2) -> Path:
    folder.mkdir(parents=True)
    mask = np.zeros((40, 40), np.uint8)
    mask[:side, :side] = 255
    for i in range(count):
        Image.fromarray(mask).save(folder / f"{i:03d}.png")
    return folder


def planned(folder: Path, root: Path, *conditions: str, **data: Any) -> jobs.Prepared:
    """A plan of one method on that folder: its data set."""
    content = SUITE | {"methods": ["mean"], "size": 40, "conditions": list(conditions) or ["center/25"]}
    content |= {"data": [{"name": folder.name, "folder": str(folder)} | data]}
    return jobs.plan(suite.parse(content, "here"), root).data[folder.name]


def test_what_the_suite_names_otherwise_is_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Masks, label maps, copies, captions, results and runs may lie in the data folder, and are named aloud."""
    folder = pictures(tmp_path / "mine")
    holes(folder / "masks", 20)
    pictures(folder / "lq")
    (tmp_path / "mine/runs").mkdir()
    (tmp_path / "mine/runs/.facebench").touch()
    pictures(folder / "runs/old/samples")
    found = planned(folder, folder / "out", f"folder:{folder}/masks", degraded=str(folder / "lq"))
    assert found.images.ids == [f"{i:03d}.png" for i in range(12)]
    said = " ".join(capsys.readouterr().err.split())
    assert "left out of" in said and "lq/ (degraded copies), masks/ (masks), runs/ (runs)" in said
    again = planned(folder, folder / "out", f"folder:{folder}/masks", degraded=str(folder / "lq"))
    assert again.split == found.split


def test_a_path_that_exists_is_that_path(tmp_path: Path) -> None:
    """Of nvidia/10-20 the files of that folder, with or without a stray file in nvidia; else the bucket of nvidia."""
    folder = pictures(tmp_path / "mine")
    holes(tmp_path / "nvidia/10-20", 16)
    for _ in range(2):
        found = planned(folder, tmp_path / "runs", f"folder:{tmp_path}/nvidia/10-20")
        (frozen,) = found.masks.values()
        assert set(frozen.ratios) == {0.16}
        assert str(frozen.condition) == f"folder:{tmp_path}/nvidia/10-20/"
        holes_beside = np.zeros((40, 40), np.uint8)
        holes_beside[:15, :15] = 255
        Image.fromarray(holes_beside).save(tmp_path / "nvidia/example.png")
    (frozen,) = planned(folder, tmp_path / "runs", f"folder:{tmp_path}/nvidia/10-15").masks.values()
    assert set(frozen.ratios) == {225 / 1600}


def test_masks_named_like_all_test_images_are_paired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, own = pictures(tmp_path / "mine"), tmp_path / "own"
    own.mkdir()
    for i in range(12):
        mask = np.zeros((40, 40), np.uint8)
        mask[:, 3 * i : 3 * i + 3] = 255  # the place tells the image
        Image.fromarray(mask).save(own / f"{i:03d}.png")
    content = SUITE | {"methods": ["mean"], "size": 40, "conditions": ["center/25", f"folder:{own}"]}
    content |= {"data": [{"name": "mine", "folder": str(folder)}]}
    read = suite.parse(content, "here")
    made = jobs.plan(read, tmp_path / "runs", pair=f"folder:{own}")
    assert made.suite.conditions == ["center/25", f"folder:{own}/paired"]
    assert "each test image has the mask of its own name" in " ".join(capsys.readouterr().err.split())
    found = made.data["mine"]
    places = [int(mask[0].argmax()) // 3 for mask in found.masks[f"folder:{own}/paired"]]
    assert places == [int(Path(name).stem) for name in found.split.test]
    (own / found.split.test[0]).unlink()
    assert jobs.plan(read, tmp_path / "runs", pair=f"folder:{own}").suite == read
    with pytest.raises(BenchError, match=r"1 of .* images have no mask of their name"):
        jobs.plan(made.suite, tmp_path / "runs")


def test_a_frozen_set_gives_every_image_the_mask_that_it_had(tmp_path: Path) -> None:
    """In another order, in another run: a run keeps the names. Other images are refused."""
    folder = pictures(tmp_path / "mine")

    def lists(*test: str) -> dict[str, str]:
        (tmp_path / "train.txt").write_text("000")
        (tmp_path / "test.txt").write_text("\n".join(test))
        return {"train": str(tmp_path / "train.txt"), "test": str(tmp_path / "test.txt")}

    first = planned(folder, tmp_path / "first", "irregular/20-30", split=lists("008", "010", "009", "011"))
    name = f"frozen:{tmp_path}/first/priors/masks/mine/irregular_20-30.npz"
    of_image = dict(zip(first.split.test, first.masks["irregular/20-30"], strict=True))
    assert len({mask.tobytes() for mask in of_image.values()}) == 4
    second = planned(folder, tmp_path / "second", name, split=lists("011", "010", "008"))
    for image, mask in zip(second.split.test, second.masks[name], strict=True):
        np.testing.assert_array_equal(mask, of_image[image])
    (kept,) = (tmp_path / "second/priors/masks/mine").iterdir()
    assert masks.verify(kept).manifest["images"] == list(second.split.test)
    with pytest.raises(BenchError, match=r"irregular_20-30\.npz has no mask of 1 of 2 images \(first: 007\.png\)"):
        planned(folder, tmp_path / "third", name, split=lists("008", "007"))


def test_two_folders_of_one_name_have_splits_of_their_own(tmp_path: Path) -> None:
    one, two = (pictures(tmp_path / place / "faces", seed=seed) for seed, place in enumerate(("a", "b")))
    splits = [planned(folder, tmp_path / "runs").split for folder in (one, two, one, two)]
    assert splits[0] == splits[2] and splits[1] == splits[3]
    assert splits[0].fingerprint != splits[1].fingerprint
    assert len(list((tmp_path / "runs/priors/splits").iterdir())) == 2


def test_results_that_lie_beside_runs_keep_their_identity(tmp_path: Path) -> None:
    """A folder of results that runs are written into."""
    folder = pictures(tmp_path / "results")
    before = identity.file_digest(folder)
    (folder / "runs").mkdir()
    (folder / "runs/.facebench").touch()
    pictures(folder / "runs/jobs")
    assert identity.file_digest(folder) == before
    Image.new("RGB", (4, 4)).save(folder / "more.png")
    assert identity.file_digest(folder) != before


def test_a_suite_lists_its_split(tmp_path: Path) -> None:
    """Another list is another split, and the same list is the same one."""
    folder = pictures(tmp_path / "mine")
    (tmp_path / "train.txt").write_text("000\n001\n002")
    (tmp_path / "test.flist").write_text("/elsewhere/mine/010.png\n/elsewhere/mine/011.png")
    split = {"train": str(tmp_path / "train.txt"), "test": str(tmp_path / "test.flist")}
    for _ in range(2):
        found = planned(folder, tmp_path / "runs", split=split)
        assert found.split.train == ("000.png", "001.png", "002.png") and found.split.test == ("010.png", "011.png")
    (tmp_path / "train.txt").write_text("003")
    assert planned(folder, tmp_path / "runs", split=split).split.train == ("003.png",)
    (tmp_path / "all.txt").write_text("000.png 0\n001.png 2")
    assert planned(folder, tmp_path / "runs", split=str(tmp_path / "all.txt")).split.test == ("001.png",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"split": {"train": "a"}}, "data.0.split: give {train: FILE, test: FILE}"),
        ({"split": {"test": "a"}}, "lists what tests and not what trains: add {train: FILE}"),
        ({"split": {"mapping": "a", "test": "b"}}, "data.0.split: give"),
        ({"split": {"tests": "a"}}, r"data.0.split.tests: unknown key \(did you mean test\?\)"),
        ({"split": "a", "test": 5}, "leave out the numbers"),
    ],
)
def test_a_split_that_says_too_little_or_too_much_is_refused(tmp_path: Path, data: dict, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        planned(tmp_path, tmp_path / "runs", **data)


def test_groups_of_test_images_are_planned(tmp_path: Path) -> None:
    """Those that the report shows, of each data set that has them; an unknown one is refused before anything runs."""
    rows = [
        f"{name.stem},{'a' if i % 2 else ''}" for i, name in enumerate(sorted(pictures(tmp_path / "one").iterdir()))
    ]
    (tmp_path / "one.csv").write_text("\n".join(["name,kind", *rows]))
    data = [
        {"name": "one", "folder": str(tmp_path / "one"), "attributes": str(tmp_path / "one.csv")},
        {"name": "two", "folder": str(pictures(tmp_path / "two", seed=1))},
        {"name": "synthfaces", "train": 4, "test": 8},
    ]
    content = SUITE | {"methods": ["mean"], "data": data}
    made = jobs.plan(
        suite.parse(content | {"report": {"groups": ["hat", "kind"], "main": []}}, "here"), tmp_path / "runs"
    )
    tested = made.data["one"].split.test
    assert made.groups["one"] == {"kind": ["a" if int(Path(name).stem) % 2 else "" for name in tested]}
    assert made.groups["two"] == {} and list(made.groups["synthfaces"]) == ["hat"]
    table = results.grouped(made)
    assert {*table["dataset"]} == {"one", "synthfaces"} and {*table["group"]} <= {"a", "yes", "no"}
    with pytest.raises(BenchError, match="no data set has the attribute 'kin': they have kind, male"):
        jobs.plan(suite.parse(content | {"report": {"groups": ["kin"], "main": []}}, "here"), tmp_path / "runs")


def test_equal_pictures_do_not_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a drawn split they are left out; of one that is given they stay; both aloud, and again in the next run."""
    folder = pictures(tmp_path / "mine", 20)
    before = planned(folder, tmp_path / "before").split
    assert not before.copies and "equal" not in capsys.readouterr().err
    tested, trained = before.test[0], before.train[0]
    Image.open(folder / tested).save(folder / f"{Path(trained).stem}.webp", lossless=True)  # other bytes, equal pixels
    (folder / trained).unlink()
    for _ in range(2):
        split = planned(folder, tmp_path / "runs").split
        said = " ".join(capsys.readouterr().err.split())
        assert "mine: 1 training images equal test images and do not train: " in said
        left_out, equal = split.copies[0]
        assert f"{left_out} = {equal}" in said and equal in split.test and left_out not in split.train
        assert len(split.train) + len(split.test) == 19
    (tmp_path / "train.txt").write_text(Path(trained).stem)
    (tmp_path / "test.txt").write_text(tested)
    lists = {"train": str(tmp_path / "train.txt"), "test": str(tmp_path / "test.txt")}
    assert len(planned(folder, tmp_path / "runs", split=lists).split.train) == 1
    assert "1 training images equal test images and stay, for the split is given (list)" in capsys.readouterr().err


def test_training_pictures_of_another_set_that_equal_test_pictures_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tested, trained = pictures(tmp_path / "old", 6), pictures(tmp_path / "ffhq", 12, seed=1)
    content = SUITE | {"methods": ["mean"], "size": 40, "conditions": ["center/25"]}
    content |= {"data": [{"name": "old", "folder": str(tested), "trained": "ffhq"}]}
    content |= {"training": [{"name": "ffhq", "folder": str(trained)}]}
    jobs.plan(suite.parse(content, "here"), tmp_path / "before")
    assert "equal" not in capsys.readouterr().err
    for number in (3, 5):
        Image.open(tested / f"{number:03d}.png").save(trained / f"{number + 2:03d}.png", compress_level=1)
    for _ in range(2):
        made = jobs.plan(suite.parse(content, "here"), tmp_path / "runs")
        said = " ".join(capsys.readouterr().err.split())
        assert "old: 2 training images of ffhq equal test images and stay, for the data set is given: " in said
        assert "005.png = 003.png, 007.png = 005.png" in said
        assert len(made.data["ffhq"].split.train) == 12


def test_a_split_that_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "mine")
    split = planned(folder, tmp_path / "runs").split
    path = next((tmp_path / "runs/priors/splits").glob("*.json"))
    split.model_copy(update={"test": split.test[:1], "train": split.train[:1]}).save(path)
    with pytest.raises(BenchError, match="holds another split than is made of mine today: delete it"):
        planned(folder, tmp_path / "runs")
