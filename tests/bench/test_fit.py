"""Sizes that a method cannot take are told when a suite is planned, all of them, with what to set."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import cli, fit, jobs, registry, suite
from bench.errors import BenchError

SUITE: dict[str, Any] = {
    "suite": "sizes",
    "size": 100,
    "data": [{"name": "synthfaces", "train": 4, "test": 2}],
    "methods": ["grig", "gl"],
    "conditions": ["center/25"],
    "train": {"features": "embedded"},
    "metrics": ["l1@hole"],
    "report": {"main": ["l1@hole"]},
}
MINE: dict[str, Any] = {"data": [{"name": "mine", "folder": "."}]}
MESSAGES = {
    "alone": (
        {"methods": ["mean", "rfr"]},
        "sizes: rfr (paper) takes images with sides that are multiples of 16, not 100 x 100: set `size: 96` or "
        "`size: 112`, or `at: 96` or `at: 112` in its row",
    ),
    "tiny": ({"methods": ["grig"], "size": 40}, "grig (tiny) takes images with sides that are multiples of 64, not 40"),
    "training alone": (
        {"methods": ["ca"], "size": 200},
        "ca (paper) takes images of 256 x 256, as its option `resolution` says, not 200 x 200: set `size: 64` or "
        "`size: 256`, or `options: {resolution: 200}` or `at: 64` or `at: 256` in its row",
    ),
    "features": ({"methods": [{"method": "grig", "preset": "paper"}], "size": 64}, "multiples of 64 from 128 on"),
    "another preset": (
        {"methods": ["vspbfr"], "size": 256, "conditions": ["degraded/mild"]},
        "vspbfr (paper) takes images of 512 x 512, as its option `size` says, not 256 x 256: set `size: 64` or "
        "`size: 512`, or `preset: 256` or `at: 64` or `at: 512` in its row",
    ),
    "a prior": (
        {"methods": [{"method": "hierinv", "options": {"size": 128}}], "size": 128},
        "stylegan2 (paper), a prior of hierinv, takes images of 256 x 256, as its option `size` says, not 128 x 128: "
        "set `size: 256`, or `options: {size: 128}` or `at: 256` in its row under `priors`",
    ),
    "not square": (
        {"methods": ["mean", "pconv"], "size": [100, 200], **MINE},
        "sizes: pconv (paper) takes images with sides that are multiples of 128, not 100 x 200 (height x width): set "
        "`size: 128` or `size: [128, 256]`, or `at: 128` or `at: 256` in its row",
    ),
    "squares alone": (
        {"methods": ["mean", "mat"], "size": [256, 192], **MINE},
        "sizes: mat (paper) takes images of 256 x 256, as its option `size` says, not 256 x 192 (height x width): set "
        "`at: 256` in its row",
    ),
    "drawn faces": (
        {"methods": ["mean"], "size": [64, 96]},
        "sizes: synthfaces draws square pictures, not 64 x 96 (height x width): set `size: 96`, or give a folder of "
        "pictures",
    ),
    "finished pictures of two data sets": (
        {
            "methods": ["mean", {"method": "external", "options": {"folder": "results"}}],
            "data": [{"name": "d", "folder": "."}, {"name": "d2", "folder": ".."}],
        },
        "sizes: a row external reads the results of one data set, and pictures of two may have the same names: run "
        "d, d2 one after another, each alone under `data` and with its own row",
    ),
    "an option that nothing fits": (
        {"methods": [{"method": "comodgan", "options": {"size": 100}}]},
        "comodgan (paper) takes images with sides that are powers of two from 8 on, not 100 x 100: set `size` and its "
        "option `size` to such a side",
    ),
}


def parsed(**changes: Any) -> suite.Suite:
    return suite.parse(SUITE | changes, "here")


@pytest.mark.parametrize("case", MESSAGES)
def test_rows_that_do_not_fit_are_told_with_the_remedy(case: str) -> None:
    changes, message = MESSAGES[case]
    with pytest.raises(BenchError) as caught:
        fit.check(parsed(**changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ["mean", "rfr"], "size": 96},
        {"methods": ["mean", "rfr"], "size": 112},
        {"methods": ["ca"], "size": 64},
        {"methods": ["ca"], "size": 256},
        {"methods": [{"method": "ca", "options": {"resolution": 200}}], "size": 200},
        {"methods": [{"method": "vspbfr", "preset": "256"}], "size": 256, "conditions": ["degraded/mild"]},
        {
            "methods": [{"method": "hierinv", "options": {"size": 128}}],
            "priors": [{"method": "stylegan2", "options": {"size": 128}}],
            "size": 128,
        },
    ],
)
def test_remedies_fit(changes: dict[str, Any]) -> None:
    fit.check(parsed(**changes))


@pytest.mark.parametrize("slug", registry.entries())
def test_a_row_takes_pictures_that_are_not_square_or_is_refused_with_the_remedy(slug: str) -> None:
    """tests/test_methods.py completes and trains on such pictures with those that take them."""
    method = registry.get(slug).load()
    given = {"method": slug, "preset": "tiny"} if "tiny" in method.presets else {"method": slug}
    if registry.get(slug).card.from_folder:
        given["weights"] = "DIR"
    restores = "degraded" in registry.get(slug).card.needs
    changes = {"size": [128, 64], **MINE, "conditions": ["degraded/mild" if restores else "center/25"]}
    alone = slug in SQUARE or not registry.get(slug).card.evaluated
    with pytest.raises(BenchError, match="not 128 x 64") if alone else nullcontext():
        fit.check(parsed(**changes, methods=[given]))
    fit.check(parsed(**changes, methods=[given | {"at": 64}]))


SQUARE = {
    "facemug", "exegan", "gl", "ca", "gmcnn", "comodgan", "mat", "tfill", "zits", "fcf", "isfrnet", "migan", "hierinv",
    "divinv", "invertfill", "semantic2stage", "arcface", "stylegan2", "e4e", "psp", "vspbfr", "hfgi", "hyperstyle",
    "adm", "repaint", "ilvr", "ddrm", "dps", "diffpir", "codeformer", "codeformer-inpainting", "gfpgan", "gpen", "vqfr",
    "psfrgan", "pulse", "simswap", "starganv2", "stylemapgan", "deepfaceediting", "sofgan", "semanticstylegan",
    "facereenactment", "styleflow",
}  # fmt: skip


def test_official_weights_need_no_size_for_training() -> None:
    fit.check(parsed(methods=[{"method": "gl", "weights": "file.pth"}]))
    prior = {"method": "psp", "weights": "psp.pt"}  # it brings its generator, and sees no image of the suite's size
    fit.check(parsed(methods=[{"method": "isfrnet", "preset": "tiny"}], priors=[prior], size=128))
    with pytest.raises(BenchError, match=r"stylegan2 \(tiny\), a prior of psp, takes"):
        fit.check(parsed(methods=[{"method": "isfrnet", "preset": "tiny"}], size=128))


def test_planning_names_every_row_and_what_suits_all_before_data_is_touched(tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        jobs.plan(parsed(), tmp_path)
    first, *rows = str(caught.value).splitlines()
    assert first == "sizes: `size: 100` does not suit every row; all of them take `size: 64` or `size: 256`"
    assert [row.split()[0] for row in rows] == ["grig", "gl"]
    assert not list(tmp_path.iterdir())
    for size in (64, 256):
        fit.check(parsed(size=size))


def test_the_command_ends_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sizes.yaml"
    path.write_text(yaml.safe_dump(SUITE))
    monkeypatch.setattr(sys, "argv", ["facebench", "run", str(path), "--out", str(tmp_path / "runs")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "multiples of 64 from 128 on, not 100 x 100: set `size: 64` or `size: 128`" in capsys.readouterr().err
    assert not list((tmp_path / "runs").rglob("*.json"))
