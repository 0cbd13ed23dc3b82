from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bench import suite
from bench.errors import BenchError

SHIPPED = sorted(Path(str(path)).stem for path in suite.SUITES.iterdir() if str(path).endswith(".yaml"))
SMALL = {
    "suite": "small",
    "size": 32,
    "data": [{"name": "synthfaces", "train": 8, "test": 8}],
    "methods": ["mean", {"method": "aot", "steps": 2}],
    "conditions": ["center/25"],
    "metrics": ["l1", "psnr"],
    "report": {"main": ["l1"]},
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_suites_are_valid(name: str, tmp_path: Path) -> None:
    content = suite.content(name)
    if not content["data"]:
        content["data"] = [{"name": "pictures", "folder": str(tmp_path)}]
    assert suite.parse(content, name).suite == name


def test_defaults_are_filled_in() -> None:
    parsed = suite.parse(SMALL, "small.yaml")
    assert parsed.methods[0].method == "mean"
    assert parsed.preset_of(parsed.methods[1]) == "tiny"
    assert suite.parse(SMALL | {"size": 128}, "x").preset_of(parsed.methods[1]) == "paper"
    assert parsed.title_of(parsed.methods[1]) == "AOT-GAN"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methds": []}, r"methds: unknown key \(did you mean methods\?\)"),
        ({"train": {"stepps": 3}}, r"train.stepps: unknown key \(did you mean steps\?\)"),
        ({"methods": ["men"]}, "methods.0.method: unknown method 'men': did you mean mean"),
        ({"methods": ["mean", "mean"]}, "two rows would have the same title"),
        ({"conditions": ["iregular/10-20"]}, "conditions.0"),
        ({"conditions": ["center/25", "center/25"]}, "conditions: a value stands there twice"),
        ({"conditions": ["irregular/30-30"]}, "30-30"),
        ({"metrics": ["psnrr"]}, "metrics.0: unknown metric 'psnrr': did you mean psnr"),
        ({"report": {"main": ["ssim"]}}, "'ssim' is not among the metrics"),
        ({"data": [{"name": "mine", "folder": ".", "attributes": "a.csv"}]}, r"name those .* `report: {groups: \[NAME"),
        (
            {"size": 7},
            r"size: 7 is no size: give the side of square pictures, 32 to 2,048 pixels, or \[height, width\]",
        ),
        ({"size": [64, 7]}, r"size: \[64, 7\] is no size"),
        ({"size": [64, 48, 3]}, r"size: \[64, 48, 3\] is no size"),
        ({"framing": "mirror"}, "framing: Input should be 'crop' or 'pad'"),
        ({"shots": ["all", 0, "ten"]}, r"(?s)2 problem.*shots\.1: 0 is not possible: give a number .* or all.*'ten'"),
        ({"seeds": [2**63]}, "seeds.0: Input should be less than or equal to 9223372036854775807"),
        ({"seeds": [-1]}, "seeds.0: Input should be greater than or equal to 0"),
        ({"seed": 10**23}, "seed: Input should be less than or equal to 9223372036854775807"),
        ({"data": [{"name": "synthfaces"}]}, "say how many images"),
        ({"data": [{"name": "mine"}]}, "--data"),
        (
            {"data": [{"name": "mine", "folder": "."}], "conditions": ["center/25", "hair"]},
            "conditions.1: hair erases regions of label maps, and mine has none: say `labels: DIR` .*--labels mine=DIR",
        ),
        ({"data": []}, "data: List should have at least 1 item"),
        ({"suite": "../escape"}, r"suite: '\.\./escape' is no name: take small letters"),
    ],
)
def test_bad_suites_name_the_key_and_the_remedy(change: dict, message: str) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        suite.parse(SMALL | change, "small.yaml")
    assert str(caught.value).startswith("small.yaml")


def test_all_problems_are_named_at_once() -> None:
    lines = ["men < aot [l1]", "mean psnr > 1", "mean ssimm > 1"]
    with pytest.raises(BenchError, match=r"2 problem\(s\)") as caught:
        suite.parse(SMALL | {"expect": lines}, "small.yaml")
    assert "expect.0: 'men < aot [l1]': unknown row 'men': did you mean mean?" in str(caught.value)
    assert "expect.2: 'mean ssimm > 1': unknown word 'ssimm'" in str(caught.value)
    with pytest.raises(BenchError, match=r"(?s)4 problem.*methods\.0.*conditions\.0.*conditions\.1.*metrics\.1"):
        suite.parse(
            SMALL | {"methods": ["men"], "conditions": ["centre/25", "hald/left"], "metrics": ["l1", "x"]}, "small.yaml"
        )


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("iregular/10-20", "irregular"),
        ("fodler:masks", "folder"),
        ("center/25+sketh", "sketch"),
        ("degraded/blnd", "blind"),
        ("degradd/blind", "degraded/blind"),
    ],
)
def test_a_mistyped_condition_shows_the_closest(condition: str, hint: str) -> None:
    with pytest.raises(BenchError, match=rf"conditions\.0: .*did you mean {hint}\?"):
        suite.parse(SMALL | {"conditions": [condition]}, "small.yaml")


