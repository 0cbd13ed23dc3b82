"""The arrows between packages that the layout promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "masks": {"bench", "methods", "baselines", "reports", "torch"},
    "bench": {"methods", "baselines", "reports"},
    "bench/nn": {"methods", "baselines", "reports"},
    "methods": {"reports"},
    "baselines": {"reports"},
    "reports": {"masks", "methods", "baselines", "torch"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_imports_only_downwards(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(f.relative_to(ROOT)): imported(f) & FORBIDDEN[package] for f in files}
    assert not {name: found for name, found in wrong.items() if found}


def test_listing_imports_no_torch() -> None:
    code = "import sys; from bench import registry; registry.entries(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
