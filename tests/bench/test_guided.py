"""Restoration and guided editing from the suite to the table: what methods are shown, and what is compared."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from bench import cli, jobs, registry, results, suite
from bench.batch import Batch, Noise
from bench.data import dataset, synthfaces
from bench.data.guides import colour, semantics, sketch
from bench.data.guides.guide import Files
from bench.errors import BenchError
from bench.method import Stage
from bench.metrics.images import to_uint8
from bench.nn import text
from bench.runner.execute import Options, execute
from bench.samples import shown
from bench.task import Task
from bench.train import Budget, Loader, augmented
from masks import MaskSet, draw

SUITE = {
    "suite": "guided",
    "size": 32,
    "data": [{"name": "synthfaces", "train": 8, "test": 6}],
    "methods": ["input"],
    "conditions": ["degraded/mild"],
    "metrics": ["l1", "fid@embedded"],
    "report": {"main": ["l1"], "samples": 2},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Faces, their label maps and degraded copies, and other faces to train on."""
    root = tmp_path_factory.mktemp("pictures")
    faces = synthfaces.render(range(10), 48, 0)
    images = to_uint8(faces.images).permute(0, 2, 3, 1).numpy()
    for name in ("faces", "labels", "degraded", "others"):
        (root / name).mkdir()
    for i in range(6):
        Image.fromarray(images[i]).save(root / "faces" / f"{i}.png")
        Image.fromarray(faces.semantics[i].numpy()).save(root / "labels" / f"{i}.png")
        Image.fromarray(images[i] // 2).save(root / "degraded" / f"{i}.jpg", quality=95)
    for i in range(6, 10):
        Image.fromarray(images[i]).save(root / "others" / f"{i}.png")
    return root


def plan(root: Path, **changes: object) -> jobs.Plan:
    return jobs.plan(suite.parse(SUITE | changes, "here"), root)


def measured(made: jobs.Plan) -> pd.DataFrame:
    """The result rows of all jobs, run here."""
    parts = []
    for job in made.jobs:
        execute(made, job, Options(device="cpu"))
    for job in made.scores:
        rows = pd.read_parquet(made.job_folder(job.id) / "rows.parquet")
        parts.append(rows.assign(**job.row))
    return pd.concat(parts, ignore_index=True)


def faces_of(root: Path, pictures: Path, size: int = 32) -> dataset.ImageData:
    """The faces with their label maps."""
    data = {"name": "mine", "folder": str(pictures / "faces"), "labels": str(pictures / "labels"), "test": 3}
    return plan(root, data=[data], size=size).data["mine"].images


def test_what_a_condition_shows_decides_what_its_column_means(tmp_path: Path, pictures: Path) -> None:
    """Other label maps, or other degraded copies, are another task; a column that shows none is the same."""
    other = tmp_path / "other"
    for i in range(6):
        (other / "labels").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((48, 48), np.uint8)).save(other / "labels" / f"{i}.png")
        Image.new("RGB", (48, 48), "red").save(other / f"{i}.png")
    filled, restored = ["center/25", "center/25+semantics"], ["degraded/given"]
    rows = [{"method": "mean", "conditions": filled}, {"method": "input", "conditions": restored}]
    conditions = filled + restored

    def columns(labels: Path, copies: Path) -> list[str]:
        data = {"name": "mine", "folder": str(pictures / "faces"), "labels": str(labels), "degraded": str(copies)}
        made = plan(tmp_path, data=[data | {"test": 3}], conditions=conditions, methods=rows)
        return [results.column(made, "mine", condition, "l1") for condition in conditions]

    first = columns(pictures / "labels", pictures / "degraded")
    plain, guided, copied = columns(other / "labels", pictures / "degraded")
    assert plain == first[0] and guided != first[1] and copied == first[2]
    plain, guided, copied = columns(pictures / "labels", other)
    assert plain == first[0] and guided == first[1] and copied != first[2]


def test_the_degraded_input_is_what_a_recipe_makes_of_the_original(tmp_path: Path) -> None:
    made = plan(tmp_path)
    rows = measured(made).set_index("metric")
    prepared = made.data["synthfaces"]
    task = Task(prepared.images, prepared.test, prepared.masks["degraded/mild"], "degraded/mild", 0, ("degraded",))
    (batch,) = task.batches()
    assert batch.mask.all()
    assert not batch.blind().image.any()
    assert torch.equal(shown(batch), to_uint8(batch.degraded))
    expected = (to_uint8(batch.degraded).double() - to_uint8(batch.image).double()).abs().mean() / 255
    assert rows.loc["l1", "value"] == pytest.approx(float(expected), abs=1e-7)
    assert 0.005 < float(expected) < 0.3


