from __future__ import annotations

import pandas as pd
import pytest

from bench import expect, suite
from bench.errors import BenchError
from bench.expect import Expectation

SMALL = {
    "suite": "small",
    "data": [{"name": "synthfaces", "train": 8, "test": 8}],
    "methods": ["mean", "telea", "aot", {"method": "grig"}, {"method": "grig", "variant": "(A)"}],
    "conditions": ["irregular/20-30", "center/25"],
    "shots": [5, "all"],
    "metrics": ["l1", "psnr", "lpips@vgg", "fid@embedded", "fid@lite0"],
    "report": {"main": ["l1"]},
}
TWO = SMALL | {"data": [*SMALL["data"], {"name": "celeba-hq", "folder": "pictures"}]}
TITLES = ["Mean colour", "Telea", "AOT-GAN", "GRIG", "GRIG (A)"]


def parsed(content: dict = SMALL) -> suite.Suite:
    return suite.parse(content, "small.yaml")


def one(line: str, content: dict = SMALL) -> Expectation:
    found = expect.read(line, parsed(content))
    assert len(found) == 1
    return found[0]


def rows(values: dict[str, float], **columns) -> pd.DataFrame:
    """One result row a title."""
    fixed = {"dataset": "synthfaces", "shots": "all", "seed": 0, "condition": "center/25", "metric": "l1", "n": 8}
    return pd.DataFrame(
        {"title": title, **fixed, "value": value, "low": value - 0.01, "high": value + 0.01, "note": "", **columns}
        for title, value in values.items()
    )


def test_a_comparison_is_read() -> None:
    found = one("grig < telea [lpips, irregular/20-30, 5 shots]")
    assert (found.left, found.sign, found.right) == ("GRIG", "<", "Telea")
    assert (found.quantity, found.condition, found.shots) == ("lpips@vgg", "irregular/20-30", "5")
    assert found.text == "grig < telea [lpips, irregular/20-30, 5 shots]"


@pytest.mark.parametrize(
    ("line", "left", "right", "tolerance"),
    [
        ("aot l1 center/25 < 0.12", "AOT-GAN", 0.12, 0),
        ("aot-gan l1 5 shots center/25 > 1e-3", "AOT-GAN", 1e-3, 0),
        ("GRIG (A) psnr [center/25] = 20.5 dB ± 2 %", "GRIG (A)", 20.5, 0.41),
        ("grig (a) psnr = 20.5 ± 0.25", "GRIG (A)", 20.5, 0.25),
        ("grig psnr = 20.50", "GRIG", 20.5, 0.005),
        ("grig psnr = 2.1e1", "GRIG", 21, 0.5),
        ("grig l1 = 1.33e-1", "GRIG", 0.133, 0.0005),
        ("aot l1 = 9.2 % +/- 0.5", "AOT-GAN", 0.092, 0.005),
        ("grig params = 31.76 M ± 0.5 %", "GRIG", 31.76e6, 158_800),
        ("grig macs = 20.5 G", "GRIG", 20.5e9, 0.05e9),
    ],
)
def test_values_and_tolerances(line: str, left: str, right: float, tolerance: float) -> None:
    found = one(line)
    assert found.left == left
    assert found.right == pytest.approx(right)
    assert found.tolerance == pytest.approx(tolerance)


def test_a_row_is_held_against_itself_in_another_condition() -> None:
    line = "each irregular/20-30 < center/25 [l1]"
    found = expect.read(line, parsed())
    assert [(e.left, e.condition, e.against) for e in found] == [(t, "irregular/20-30", "center/25") for t in TITLES]
    assert found[1].text == "Telea irregular/20-30 < center/25 [l1]"
    measured = pd.concat([rows({"GRIG": 0.1}, condition="irregular/20-30"), rows({"GRIG": 0.2, "Telea": 0.3})])
    said = expect.check(found[3], parsed(), measured)
    assert said.passed and said.reason == "GRIG, irregular/20-30, is 0.1 (50.0%) below center/25."
    other = expect.check(one("grig irregular/20-30 > center/25 [l1]"), parsed(), measured)
    assert not other.passed and other.compared
    missing = expect.check(found[1], parsed(), measured)
    assert not missing.compared and "not measured" in missing.reason
    assert [found[3].covers(row) for row in measured.to_dict("records")] == [True, True, False]
    with pytest.raises(BenchError, match="say in which condition GRIG is held against center/25"):
        one("grig < center/25 [l1]")


