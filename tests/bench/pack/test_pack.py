"""Packs: what is in them, what is not, and that every change of one is found."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import archive, metrics
from bench import suite as suites
from bench.errors import BenchError
from bench.pack import check, division, pack, unpacked, withdraw
from bench.pack.manifest import FILE
from bench.results import OF_NO_EFFECT
from bench.store import digest
from masks import MaskSet
from tests.bench.test_export import FACES, call, run

SMALL = {"data": [FACES], "metrics": ["psnr", "l1@hole", "fid@embedded"], "conditions": ["center/25"]}
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("small"), **SMALL)


@pytest.fixture(scope="module")
def made(small: Path) -> Path:
    path = small.parents[1] / "small.pack.zip"
    pack(small, path, system={"people": "nobody"})
    return path


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as source:
        return {name: source.read(name) for name in source.namelist()}


def written(path: Path, content: Members, sealed: bool = True) -> Path:
    """A pack of these members; `sealed`: its hashes are those of what is in it."""
    if sealed:
        said = json.loads(content[FILE])
        said["files"] = {name: digest(data) for name, data in content.items() if name != FILE}
        content = content | {FILE: json.dumps(said).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name, data in content.items():
            archive.put(target, name, data)
    return path


def table(content: Members, name: str, change: Callable[[pd.DataFrame], None]) -> None:
    """Change a table of a pack."""
    frame = pd.read_parquet(io.BytesIO(content[name]))
    change(frame)
    content[name] = encoded(frame)


def encoded(frame: pd.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.to_parquet(target, index=False)
    return target.getvalue()


def test_a_pack_is_sound_and_holds_no_original(small: Path, made: Path) -> None:
    found = check(made, [])
    assert found.findings == [] and found.scored == 2 and found.values == 2 * 36 * 3
    assert found.division == "open" and found.differs == ["no suite 'small' ships with this release"]
    content = members(made)
    kinds = {name.split("/")[0] for name in content}
    assert kinds == {FILE, "protocol.json", "results.parquet", "per_image.parquet", "completions", "masks"}
    assert sum(name.startswith("masks/") for name in content) == 1  # both rows share them
    assert (
        json.loads(content[FILE])["system"]["people"] == "nobody"
        and str(small) not in content["protocol.json"].decode()
    )
    hole = MaskSet.load(next((small / "masks").rglob("*.npz")))[0]
    with zipfile.ZipFile(io.BytesIO(next(data for name, data in content.items() if "completed" in name))) as kept:
        picture = np.asarray(Image.open(io.BytesIO(kept.read("000000.webp"))))
    assert (picture[hole == 0] == 0).all() and (picture[hole == 1] > 0).any()
    before = made.read_bytes()
    pack(small, made, system={"people": "nobody"})
    assert made.read_bytes() == before  # the same run, the same bytes


def test_hashes_alone_without_data(made: Path) -> None:
    found = check(made)
    assert found.findings == [] and found.scored == 0 and found.remarks[0].startswith("hashes only")
    printed = call("verify", "pack", made)
    assert "hashes only" in printed and "sound (pack " in printed


def test_a_pack_of_older_results_is_refused_by_name(made: Path, tmp_path: Path) -> None:
    content = members(made)
    rows = pd.read_parquet(io.BytesIO(content["results.parquet"]))
    content["results.parquet"] = encoded(rows.drop(columns=["protocol", "masks_fingerprint"]))
    with pytest.raises(BenchError, match="are older and do not say their masks_fingerprint, protocol: run the suite"):
        check(written(tmp_path / "old.zip", content))


def test_one_changed_pixel_is_found(made: Path, tmp_path: Path) -> None:
    """By its hash, and by its score where the hashes were made anew."""
    content = members(made)
    name = next(name for name in content if "completed" in name)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content[name])) as kept, zipfile.ZipFile(target, "w") as changed:
        for one in kept.namelist():
            data = kept.read(one)
            if one == "000003.webp":
                picture = np.array(Image.open(io.BytesIO(data)))
                row, column = np.argwhere(picture.any(axis=2))[0]
                picture[row, column, 0] ^= 8
                lossless = io.BytesIO()
                Image.fromarray(picture).save(lossless, **archive.LOSSLESS)
                data = lossless.getvalue()
            archive.put(changed, one, data)
    content[name] = target.getvalue()
    (line,) = check(written(tmp_path / "a.zip", content, sealed=False)).findings
    assert line == f"{name} was changed: it does not have the SHA-256 of {FILE}"
    sealed = written(tmp_path / "b.zip", content)
    assert check(sealed).findings == []  # hashes only
    found = check(sealed, [])
    assert any("psnr: 1 of 36 images have other values" in line for line in found.findings)
    assert "other values" in call("verify", "pack", sealed, "--score", code=1)


def test_one_changed_value_is_found(made: Path, tmp_path: Path) -> None:
    content = members(made)

    def raise_first(rows: pd.DataFrame) -> None:
        rows.loc[0, "value"] += 0.01

    table(content, "results.parquet", raise_first)
    open_one = check(written(tmp_path / "a.zip", content, sealed=False))
    assert open_one.findings[0].startswith("results.parquet was changed")
    assert "and its images have" in check(written(tmp_path / "b.zip", content)).findings[0]

    content = members(made)

    def swap(rows: pd.DataFrame) -> None:  # the mean stays
        rows.loc[[0, 1], "value"] = rows.loc[[1, 0], "value"].to_numpy()

    table(content, "per_image.parquet", swap)
    sealed = written(tmp_path / "c.zip", content)
    assert all(": low is " in line or ": high is " in line for line in check(sealed).findings)
    assert any("psnr: 2 of 36 images have other values" in line for line in check(sealed, []).findings)


def tables(path: Path) -> tuple[Members, pd.DataFrame, pd.DataFrame]:
    content = members(path)
    return content, *(pd.read_parquet(io.BytesIO(content[name])) for name in ("results.parquet", "per_image.parquet"))


def forged(path: Path, content: Members, rows: pd.DataFrame, single: pd.DataFrame) -> Path:
    """A pack with other tables, and with hashes of them."""
    return written(path, content | {"results.parquet": encoded(rows), "per_image.parquet": encoded(single)})


@pytest.mark.parametrize("metric", ["psnr", "fid@embedded"])
def test_a_value_whose_images_have_none_is_found(made: Path, tmp_path: Path, metric: str) -> None:
    content, rows, single = tables(made)
    here = (rows["title"] == "Telea") & (rows["metric"] == metric)
    rows.loc[here, ["value", "low", "high"]] = [60, float("nan"), float("nan")]
    single = single[(single["title"] != "Telea") | (single["metric"] != metric)]
    path = forged(tmp_path / "a.zip", content, rows, single)
    alone = ["psnr of Telea, center/25: its images have no values"] if metric == "psnr" else []
    assert check(path).findings == alone
    missing, value, low, high = check(path, []).findings[len(alone) :]
    assert missing.endswith(f"{metric}: the table has 0 of the 36 images whose pictures are there")
    assert f"{metric}: value is 60.0 in the table, and " in value and ": low is nan" in low and ": high is nan" in high


@pytest.mark.parametrize("metric", ["psnr", "l1@hole", "fid@embedded"])
@pytest.mark.parametrize("column", ["low", "high", "n"])
def test_other_intervals_and_numbers_of_images_are_found(made: Path, tmp_path: Path, metric: str, column: str) -> None:
    content, rows, single = tables(made)
    here = (rows["title"] == "Telea") & (rows["metric"] == metric)
    before = rows.loc[here, column].item()
    rows.loc[here, column] = 5000 if column == "n" else rows.loc[here, "value"]
    path = forged(tmp_path / "a.zip", content, rows, single)
    (alone,) = check(path).findings
    assert alone.startswith(f"{metric} of Telea, center/25: {column} is ") and alone.endswith(f"have {before!r}")
    _, again = check(path, []).findings
    assert again.startswith(f"Telea on synthfaces, center/25: {metric}: {column} is ")
    assert np.isclose(float(again.split("and ")[1].split()[0]), before)


def test_another_direction_and_another_title_are_found(made: Path, tmp_path: Path) -> None:
    content, rows, single = tables(made)
    of_psnr = rows["metric"] == "psnr"
    rows.loc[of_psnr, "higher_is_better"] = False
    rows.loc[rows["metric"] == "l1@hole", "metric_title"] = "LPIPS"
    assert check(forged(tmp_path / "a.zip", content, rows, single)).findings == [
        "psnr: lower is better, and here higher",
        "l1@hole is called 'LPIPS', and here 'L1 (hole)'",
    ]


def test_infinite_values_have_no_interval(made: Path, tmp_path: Path) -> None:
    """As PSNR of a picture that equals its original."""
    content, rows, single = tables(made)
    here = (single["title"] == "Telea") & (single["metric"] == "psnr")
    single.loc[here.idxmax(), "value"] = float("inf")
    of_telea = (rows["title"] == "Telea") & (rows["metric"] == "psnr")
    rows.loc[of_telea, ["value", "low", "high"]] = [float("inf"), float("nan"), float("nan")]
    assert check(forged(tmp_path / "a.zip", content, rows, single)).findings == []


def test_scores_against_other_images_are_sound(tmp_path: Path) -> None:
    """FID against training images, and its extrapolation, which has no values of images."""
    pack(run(tmp_path, **SMALL | {"metrics": ["psnr", "fid@embedded", "fid@embedded/train"]}), tmp_path / "a.zip")
    assert check(tmp_path / "a.zip", []).findings == []


def test_what_nothing_trains_is_checked_for_each_number_of_shots(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    pack(run(tmp_path, **SMALL | {"shots": [2, 4], "methods": ["mean"], "metrics": ["psnr"]}), path)
    assert check(path, []).findings == []
    content, rows, single = tables(path)
    rows.loc[rows["shots"] == "4", ["value", "low", "high"]] += 1
    single.loc[single["shots"] == "4", "value"] += 1
    sealed = forged(tmp_path / "b.zip", content, rows, single)
    assert check(sealed).findings == []
    assert "psnr: 36 of 36 images have other values" in check(sealed, []).findings[0]


def test_rows_of_two_suites_may_share_pictures(small: Path, tmp_path: Path) -> None:
    """A title decides no pixel, so a suite of another one takes the pictures that are there."""
    again = run(small.parents[1], **SMALL | {"suite": "again", "methods": [{"method": "telea", "title": "Ours"}]})
    pack(again, tmp_path / "a.zip")
    found = check(tmp_path / "a.zip", [])
    assert found.findings == [] and found.scored == 1


def test_other_masks_are_found(made: Path, tmp_path: Path) -> None:
    content = members(made)
    name = next(name for name in content if name.startswith("masks/"))
    MaskSet.make("irregular/20-30", 32, 36, 5).save(tmp_path / "other.npz")
    content[name] = (tmp_path / "other.npz").read_bytes()
    found = check(written(tmp_path / "a.zip", content)).findings
    assert found and all("other masks than the protocol's" in line for line in found)


def test_another_metric_version_is_found(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = members(made)
    protocol = json.loads(content["protocol.json"])
    protocol["metrics"]["psnr"]["version"] = 2
    content["protocol.json"] = json.dumps(protocol).encode()
    (line,) = check(written(tmp_path / "a.zip", content)).findings
    assert line == f"psnr is version 1 and 2, and here version {metrics.get('psnr').version}"


class Harm:
    """Where a pickle of it is read, something happens."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_nothing_in_a_pack_is_executed(made: Path, tmp_path: Path) -> None:
    harm = pickle.dumps(Harm(tmp_path / "executed"))
    array = io.BytesIO()
    np.savez(array, masks=np.array([Harm(tmp_path / "executed")], object), manifest=np.array([harm], object))
    content = members(made)
    for name in content.keys() - {FILE}:
        for data in (harm, array.getvalue()):
            assert check(written(tmp_path / "a.zip", content | {name: data}), []).findings
    assert not (tmp_path / "executed").exists()
    pickle.loads(harm)
    assert (tmp_path / "executed").exists()  # elsewhere it does harm


