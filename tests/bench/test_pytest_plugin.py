"""The plugin as a user meets it: pytest on suite files."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

pytest_plugins = ["pytester"]

SUITE = {
    "suite": "small",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 8, "test": 8}],
    "methods": ["mean", "telea", {"method": "aot", "steps": 1}],
    "conditions": ["irregular/20-30", "center/25"],
    "train": {"features": "embedded", "batch": 4},
    "metrics": ["l1@hole", "psnr"],
    "report": {"main": ["l1@hole"], "samples": 0},
}
COSTS = ["aot params = 15.20 M", "aot macs = 80 G ± 1 %"]


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import all that a run needs: pytester forgets what the inner pytest imports, and torch cannot come twice."""
    from bench import jobs, runner, suite

    made = jobs.plan(suite.parse(SUITE | {"methods": ["mean", "telea"]}, "warm"), tmp_path_factory.mktemp("warm"))
    assert runner.run(made, runner.Options(workers=0)).done == 8


def write(folder: Path, name: str = "small", **changes) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(SUITE | {"suite": name} | changes))
    return path


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "--benchmark-disable", "-v", "--facebench-workers=0", *arguments
    )


def test_the_plugin_imports_nothing_heavy() -> None:
    code = "import sys, bench.pytest_plugin; print(*(name in sys.modules for name in ('torch', 'pandas', 'pydantic')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False"] * 3, done.stderr


def test_costs_are_checked_without_a_run(pytester: pytest.Pytester) -> None:
    write(pytester.path, expect=COSTS)
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "small.yaml::small::aot params = 15.20 M PASSED*",
            "*expected: aot macs = 80 G ± 1 %",
            "*AOT-GAN: 72,876,000,000 macs on its card",
            "AOT-GAN is 7.124 G (8.9%) below the expected value, 80 G; allowed is 0.8 G.",
            "look closer: facebench info aot",
        ]
    )
    assert not (pytester.path / "runs").exists()


def test_only_what_is_needed_is_run_and_only_once(pytester: pytest.Pytester) -> None:
    write(pytester.path, expect=["telea < mean [l1@hole, center/25]", "telea psnr center/25 > 5"])
    run(pytester, "--facebench-runs", "mine").assert_outcomes(passed=2)
    done = sorted((pytester.path / "mine/jobs").glob("*/result.json"))
    assert [path.parent.name.rsplit("-", 1)[0] for path in done] == [
        "complete-mean",
        "complete-telea",
        "score-mean",
        "score-telea",
    ]
    stamps = [path.stat().st_mtime_ns for path in done]
    run(pytester, "--facebench-runs", "mine").assert_outcomes(passed=2)
    assert stamps == [path.stat().st_mtime_ns for path in done]


def test_a_worsened_method_fails_the_right_items_in_words(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    from baselines.classical import Telea

    write(pytester.path, expect=["telea < mean [l1@hole, center/25]", "mean l1@hole center/25 < 0.4"])
    run(pytester).assert_outcomes(passed=2)
    monkeypatch.setattr(Telea, "complete", lambda self, batch, noise: 0 * batch.image - 1)  # black
    result = run(pytester, "--facebench-runs", "worse")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines_random(
        [
            r"expected: telea < mean \[l1@hole, center/25\]",
            r"L1 \(hole\), lower is better; suite small, 64 px:",
            r"  Telea, synthfaces, center/25: 0\.\d+ \(95 % interval 0\.\d+ to 0\.\d+, n = 8\)",
            r"  Mean colour, synthfaces, center/25: 0\.\d+ \(95 % interval 0\.\d+ to 0\.\d+, n = 8\)",
            r"Telea is 0\.\d+ \([\d.]+%\) above Mean colour\.",
            r"look closer: facebench run small.yaml --methods mean,telea --out worse",
            r"FAILED small.yaml::small::telea < mean.*",
        ]
    )


def test_a_method_that_breaks_is_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines.classical import Telea

    def broken(self, batch, noise):
        raise RuntimeError("out of paint")

    monkeypatch.setattr(Telea, "complete", broken)
    write(pytester.path, expect=["telea < mean [l1@hole, center/25]"])
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*Telea: not measured", "complete telea (paper) on synthfaces, center/25 failed: RuntimeError: out of paint"]
    )


def test_the_smoke_run_is_tested_beside_the_suite(pytester: pytest.Pytester) -> None:
    write(pytester.path, data=[{"name": "celeba-hq"}], expect=["mean psnr > 1"], smoke={"expect": ["mean psnr > 5"]})
    result = run(pytester)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["small.yaml::small-smoke::mean psnr > 5 PASSED*"])
    result = run(pytester, "-rs", "-k", "small and not smoke")
    result.stdout.fnmatch_lines(["*needs your copy of celeba-hq: --facebench-data celeba-hq=DIR"])


def test_data_sets_are_located(pytester: pytest.Pytester) -> None:
    import numpy as np
    from PIL import Image

    (pytester.path / "pictures").mkdir()
    for i in range(30):
        Image.fromarray(np.full((64, 64, 3), 8 * i, np.uint8)).save(pytester.path / f"pictures/{i}.png")
    data = [{"name": "skull", "train": 20, "test": 10}, {"name": "art"}]
    write(pytester.path, data=data, expect=["mean psnr skull > 5", "mean psnr art > 5"])
    result = run(pytester, "--facebench-data", "skull=pictures")
    result.assert_outcomes(passed=1, skipped=1)
    result = run(pytester, "--facebench-data", "skull=pictures", "--facebench-data", "skull=other")
    result.stderr.fnmatch_lines(["*--facebench-data gives skull twice: leave one of them"])


