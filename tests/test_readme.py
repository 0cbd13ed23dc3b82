from __future__ import annotations

import re
import runpy
from pathlib import Path

import pandas as pd
import pytest
import yaml

from bench import suite

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SUITE = (ROOT / "docs/suite.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [TEXT, SUITE], ids=["README", "suite"])
def test_generated_tables_are_fresh(text: str) -> None:
    """If this fails: python tools/readme.py"""
    assert runpy.run_path(str(ROOT / "tools/readme.py"))["updated"](text) == text


def test_the_page_of_suites_names_every_option_of_pytest() -> None:
    plugin = (ROOT / "bench/pytest_plugin.py").read_text(encoding="utf-8")
    options = re.findall(r'addoption\(\s*"(--facebench-\w+)"', plugin)
    assert len(options) >= 4
    assert all(f"| `{option} " in SUITE for option in options)


def test_a_profile_is_kept_as_it_was_measured(tmp_path: Path) -> None:
    kept = ROOT / "reports/results/cpu.csv"
    pd.read_csv(kept).assign(**{"macs of generator": 1.0}).to_parquet(tmp_path / "profile.parquet")
    runpy.run_path(str(ROOT / "tools/costs.py"))["keep"](tmp_path / "profile.parquet", tmp_path / "cpu.csv")
    assert (tmp_path / "cpu.csv").read_bytes() == kept.read_bytes()


def test_commands_of_the_readme_exist() -> None:
    environments = re.findall(r"tox run -e (\w+)", TEXT)
    sections = (ROOT / "tox.ini").read_text()
    assert {"quickstart", "py"} <= set(environments)
    assert all(re.search(rf"\[testenv:[^\]]*\b{name}\b", sections) for name in environments)


def test_the_first_line_leaves_the_system_s_python_alone() -> None:
    """Debian and Ubuntu refuse `pip install` outside of an environment."""
    block = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)[0]
    steps = [step.strip() for line in block.splitlines() for step in line.split("&&")]
    assert steps[0] == "python3 -m venv .venv"
    assert len(steps) == 4
    assert all(step.startswith(".venv/bin/") for step in steps[1:])


def test_files_that_the_readme_names_exist() -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)", TEXT):
        assert (ROOT / path).exists(), path


def test_the_suite_of_the_readme_is_valid(tmp_path: Path) -> None:
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "suite:" in block)
    assert suite.parse(yaml.safe_load(example), "README.md").suite == "my-comparison"


def test_every_key_of_a_suite_stands_on_its_page() -> None:
    sections = [suite.Suite, suite.Data, suite.Lists, suite.Entry, suite.Train]
    sections += [suite.Outside, suite.Features, suite.Report, suite.Study, suite.Resources, suite.Smoke]
    assert set(suite.Section.__subclasses__()) == set(sections)
    for key in (key for section in sections for key in section.model_fields):
        assert f"| `{key}` | " in SUITE


@pytest.mark.parametrize("package", ["bench", "masks", "methods", "baselines", "reports"])
def test_the_layout_stands(package: str) -> None:
    assert (ROOT / package / "__init__.py").exists()