def test_what_is_cut_off_is_refused(made: Path, tmp_path: Path) -> None:
    data = made.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.zip").write_bytes(data[:size])
        with pytest.raises(BenchError, match="is no pack, or was cut off"):
            check(tmp_path / "cut.zip")


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/outside.txt", "completions/complete-../../x/completed.zip", "a\\b"]
)
def test_a_path_that_leaves_the_folder_is_refused_before_anything_is_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = written(tmp_path / "a.zip", members(made) | {name: b"harmless"})
    written_to: list[Any] = []
    monkeypatch.setattr(Path, "write_bytes", lambda *arguments: written_to.append(arguments))
    with pytest.raises(BenchError, match="which no pack does, so it is refused"):
        check(path)
    assert not written_to and list((tmp_path / "temporary").iterdir()) == []


def test_links_compressed_members_and_doubles_are_refused(made: Path, tmp_path: Path) -> None:
    for kind, message in (("link", "is a link"), ("compressed", "is compressed"), ("twice", "holds a file twice")):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
            for name, data in members(made).items():
                info = zipfile.ZipInfo(name)
                if name == "protocol.json":
                    info.external_attr = (0o120777 << 16) if kind == "link" else 0
                    info.compress_type = zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED
                    if kind == "twice":
                        target.writestr("protocol.json", data)
                target.writestr(info, data)
        with pytest.raises(BenchError, match=message):
            check(tmp_path / "a.zip")