def test_copies_of_degraded_pictures_are_matched_by_name(tmp_path: Path, pictures: Path) -> None:
    data = {"name": "mine", "folder": str(pictures / "faces"), "degraded": str(pictures / "degraded"), "test": 4}
    made = plan(tmp_path, data=[data], conditions=["degraded/given"])
    prepared = made.data["mine"]
    task = Task(prepared.images, prepared.test, prepared.masks["degraded/given"], "degraded/given", 0)
    (batch,) = task.batches()
    difference = (batch.degraded + 1) - (batch.image + 1) / 2
    assert float(difference.abs().mean()) < 0.03
    with pytest.raises(BenchError, match="--degraded mine=DIR"):
        plan(tmp_path / "b", data=[data | {"degraded": None}], conditions=["degraded/given"])
    with pytest.raises(BenchError, match=r"others lacks 4 of 4 images of mine .*: add files of"):
        plan(tmp_path, data=[data | {"degraded": str(pictures / "others")}], conditions=["degraded/given"])


def test_without_originals_only_other_comparisons_are_left(tmp_path: Path, pictures: Path) -> None:
    """`fid/NAME` reads all pictures of a training set; a set that is trained elsewhere is tested as a whole."""
    data = {"name": "mine", "folder": str(pictures / "faces"), "trained": "others"}
    training = {"name": "others", "folder": str(pictures / "others")}
    names = ["l1", "fid@embedded", "fid@embedded/others", "fid@embedded/train"]
    made = plan(tmp_path, data=[data], training=[training], conditions=["degraded/itself"], metrics=names)
    assert (len(made.data["mine"].test), len(made.data["others"].train("all"))) == (6, 4)
    rows = measured(made).set_index("metric")
    for name in ("l1", "fid@embedded"):
        assert rows.loc[name, "value"] is None or np.isnan(rows.loc[name, "value"])
        assert "no ground truth" in rows.loc[name, "note"]
    assert rows.loc["fid@embedded/others", "value"] > 0
    assert rows.loc["fid@embedded/train", "value"] == rows.loc["fid@embedded/others", "value"]


def test_methods_train_on_the_other_set_once_for_all_that_are_tested(tmp_path: Path, pictures: Path) -> None:
    folder = str(pictures / "faces")
    tested = [{"name": f"first {n}", "folder": folder, "trained": "others", "test": n} for n in (3, 4)]
    training = {"name": "others", "folder": str(pictures / "others")}
    changes = {
        "methods": [{"method": "aot", "steps": 1}],
        "conditions": ["center/25"],
        "train": {"features": "embedded"},
    }
    made = plan(tmp_path, data=tested, training=[training], **changes)
    assert [(job.kind, job.row["dataset"]) for job in made.jobs] == [
        ("train", "others"), *((kind, f"first {n}") for n in (3, 4) for kind in ("complete", "score")),
    ]  # fmt: skip
    with pytest.raises(BenchError, match=r"`complete aot .* on first 3,.*` and `complete aot .* on again,.*` are one"):
        plan(tmp_path, data=[tested[0], tested[0] | {"name": "again"}], training=[training], **changes)
    with pytest.raises(BenchError, match="needs your copy of ffhq: --data ffhq=DIR"):
        data = [tested[0] | {"trained": "ffhq"}]
        plan(tmp_path, data=data, training=[{"name": "ffhq"}], **changes)