def test_values_are_recorded_and_held_against_later_runs(pytester: pytest.Pytester) -> None:
    write(pytester.path, expect=["telea < mean [l1@hole, center/25]", *COSTS[:1]])
    target = pytester.path / "small.baseline.yaml"
    result = run(pytester, "--facebench-record", target.name)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["facebench: 2 measured values are recorded in small.baseline.yaml"])
    lines = yaml.safe_load(target.read_text())["small"]
    assert list(lines) == ["Telea l1@hole [center/25]", "Mean colour l1@hole [center/25]"]
    run(pytester).assert_outcomes(passed=4)
    text = target.read_text()
    value = lines["Telea l1@hole [center/25]"].split(" ")[0]
    target.write_text(text.replace(value, "0.9"))
    result = run(pytester)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["small.yaml::small::baseline Telea l1@hole [[]center/25[]] = 0.9 ± * FAILED*"])
    run(pytester, "--facebench-record", target.name).assert_outcomes(passed=2)
    assert target.read_text() == text


def test_recording_keeps_what_is_not_measured(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of other suites, of expectations that are not chosen, and of those that fail."""
    write(pytester.path, expect=["telea psnr > 5", "mean psnr > 90", "telea l1@hole < 1"])
    old = {"small": {"Telea psnr": "1 ± 1", "Mean colour psnr": "2 ± 1", "Telea l1@hole": "3 ± 1"}, "other": {"a": "1"}}
    target = pytester.path / "small.baseline.yaml"
    target.write_text(yaml.safe_dump(old))
    run(pytester, "--facebench-record", target.name, "-k", "psnr").assert_outcomes(passed=1, failed=1, deselected=1)
    new = yaml.safe_load(target.read_text())
    assert float(new["small"].pop("Telea psnr").split(" ")[0]) > 5
    assert new == {"small": {"Mean colour psnr": "2 ± 1", "Telea l1@hole": "3 ± 1"}, "other": {"a": "1"}}


def test_a_damaged_or_outdated_baseline_is_named(pytester: pytest.Pytester) -> None:
    write(pytester.path, expect=COSTS[:1])
    target = pytester.path / "small.baseline.yaml"
    target.write_text("small: {Telia l1@hole: 0.1 ± 0.1}")
    run(pytester).stdout.fnmatch_lines(
        ["*small.baseline.yaml: *unknown row 'Telia': did you mean telea*delete this line of it*"]
    )
    target.write_text("small: [")
    run(pytester).stdout.fnmatch_lines(["*small.baseline.yaml is not valid YAML*"])
    target.write_text("- 1")
    run(pytester).stdout.fnmatch_lines(["*small.baseline.yaml holds no recorded values*"])


def test_the_name_of_a_baseline_is_checked(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--facebench-record", "values.json")
    result.stderr.fnmatch_lines(["*must end with .baseline.yaml, not 'values.json'"])


WRONG = {  # options -> message
    ("--facebench-workers=-1",): "*--facebench-workers: give a number from 0*",
    ("--facebench-data", "synthfaces"): "*--facebench-data synthfaces: write NAME=DIR",
    ("--facebench-data", "synthfaces="): "*--facebench-data synthfaces=: write NAME=DIR",
    ("--facebench-data", "nosuch=."): "*--facebench-data nosuch: the suite names synthfaces",
    ("--facebench-data", "synthfaces=nowhere"): "*nowhere does not exist: give the folder that holds the images",
    ("--facebench-runs", "small.yaml"): "*cannot write *small.yaml/.facebench: a part of this path is a file*",
    ("--facebench-record", "a/b.baseline.yaml"): "*--facebench-record: a/b.baseline.yaml must lie beside *small.yaml*",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_options_are_one_message_before_the_first_test(pytester: pytest.Pytester, options: tuple) -> None:
    write(pytester.path, expect=["telea psnr > 5", "mean psnr > 5"])
    result = run(pytester, *options)
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    assert sum(fnmatch(line, WRONG[options]) for line in result.outlines + result.errlines) == 1
    assert not list(pytester.path.glob("runs/*"))


def test_a_broken_suite_is_one_message(pytester: pytest.Pytester) -> None:
    write(pytester.path, expect=["tela < mean [psnr]"])
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*expect.0: 'tela < mean [[]psnr[]]': unknown row 'tela': did you mean telea?"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    "content",
    [
        b"suite: [broken",
        b"suite: one\nexpect: nothing of ours\n",
        b"!weird {tag}",
        b"\xff\xfe\x00",
        b"",
        yaml.safe_dump(SUITE).encode(),  # a suite that expects nothing
    ],
    ids=["broken", "other keys", "tag", "bytes", "empty", "no expectations"],
)
def test_other_yaml_files_are_left_alone(pytester: pytest.Pytester, content: bytes) -> None:
    (pytester.path / "other.yaml").write_bytes(content)
    pytester.makepyfile("def test_own(): pass")
    run(pytester).assert_outcomes(passed=1)
