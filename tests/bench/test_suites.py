"""Every suite that ships: it can be read, its rows can be made, its smoke run shows what it must."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench import fit, jobs, registry, suite
from bench.data import catalogue
from bench.errors import BenchError
from reports import published

NAMES = sorted(Path(str(path)).stem for path in suite.SUITES.iterdir() if str(path).endswith(".yaml"))
TABLES = [name for name in NAMES if name.startswith(("thesis", "hierinv", "isfrnet"))]
OWN = [name for name in NAMES if not suite.content(name)["data"]]  # suites of the user's own images
SMOKES = [name for name in NAMES if suite.content(name).get("smoke")]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OWN])
def test_every_row_can_be_made(name: str) -> None:
    parsed = suite.load(name)
    assert parsed.suite == name
    assert parsed.title
    assert parsed.expect
    for entry in [*parsed.methods, *parsed.priors]:
        loaded = registry.get(entry.method).load()
        loaded.configure(parsed.preset_of(entry), entry.variant, entry.options)
    fit.check(parsed)


@pytest.mark.parametrize("name", OWN)
def test_suites_of_own_images_take_a_folder(name: str, tmp_path: Path) -> None:
    content = suite.content(name)
    parsed = suite.parse(content | suite.located(content, [str(tmp_path)]), name)
    assert [data.folder for data in parsed.data] == [tmp_path]
    fit.check(parsed)


@pytest.mark.parametrize("name", ["quickstart", "kinds", "editing", "guided", "restoration", *OWN])
def test_suites_without_downloads_show_real_features_beside_embedded_ones(name: str) -> None:
    shown = suite.content(name)["metrics"]
    assert {"fid@lite0", "perceptual@lite0", "fid@embedded", "perceptual@embedded"} <= {*shown}


@pytest.mark.parametrize("name", TABLES)
def test_suites_of_tables_name_their_table_and_published_data(name: str) -> None:
    parsed = suite.load(name)
    document, table = name.split("-")[:2]
    assert f"{document} {table}" in published.names()
    assert all(catalogue.known(data.name) for data in parsed.data)
    assert name in SMOKES
    with pytest.raises(BenchError, match=f"--data {parsed.data[0].name}=DIR"):
        suite.located(suite.content(name), [])


@pytest.mark.parametrize("name", TABLES)
def test_expected_values_are_the_published_ones(name: str) -> None:
    """A number in `expect` stands in the document's table, digit for digit (thousands are counted out in 4.1).

    Sizes of data sets stand in table 4.1 for all tables.
    """
    document, table = name.split("-")[:2]
    rows = published.load()
    rows = rows[(rows["source"] == document) & rows["table"].isin([table, "4.1"])]
    printed = {*rows["printed"], *(f"{float(value) / 1e6:g}" for value in rows["value"])}
    for line in suite.content(name)["expect"]:
        if " = " in line:
            assert line.rpartition(" = ")[2].split(" ")[0] in printed, line


@pytest.mark.parametrize("table", ["3.1", "3.2"])
def test_rows_of_restoration_have_all_their_published_numbers(table: str) -> None:
    """Those of each method in the order of the table, but for U-IDS and P-IDS, which 3,000 images do not give."""
    parsed, rows = suite.load(f"thesis-{table}"), published.load()
    rows = rows[(rows["source"] == "thesis") & (rows["table"] == table) & ~rows["metric"].isin(["U-IDS", "P-IDS"])]
    for entry in parsed.methods:
        expected = [line for line in parsed.expect if line.startswith(f"{entry.method} ")]
        values = [line.partition(" = ")[2].removesuffix(" ± 5 %") for line in expected]
        assert values == rows[rows["method"] == parsed.title_of(entry)]["printed"].tolist(), entry.method


@pytest.mark.parametrize("name", SMOKES)
def test_smoke_runs_share_data_and_budget(name: str) -> None:
    small = suite.parse(suite.smoke(suite.content(name)), name)
    assert small.suite == f"{name}-smoke"
    assert small.expect
    assert small.train.features == "embedded"
    assert [data.name for data in small.data] == ["synthfaces"]
    assert all(small.preset_of(entry) == "tiny" for entry in small.methods if registry.get(entry.method).card.params)


def test_smoke_runs_are_planned_and_share_their_jobs(tmp_path: Path) -> None:
    plans = [jobs.plan(suite.parse(suite.smoke(suite.content(name)), name), tmp_path) for name in SMOKES]
    every = [job.id for plan in plans for job in plan.jobs]
    assert len(set(every)) < 0.7 * len(every)
    fills = [job for plan in plans for job in plan.jobs if job.kind == "complete" and job.method in ("telea", "input")]
    assert len({job.id for job in fills}) == len({job.row["condition"] for job in fills})


def test_a_suite_without_a_smoke_run_says_so() -> None:
    with pytest.raises(BenchError, match="the suite folder has no `smoke` section"):
        suite.smoke(suite.content("folder"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["celeba-hq=a", "ffhq=b"], {"celeba-hq": "a", "ffhq": "b"}),
        (["ffhq=b"], {"ffhq": "b"}),
        (["pictures"], {"pictures": "pictures"}),
    ],
)
def test_folders_of_data_sets(given: list[str], expected: dict[str, str]) -> None:
    placed = suite.located(suite.content("thesis-5.1"), given)["data"]
    assert {entry["name"]: entry["folder"] for entry in placed} == expected


def test_one_folder_is_the_only_published_data_set() -> None:
    assert suite.located(suite.content("isfrnet-2"), ["d"]) == {"data": [{"name": "celeba-isfrnet", "folder": "d"}]}
    assert suite.located(suite.content("folder"), ["d"]) == {"data": [{"name": "d", "folder": "d", "published": False}]}


@pytest.mark.parametrize("given", [["celeba=a"], ["a", "b"], ["ffhq=b", "a"]])
def test_folders_that_the_suite_does_not_take(given: list[str]) -> None:
    with pytest.raises(BenchError, match="the suite takes --data celeba-hq=DIR --data ffhq=DIR"):
        suite.located(suite.content("thesis-5.1"), given)


def test_smoke_runs_show_what_they_must(tmp_path: Path) -> None:
    """All of them; their training jobs are shared."""
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-k", "smoke"]
    command += [str(suite.SUITES), "--facebench-runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