def test_nothing_is_left_behind_and_other_content_is_a_finding(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with unpacked(made) as (folder, _):
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    content = members(made) | {"per_image.parquet": b"no table"}
    assert "its results cannot be read" in check(written(tmp_path / "a.zip", content)).findings[0]
    with pytest.raises(BenchError, match=r"pack\.json is damaged: pictures: Input should be a valid list"):
        check(
            written(
                tmp_path / "b.zip", content | {FILE: content[FILE].replace(b'"pictures": [', b'"pictures": 1, "x": [')}
            )
        )


def test_a_random_part_of_the_pictures(small: Path, tmp_path: Path) -> None:
    said = pack(small, tmp_path / "a.zip", share=0.1)
    assert [one.kept for one in said.pictures] == [4, 4]
    with unpacked(tmp_path / "a.zip") as (folder, _):
        ids = [archive.Archive.open(path).ids for path in folder.rglob("completed.zip")]
    assert ids[0] == ids[1] and len(ids[0]) == 4
    found = check(tmp_path / "a.zip", [])
    assert found.findings == [] and found.values == 2 * 4 * 2 and "10% of the pictures" in found.remarks[-1]
    assert not any(one.kept for one in pack(small, tmp_path / "b.zip", share=0).pictures)


def test_values_are_withdrawn_and_the_reason_stays(made: Path, tmp_path: Path) -> None:
    first = tmp_path / "a.zip"
    call("pack", made, "--out", first, "--withdraw", "Telea | center/25 | psnr", "--reason", "a wrong crop")
    second = tmp_path / "b.zip"
    withdraw(first, second, ["Mean colour"], "trained on the test set")
    found = check(second, [])
    assert found.findings == [] and found.scored == 1
    assert found.remarks[:2] == [
        "withdrawn: Telea | center/25 | psnr: a wrong crop",
        "withdrawn: Mean colour: trained on the test set",
    ]
    rows = pd.read_parquet(io.BytesIO(members(second)["results.parquet"]))
    gone = rows[rows["value"].isna()]
    assert set(gone["note"]) == {"withdrawn: a wrong crop", "withdrawn: trained on the test set"} and len(gone) == 5
    assert sum("completed" in name for name in members(second)) == 1
    for what, message in (
        ("Nobody", "the pack has no row 'Nobody': it has Mean colour, Telea"),
        ("Telea | center", "the pack has no condition 'center': it has center/25"),
        ("Telea | center/25 | ssim", "the pack has no metric 'ssim': it has psnr, l1@hole, fid@embedded"),
        ("Telea | center/25 | psnr | now", "'now' is too much: write ROW . CONDITION . METRIC"),
    ):
        with pytest.raises(BenchError, match=message):
            withdraw(made, second, [what], "why")
    with pytest.raises(BenchError, match="say why with --reason"):
        withdraw(made, second, ["Telea"], " ")
    with pytest.raises(BenchError, match="is a pack already"):
        call("pack", made)


def test_titles_may_hold_the_separator(tmp_path: Path) -> None:
    titled = {"telea": "Telea", "mean": "Telea | center/25", "navier-stokes": "Telea | ours"}
    methods = [{"method": method, "title": title} for method, title in titled.items()]
    suite = run(tmp_path, **SMALL | {"methods": methods})
    pack(suite, tmp_path / "a.zip")
    for what, row, count in (
        ("Telea | ours | center/25 | psnr", "Telea | ours", 1),
        ("Telea | ours", "Telea | ours", 4),
        ("Telea | center/25", "Telea | center/25", 4),  # the longest title that fits
        ("Telea", "Telea", 4),
    ):
        withdraw(tmp_path / "a.zip", tmp_path / "b.zip", [what], "why")
        _, after, _ = tables(tmp_path / "b.zip")
        assert after.loc[after["note"] == "withdrawn: why", "title"].tolist() == [row] * count


def test_a_pack_that_was_changed_is_opened_by_verify_alone(made: Path, tmp_path: Path) -> None:
    content, rows, single = tables(made)
    rows.loc[0, "value"] += 1
    forged(tmp_path / "new.zip", content, rows, single)
    bad = written(tmp_path / "bad.zip", members(tmp_path / "new.zip") | {FILE: members(made)[FILE]}, sealed=False)
    given = ("--benchmark", "a/b", "--to", tmp_path / "hub")
    for arguments in (
        ("pack", bad, "--out", tmp_path / "b.zip", "--withdraw", "Telea", "--reason", "why"),
        ("compare", bad, made, "--out", tmp_path / "out"),
        ("compare", made, bad, "--out", tmp_path / "out"),
        ("cite", bad),
        ("export", "hub", bad, *given),
    ):
        with pytest.raises(BenchError, match=r"bad\.zip: results\.parquet was changed: see `facebench verify pack"):
            call(*arguments)
    assert {path.name for path in tmp_path.iterdir()} == {"new.zip", "bad.zip"}
    without = members(made)
    del without[next(name for name in without if name.startswith("masks/"))]
    said = json.loads(members(made)[FILE])
    del said["files"]["protocol.json"]
    for content, told in (
        (without, "masks/.* is missing"),
        (members(made) | {FILE: json.dumps(said).encode()}, "protocol.json was changed"),
    ):
        with pytest.raises(BenchError, match=told), unpacked(written(tmp_path / "c.zip", content, sealed=False)):
            pass


def test_pictures_that_nobody_reads_are_not_hashed(made: Path, tmp_path: Path) -> None:
    content = members(made)
    name = next(name for name in content if "completed" in name)
    bad = written(tmp_path / "bad.zip", content | {name: b"0"}, sealed=False)
    assert "@" in call("cite", bad)
    with pytest.raises(BenchError, match=r"completed\.zip was changed"), unpacked(bad):
        pass


def test_unknown_data_sets_and_folders_are_refused(made: Path) -> None:
    with pytest.raises(BenchError, match="--data mine=x: the pack takes --data synthfaces=DIR"):
        check(made, ["mine=x"])
    for given in ("nowhere", "synthfaces=nowhere"):
        with pytest.raises(BenchError, match="--data nowhere does not exist: give the folder that holds the images"):
            check(made, [given])


@pytest.mark.parametrize("keep", ["all", "none"])
def test_cells_whose_pictures_were_not_kept_are_told(tmp_path: Path, keep: str) -> None:
    suite = run(tmp_path, **SMALL | {"keep": keep, "metrics": ["psnr"]})
    for file in (suite.parent / "jobs").glob("complete-telea*/completed.zip"):
        file.unlink()
    printed = call("pack", suite, "--out", tmp_path / "a.zip")
    gone, left_out = "they are gone from the folder of the run's jobs", "the suite's `keep` is none"
    count, why = (1, gone) if keep == "all" else (2, left_out)
    line = f"no pictures of {count} of 2 rows x conditions: {why}"
    assert printed.count(line) == 1
    assert line in call("verify", "pack", tmp_path / "a.zip", "--score")
    said = json.loads(members(tmp_path / "a.zip")[FILE])
    assert [(one["kept"], one["total"]) for one in said["pictures"]] == [(36 * (keep == "all"), 36), (0, 36)]


def test_closed_means_that_nothing_but_methods_changed() -> None:
    said = suites.load("quickstart").model_dump(mode="json", exclude=OF_NO_EFFECT)
    assert division.differences(said) == []
    own = said["methods"] + [{**said["methods"][0], "title": "Mine"}]
    assert division.differences(said | {"methods": own, "title": "else", "metrics": [*said["metrics"], "niqe"]}) == []
    assert division.differences(said | {"size": 32}) == ["size is 32, not 64"]
    assert division.differences(said | {"train": said["train"] | {"steps": 9}}) == ["train.steps is 9, not 1000"]
    assert division.differences(said | {"metrics": ["psnr"]})[0].startswith("metrics: without perceptual@lite0")
    other = [{**said["methods"][0], "paste": False}]
    assert division.differences(said | {"methods": other}) == ["mean: paste is False, not True"]