def test_each_is_every_row_but_the_one_it_is_compared_with() -> None:
    found = expect.read("each < mean [l1]", parsed())
    assert [e.left for e in found] == TITLES[1:]
    assert found[0].text == "Telea < mean [l1]"
    assert [e.right for e in expect.read("telea < each [l1]", parsed())] == ["Mean colour", *TITLES[2:]]
    assert len(expect.read("each l1 < 1", parsed())) == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("grg < telea [l1]", "unknown row 'grg': did you mean grig"),
        ("grig < tela [l1]", "unknown row 'tela': did you mean telea"),
        ("grg l1 < 3", "unknown row 'grg': did you mean grig"),
        ("grig < telea [l2]", "unknown word 'l2': did you mean l1"),
        ("grig psnrr > 3", "unknown word 'psnrr': did you mean psnr"),
        ("grig psnr center/52 > 3", "did you mean center/25"),
        ("grig psnr 6 shots > 3", "did you mean 5 shots"),
        ("grig fid > 3", "unknown word 'fid': did you mean fid@lite0"),  # never a stand-in's number for the real one
        ("grig < telea", r"say in brackets what is compared: grig < telea \[l1, irregular/20-30\]"),
        ("grig < telea [center/25]", "it names no metric: the suite has l1, psnr"),
        ("grig < telea [l1, psnr]", "two of one kind: l1 and psnr"),
        ("grig = telea [l1]", "'telea .l1.' is not a number"),
        ("grig l1 < 3 ± 1", "a bound has no tolerance"),
        ("grig l1 = 3 ± -1", "is not a number"),
        ("grig < grig [l1]", "GRIG is compared with itself: name another row"),
        ("grig better than telea", "write for example `grig < telea"),
        ("mean params = 3 M", "the card of mean gives no params"),
        ("aot params [generator + discriminatr] = 3 M", "unknown network 'discriminatr': did you mean discriminator"),
        ("synthfaces train = 3", "'synthfaces' is not known"),
    ],
)
def test_lines_that_are_not_understood(line: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        expect.read(line, parsed())
    with pytest.raises(BenchError, match=r"small.yaml: 1 problem\(s\) in the suite\n  expect.0: "):
        parsed(SMALL | {"expect": [line]})


def test_a_method_with_several_variants_is_named_by_title() -> None:
    content = SMALL | {"methods": [{"method": "grig", "variant": v} for v in ("(A)", "T = 1", "T = 5")]}
    with pytest.raises(BenchError, match=r"may be any of GRIG \(A\), GRIG \(T = 1\), GRIG \(T = 5\)"):
        one("grig < grig (A) [l1]", content)
    assert one("grig (T = 5) < grig (T = 1) [l1]", content).titles == ("GRIG (T = 5)", "GRIG (T = 1)")
    assert one("grig (T = 1) l1 = 0.5", content).left == "GRIG (T = 1)"


def test_several_data_sets_are_never_averaged() -> None:
    with pytest.raises(BenchError, match="say on which data set: synthfaces, celeba-hq"):
        one("grig l1 < 1", TWO)
    assert one("grig l1 celeba-hq < 1", TWO).dataset == "celeba-hq"


def test_sizes_come_from_cards_and_counts_from_published_splits() -> None:
    content = TWO | {"methods": ["edgeconnect", "gmcnn"]}
    lines = {
        "edgeconnect params [edge_generator + inpaint_generator] = 21.54 M": True,
        "gmcnn macs = 67.20 G": True,
        "gmcnn macs = 67.30 G": False,
        "gmcnn < edgeconnect [macs]": False,
        "celeba-hq train = 28000": True,
        "celeba-hq test = 2001": False,
    }
    for line, holds in lines.items():
        found = one(line, content)
        assert not found.measured
        assert expect.check(found, parsed(content)).passed == holds, line
    told = expect.check(one("gmcnn macs = 67.30 G", content), parsed(content)).explanation
    assert "67,196,000,000 macs on its card" in told
    assert "0.104 G (0.2%) below the expected value, 67.3 G; allowed is 0.005 G" in told


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("grig < telea [l1]", True),
        ("grig > telea [l1]", False),
        ("grig l1 < 0.1", False),
        ("grig l1 = 0.11 ± 10 %", True),
        ("grig l1 = 0.12 ± 10 %", False),
    ],
)
def test_numbers_decide(line: str, holds: bool) -> None:
    assert expect.check(one(line), parsed(), rows({"GRIG": 0.1, "Telea": 0.2})).passed == holds