@pytest.mark.parametrize(
    ("metrics", "main"),
    [
        (["psnr", "l1@hole"], ["psnr", "l1@hole"]),
        (["psnr"], ["psnr"]),
        (["ssim", "ssim@ec51", "psnr"], ["ssim"]),
        (["psnr", "l1@hole", "perceptual@embedded"], ["perceptual@embedded", "l1@hole"]),
    ],
)
def test_without_a_choice_the_main_table_holds_what_is_measured(metrics: list[str], main: list[str]) -> None:
    content = {key: value for key, value in SMALL.items() if key != "report"} | {"metrics": metrics}
    assert suite.parse(content, "x").report.main == main
    assert suite.parse(content | {"report": {"samples": 1}}, "x").report.main == main
    again = suite.parse(content, "x").model_dump(mode="json")
    assert suite.parse(again, "x").report.main == main


def test_files_that_are_no_suites(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="did you mean quickstart"):
        suite.load("quikstart")
    with pytest.raises(BenchError, match=r"cannot read .*absent\.yaml"):
        suite.load(str(tmp_path / "absent.yaml"))
    (tmp_path / "broken.yaml").write_text("suite: [")
    with pytest.raises(BenchError, match=r"broken\.yaml is not valid YAML"):
        suite.load(str(tmp_path / "broken.yaml"))
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(BenchError, match="is not a suite"):
        suite.load(str(tmp_path / "list.yaml"))


def test_yaml_cannot_execute_code(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text(f"suite: !!python/object/apply:os.mkdir [{tmp_path / 'made'}]")
    with pytest.raises(BenchError, match="not valid YAML"):
        suite.load(str(tmp_path / "evil.yaml"))
    assert not (tmp_path / "made").exists()


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(SMALL))
    assert suite.load(str(tmp_path / "own.yaml")).suite == "small"


def test_select_keeps_rows_by_method_title_and_variant() -> None:
    rows = ["mean", {"method": "grig", "variant": "(A)"}, {"method": "grig", "title": "Mine"}]
    assert suite.select(rows, ["grig"]) == rows[1:]
    assert suite.select(rows, ["mine"]) == rows[2:]
    assert suite.select(rows, ["GRIG (A)"]) == suite.select(rows, ["grig (A)"]) == rows[1:2]
    assert suite.select(rows, ["mine"], also=["Mean colour"]) == [rows[0], rows[2]]
    with pytest.raises(BenchError, match="no row 'aot': it has Mean colour, GRIG"):
        suite.select(rows, ["aot"])
    with pytest.raises(BenchError, match=r"no row 'min': did you mean Mine\?"):
        suite.select(rows, ["min"])


def test_a_name_is_given_once() -> None:
    """The last one does not win in silence."""
    content = suite.content("thesis-5.1")
    for option in ("data", "labels", "labels_order", "attributes"):
        given = {"data": ["celeba-hq=DIR"], option: ["celeba-hq=a", "celeba-hq=b"]}
        message = f"--{option.replace('_', '-')} gives celeba-hq twice, a and b: leave one of them"
        with pytest.raises(BenchError, match=message):
            suite.located(content, given.pop("data"), **given)
    own = {"suite": "s", "data": [{"name": "mine", "folder": "DIR"}]}
    with pytest.raises(BenchError, match=r"--degraded gives mine twice, x and y"):
        suite.located(own, [], degraded=["x", "mine=y"])


def test_expectations_stay_with_the_data_sets_that_are_given() -> None:
    content = suite.content("thesis-5.1")
    given = suite.located(content, ["celeba-hq=DIR"])
    kept = suite.still_expected(content, given)
    assert kept == [line for line in content["expect"] if "celeba-hq" in line]
    assert 0 < len(kept) < len(content["expect"])
    assert suite.parse(content | given | {"expect": kept}, "thesis-5.1").expectations
    both = suite.located(content, ["celeba-hq=DIR", "ffhq=DIR"])
    assert suite.still_expected(content, both) == content["expect"]
    assert suite.still_expected(content, given | {"size": 64}) == []
    own = suite.content("quickstart")
    assert suite.still_expected(own, suite.located(own, ["/tmp"])) == []  # other images