def test_guides_are_shown_where_the_condition_names_them(tmp_path: Path, pictures: Path) -> None:
    images = faces_of(tmp_path, pictures)

    def first(condition: str) -> object:
        labels = list(semantics.maps(images, range(2)).numpy())
        frozen = MaskSet.make(condition.partition("+")[0], 32, 2, 0, semantics=labels)
        return next(Task(images, [0, 1], frozen, condition, 0).batches())

    plain, guided = first("center/25"), first("center/25+sketch+semantics+colour")
    assert plain.sketch is plain.semantics is plain.colour is plain.exemplar is plain.degraded is None
    assert torch.equal(guided.sketch, sketch.sketch(to_uint8(guided.image)))
    assert torch.equal(guided.semantics, semantics.maps(images, [0, 1]))
    assert torch.equal(guided.colour, colour.colour_map(to_uint8(guided.image), guided.semantics))
    assert first("center/25+exemplar").exemplar.shape == (2, 3, 32, 32)
    assert torch.equal(plain.mask, guided.mask)
    seen, known = shown(guided), guided.mask.expand(-1, 3, -1, -1) == 0
    assert torch.equal(seen[known], to_uint8(guided.image)[known])
    assert (shown(plain)[~known] == 255).all() and not (seen[~known] == 255).all()
    assert first("hair+semantics").mask.bool().equal((semantics.maps(images, [0, 1]) == 17)[:, None])


def test_label_maps_keep_their_classes(tmp_path: Path, pictures: Path) -> None:
    """Of the nearest pixel; a palette's colours do not matter, and other values are refused."""
    images = faces_of(tmp_path, pictures, size=48)
    truth = synthfaces.render(range(6), 48, 0).semantics
    assert torch.equal(semantics.maps(images, range(6)), truth)
    folder = tmp_path / "palette"
    folder.mkdir()
    image = Image.fromarray(truth[0].numpy()).convert("P")
    image.putdata(truth[0].flatten().tolist())
    image.putpalette([200, 10, 30] * 19)
    image.save(folder / "0.png")
    maps = semantics.prepare_labels(Files(folder, 48, tmp_path / "cache"))
    assert torch.equal(maps.images([0])[0, 0], truth[0])
    Image.fromarray(np.full((48, 48), 19, np.uint8)).save(folder / "1.png")
    with pytest.raises(BenchError, match=r"1.png is no label map: it holds 19, classes are 0 to 18"):
        semantics.prepare_labels(Files(folder, 48, tmp_path / "cache"))


def test_what_edits_a_picture_says_that_it_sees_all_of_it(tmp_path: Path) -> None:
    made = plan(tmp_path, methods=["unedited", "mean"], conditions=["relabel"], metrics=["l1"])
    for job in made.jobs:
        execute(made, job, Options(device="cpu"))
    notes = results.rows(made, made.scores).set_index("method")["note"]
    assert notes["unedited"] == results.SEEN
    assert notes["mean"] == ""
    faces = made.data["synthfaces"]
    batch = next(Task(faces.images, faces.test, faces.masks["relabel"], "relabel", 0).batches())
    hole = batch.mask.expand_as(batch.image) > 0
    wanted = semantics.palette(batch.need("layout"))
    assert torch.equal(shown(batch)[hole], wanted[hole])  # the input shows the labels that the picture shall have


def test_guides_that_the_data_lack_are_named(tmp_path: Path, pictures: Path) -> None:
    data = {"name": "mine", "folder": str(pictures / "faces"), "test": 3}
    with pytest.raises(BenchError, match="the data set mine has none: give label maps with --labels"):
        plan(tmp_path, data=[data], methods=["mean"], conditions=["center/25+colour"])