def test_a_failure_shows_numbers_intervals_and_counts() -> None:
    told = expect.check(one("grig < telea [l1]"), parsed(), rows({"GRIG": 0.25, "Telea": 0.2})).explanation
    assert told.splitlines() == [
        "expected: grig < telea [l1]",
        "L1, lower is better; suite small, 256 px:",
        "  GRIG, synthfaces, center/25: 0.25 (95 % interval 0.24 to 0.26, n = 8)",
        "  Telea, synthfaces, center/25: 0.2 (95 % interval 0.19 to 0.21, n = 8)",
        "GRIG is 0.05 (25.0%) above Telea.",
    ]


def test_what_is_not_named_is_averaged() -> None:
    both = pd.concat([rows({"GRIG": 0.1}), rows({"GRIG": 0.3}, condition="irregular/20-30")])
    assert expect.check(one("grig l1 = 0.2"), parsed(), both).passed
    assert expect.check(one("grig l1 center/25 = 0.1"), parsed(), both).passed
    assert "GRIG: mean 0.2" in expect.check(one("grig l1 > 1"), parsed(), both).explanation


def test_no_value_is_a_failure_with_its_reason() -> None:
    absent = rows({"GRIG": float("nan")}, note="n/a: 8 images")
    told = expect.check(one("grig l1 < 1"), parsed(), absent)
    assert not told.passed and not told.absent
    assert "no value (n/a: 8 images)" in told.explanation


def test_without_the_network_a_line_neither_holds_nor_fails() -> None:
    reason = "not computed: efficientnet-lite0 is not on this machine"
    absent = rows({"GRIG": float("nan"), "Telea": 0.2}, note=reason)
    assert expect.check(one("grig l1 < 1"), parsed(), absent).absent == reason
    assert expect.check(one("telea l1 < 1"), parsed(), absent).passed
    mixed = pd.concat([absent, rows({"GRIG": float("nan")}, note="n/a: 8 images", condition="irregular/20-30")])
    assert not expect.check(one("grig l1 < 1"), parsed(), mixed).absent  # a real gap stays a failure
    assert "not measured" in expect.check(one("aot l1 < 1"), parsed(), absent).explanation


def test_untrained_rows_stand_beside_every_number_of_shots() -> None:
    found = one("telea < mean [l1, 5 shots]")
    row = {"title": "Telea", "condition": "center/25", "dataset": "synthfaces", "shots": "all"}
    assert found.covers(row, trained=False)
    assert not found.covers(row, trained=True)


LIMITED = SMALL | {"methods": ["mean", "telea", {"method": "aot", "conditions": ["center/25"]}]}


def test_a_row_of_some_conditions() -> None:
    assert [found.left for found in expect.read("each l1 center/25 < 1", parsed(LIMITED))] == [
        "Mean colour",
        "Telea",
        "AOT-GAN",
    ]
    assert [found.left for found in expect.read("each l1 irregular/20-30 < 1", parsed(LIMITED))] == TITLES[:2]
    assert one("aot l1 < 1", LIMITED).condition is None
    with pytest.raises(BenchError, match=r"AOT-GAN does not run in irregular/20-30, only in center/25"):
        one("aot l1 irregular/20-30 < 1", LIMITED)
    with pytest.raises(BenchError, match=r"Telea and AOT-GAN run in different conditions: say in brackets"):
        one("telea < aot [l1]", LIMITED)
    assert one("telea < aot [l1, center/25]", LIMITED).right == "AOT-GAN"


def test_two_numbers_of_a_row_are_compared() -> None:
    found = one("aot l1 < psnr [center/25]")
    assert (found.left, found.quantity, found.versus, found.condition) == ("AOT-GAN", "l1", "psnr", "center/25")
    table = pd.concat([rows({"AOT-GAN": 0.2, "Telea": 0.1}), rows({"AOT-GAN": 20.0}, metric="psnr")])
    held = expect.check(found, parsed(), table)
    assert held.passed
    assert "AOT-GAN, l1," in held.reason
    assert "psnr" in held.reason
    assert not expect.check(one("aot l1 > psnr [center/25]"), parsed(), table).passed
    assert not expect.check(one("telea l1 < psnr [center/25]"), parsed(), table).compared
    assert [e.left for e in expect.read("each l1 < psnr [center/25]", parsed())] == TITLES