def test_texts_are_those_of_the_files_of_the_same_names(tmp_path: Path, pictures: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for i in range(6):
        (texts / f"{i}.txt").write_text(f"Face {i} smiles.\nIt is round.\n", "utf-8")
    data = {"name": "mine", "folder": str(pictures / "faces"), "captions": str(texts), "test": 3}
    asked = {"methods": ["mean"], "conditions": ["center/25+text"]}
    made = plan(tmp_path / "a", data=[data], **asked)
    prepared = made.data["mine"]
    task = Task(prepared.images, prepared.test, prepared.masks["center/25+text"], "center/25+text", 0)
    (batch,) = task.batches()
    assert batch.text == tuple(f"Face {Path(name).stem} smiles." for name in batch.ids)
    assert made.jobs[0].identity["beside"]["texts"] == prepared.images.companions["texts"].fingerprint
    for job in made.jobs:
        execute(made, job, Options(device="cpu"))
    results.collect(made)
    page = results.report(made).with_name("report.html").read_text("utf-8")
    assert all(f'"{text}"' in page for text in batch.text[:2]) and f'"{batch.text[2]}"' not in page
    (texts / "0.txt").rename(texts / "zero.txt")
    (texts / "3.txt").rename(texts / "three.txt")
    with pytest.raises(BenchError, match=r"texts lacks 2 of 5 images of mine \(0, 3\): add files of these names"):
        plan(tmp_path / "b", data=[data | {"test": 5}], **asked)
    with pytest.raises(BenchError, match="the data set mine has none: give text files with --captions"):
        plan(tmp_path / "c", data=[data | {"captions": None}], **asked)


def test_captions_and_copies_train_nothing_anew(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless a method needs texts; label maps may be learned from."""
    (tmp_path / "texts").mkdir()
    for i in range(6):
        (tmp_path / "texts" / f"{i}.txt").write_text("A face.", "utf-8")
    plain = {"name": "mine", "folder": str(pictures / "faces"), "test": 3}
    asked = {"methods": [{"method": "aot", "steps": 1}], "conditions": ["center/25"], "train": {"features": "embedded"}}

    def trained(**companions: Path) -> str:
        data = plain | {name: str(path) for name, path in companions.items()}
        return plan(tmp_path, data=[data], **asked).jobs[0].id

    alone = trained()
    assert trained(captions=tmp_path / "texts", degraded=pictures / "degraded") == alone
    assert trained(labels=pictures / "labels") != alone
    entry = registry.get("aot")
    for said in ({"needs": ("text",)}, {"learns": ("text",)}):
        reading = replace(entry, card=replace(entry.card, **said))
        monkeypatch.setattr(registry, "get", lambda slug, reading=reading: reading)
        assert trained(captions=tmp_path / "texts") != trained()


def test_a_stage_that_learns_from_texts_is_told_to_say_so(tmp_path: Path, pictures: Path) -> None:
    images, method = faces_of(tmp_path, pictures), registry.get("mean").load().create()
    stage = Stage(method)
    stage.guides = ("text",)
    said = r"mean \(train\) learns from text: its card must say so under `needs` or `learns`"
    with pytest.raises(BenchError, match=said):
        Loader(images, range(6), stage, Budget(1, 2, seed=0)).batch(0)
    faces, card = dataset.prepare_synthfaces(4, 32, 0, tmp_path / "cache"), method.card
    for method.card in (replace(card, needs=("text",)), replace(card, learns=("text",))):
        assert Loader(faces, range(4), stage, Budget(1, 2, seed=0)).batch(0).text[0].startswith("A")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ["mean"]}, "mean fills holes and restores no pictures: degraded/mild is nothing for it"),
        ({"conditions": ["center/25"]}, "input restores degraded pictures: center/25 is nothing for it"),
        (
            {"data": [SUITE["data"][0] | {"trained": "ffqh"}], "training": [{"name": "ffhq"}]},
            "'ffqh' is none of .*ffhq",
        ),
        (
            {"metrics": ["l1", "fid/ffqh"], "training": [{"name": "ffhq"}]},
            "'ffqh' is none of `training`: ffhq, or train",
        ),
        ({"training": [SUITE["data"][0]]}, "two data sets have the same name"),
    ],
)
def test_suites_that_make_no_sense_are_refused(change: dict, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        suite.parse(SUITE | change, "here")


def test_the_command_line_places_labels_and_copies(tmp_path: Path, pictures: Path) -> None:
    content = suite.content("thesis-6.2")
    found = suite.located(content, ["ffhq=a"], labels=["ffhq=b"], degraded=["ffhq=c"], captions=["ffhq=d"])
    assert found["data"] == [{"name": "ffhq", "folder": "a", "labels": "b", "degraded": "c", "captions": "d"}]
    with pytest.raises(BenchError, match="--labels x: the suite takes --labels celeba-hq=DIR --labels ffhq=DIR"):
        suite.located(content, ["ffhq=a"], labels=["x"])
    found = suite.located(suite.content("thesis-3.1"), ["celeba-test=a", "ffhq=b"], degraded=["celeba-test=c"])
    assert found["training"] == [{"name": "ffhq", "folder": "b"}]
    path = tmp_path / "mine.yaml"
    data = [{"name": "mine", "folder": str(pictures / "faces"), "test": 3}]
    path.write_text(yaml.safe_dump(SUITE | {"data": data, "methods": ["mean"], "conditions": ["hair+semantics"]}))
    arguments = ["run", str(path), "--plan", "--out", str(tmp_path), "--labels", str(pictures / "labels")]
    assert CliRunner().invoke(cli.app, arguments).exit_code == 0
    assert "hair" in str(CliRunner().invoke(cli.app, arguments[:-2]).exception)


@pytest.mark.parametrize("size", [64, 256])
def test_whole_pictures_and_local_edits(size: int) -> None:
    assert draw("whole", size, 0, 0).all()
    labels = synthfaces.render([0], size, 0).semantics[0].numpy()
    kinds = {name: draw(name, size, 0, 0, semantics=labels).sum() for name in ("hair", "face", "person", "center/25")}
    drawn = [int(draw("local", size, 0, i, semantics=labels).sum()) for i in range(60)]
    for name, count in kinds.items():
        assert 4 <= drawn.count(count) <= 24, name
    assert any(0.5 < count / size**2 <= 0.6 and count not in kinds.values() for count in drawn)


def test_exemplars_are_kept_beside_the_pictures(tmp_path: Path) -> None:
    """The first pictures may all show one person: their exemplars are drawn of the whole test set."""
    data = [{"name": "synthfaces", "train": 4, "test": 24}]
    made = plan(tmp_path, data=data, methods=["mean"], conditions=["center/25+exemplar", "center/25"])
    for job in made.jobs:
        execute(made, job, Options(device="cpu"))
    results.collect(made)
    places = made.folder / "samples" / "synthfaces"
    kept = sorted(path.name for path in (places / "center_25_exemplar" / "exemplar").iterdir())
    assert kept == sorted(path.name for path in (places / "center_25_exemplar" / "original").iterdir())
    assert len(kept) == 2
    assert not (places / "center_25" / "exemplar").exists()
    grids = list((results.report(made).parent / "figures").glob("grid-*.png"))
    assert len(grids) == 1


class Restoring(Stage):
    """A stage that trains on degraded pictures."""

    degradation = "mild"


def loaded(images: dataset.ImageData, step: int, rank: int = 0, ranks: int = 1) -> Batch:
    stage = Restoring(registry.get("mean").load().create())
    return Loader(images, range(len(images)), stage, Budget(2, 4, seed=0), rank, ranks).batch(step)


def test_training_degrades_every_picture_in_its_own_way(tmp_path: Path, pictures: Path) -> None:
    images = faces_of(tmp_path, pictures)
    batch = loaded(images, 0)
    assert batch.degraded.dtype == batch.image.dtype == torch.uint8
    errors = (batch.degraded.float() - batch.image.float()).abs().mean((1, 2, 3))
    assert (errors > 1).all() and len(set(errors.tolist())) == 4
    assert torch.equal(loaded(images, 0).degraded, batch.degraded)
    assert not torch.equal(loaded(images, 1).degraded, batch.degraded)
    halves = [loaded(images, 0, rank, 2).degraded for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), batch.degraded)


def test_the_degraded_picture_is_mirrored_with_its_original(tmp_path: Path, pictures: Path) -> None:
    batch = loaded(faces_of(tmp_path, pictures), 0)
    both = Batch(batch.image.float(), batch.mask.float(), {"degraded": batch.degraded.float()})
    stage = Restoring(registry.get("mean").load().create())
    mirrored = set()
    for seed in range(4):
        found = augmented(both, stage, Noise.shared(seed, 4))
        for i in range(4):
            turned = torch.equal(found.image[i], both.image[i].flip(2))
            assert turned or torch.equal(found.image[i], both.image[i])
            assert torch.equal(found.degraded[i], both.degraded[i].flip(2) if turned else both.degraded[i])
            mirrored.add(turned)
    assert mirrored == {True, False}


def test_what_compares_texts_is_named_and_decides_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"methods": [{"method": "facemug", "steps": 1}], "train": {"features": "embedded"}, "size": 64}
    plans = {name: plan(tmp_path / "a", conditions=[name], **asked) for name in ("center/25", "center/25+text")}
    named = {name: results.protocol(made, [])["stand_ins"] for name, made in plans.items()}
    assert named["center/25+text"] == [
        *named["center/25"],
        f"FACEMUG: texts are compared with images by {text.fingerprint()}; the published method uses CLIP",
    ]
    (tmp_path / "other").write_bytes(text.path().read_bytes() + b" ")
    monkeypatch.setattr(text, "path", lambda: tmp_path / "other")
    again = {name: plan(tmp_path / "a", conditions=[name], **asked) for name in plans}
    changed = {name: [a.id == b.id for a, b in zip(plans[name].jobs, again[name].jobs, strict=True)] for name in plans}
    trained = len(changed["center/25"]) - 2
    assert all(changed["center/25"]) and changed["center/25+text"] == [*[True] * trained, False, False]


@pytest.mark.parametrize("option", ["labels", "degraded"])
def test_maps_of_another_shape_than_their_pictures_are_refused(option: str, tmp_path: Path) -> None:
    """They would be cut elsewhere. Another size of the same shape is CelebAMask-HQ's: 512 beside 1024 pixels."""
    faces = synthfaces.render(range(3), 64, 0)
    images = to_uint8(faces.images).permute(0, 2, 3, 1).numpy()
    for i in range(3):
        (tmp_path / "faces").mkdir(exist_ok=True)
        Image.fromarray(images[i]).crop((0, 0, 64, 48)).save(tmp_path / "faces" / f"{i}.png")
    shown = {"labels": faces.semantics.numpy(), "degraded": images}[option]
    conditions = {"labels": "center/25+semantics", "degraded": "degraded/given"}[option]
    data = {"name": "mine", "folder": str(tmp_path / "faces"), option: str(tmp_path / option), "train": 1, "test": 2}

    def planned(sides: tuple[int, int], *odd: int) -> jobs.Plan:
        (tmp_path / option).mkdir(exist_ok=True)
        for i in range(3):
            one = Image.fromarray(shown[i]).crop((0, 0, 64, 64 if i in odd else 48))
            one.resize((sides[0], sides[0] if i in odd else sides[1]), Image.Resampling.NEAREST).save(
                tmp_path / option / f"{i}.png"
            )
        row = {"labels": "mean", "degraded": "input"}[option]
        return plan(tmp_path / "runs", data=[data], conditions=[conditions], methods=[row])

    for sides in ((64, 48), (32, 24), (128, 96)):
        assert planned(sides).jobs
    what = {"labels": "label maps", "degraded": "degraded copies"}[option]
    with pytest.raises(
        BenchError,
        match=rf"{option}: 2 of 3 {what} have another shape than their pictures \(1.png has 32 x 32 pixels, its "
        r"picture 1.png 64 x 48; 2.png has 32 x 32 .*\): cut them as the pictures were",
    ):
        planned((32, 24), 1, 2)


def incomplete(folder: Path, pictures: Path, kind: str, lacking: str, size: int = 64, **changes: object) -> jobs.Plan:
    """A plan on the faces, with label maps of all but one image: a training or a test image of the split."""
    data = {"name": "mine", "folder": str(pictures / "faces"), "test": 2}
    made = plan(folder / "runs", data=[data], size=size, methods=["mean"], conditions=["center/25"])
    odd = getattr(made.data["mine"].split, lacking)[0]
    shutil.copytree(pictures / "labels", folder / "labels")
    if kind == "absent":
        (folder / "labels" / odd).unlink()
    else:
        Image.new("L", (48, 48)).save(folder / "labels" / odd)
    data |= {"labels": str(folder / "labels")}
    return plan(folder / "runs", data=[data], size=size, **{"conditions": ["center/25"]} | changes)


def test_a_map_that_a_training_picture_lacks_is_missed_before_training(tmp_path: Path, pictures: Path) -> None:
    """Where a method learns from maps; others do not need those of training pictures."""
    sdm = {"method": "sdm", "preset": "tiny", "steps": 2}
    with pytest.raises(
        BenchError,
        match=r"train sdm \(tiny\) on mine learns from semantics: .*labels lacks 1 of 4 images of mine",
    ):
        incomplete(tmp_path / "a", pictures, "absent", "train", methods=[sdm], conditions=["whole+semantics"])
    pconv = {"method": "pconv", "preset": "tiny", "steps": 2}
    assert incomplete(tmp_path / "b", pictures, "absent", "train", methods=[pconv], conditions=["hair"]).jobs


def test_a_region_that_test_pictures_lack_is_told_with_their_names(tmp_path: Path, pictures: Path) -> None:
    for part, what in (("hair", "no hair"), ("hair/90-100", "no hair of 90-100 %")):
        count = 1 if part == "hair" else 2
        with pytest.raises(
            BenchError,
            match=rf"condition '{part}': {count} of 2 test images of mine have {what} in .*labels \(\d.png.*\): take "
            "another region, or list with `split` the images that have it",
        ):
            incomplete(tmp_path / what, pictures, "empty", "test", methods=["mean"], conditions=[part])
