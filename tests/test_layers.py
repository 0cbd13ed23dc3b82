"""The arrows between packages that the layout promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {"bench.errors", "bench.pictures"}  # all may import them
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
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)} - {"bench"}
    below = {name for name in names for ground in GROUND if name == ground or name.startswith(f"{ground}.")}
    return {name.split(".")[0] for name in names - below}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_imports_only_downwards(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(f.relative_to(ROOT)): imported(f) & FORBIDDEN[package] for f in files}
    assert not {name: found for name, found in wrong.items() if found}


def test_the_ground_stands_alone() -> None:
    for name in GROUND:
        path = ROOT / f"{name.replace('.', '/')}.py"
        assert not imported(path) & {"bench", "masks", "methods", "baselines", "reports", "torch"}


DECODERS = {"open", "fromqimage", "imread", "imdecode", "imreadmulti", "read_image", "decode_image", "decode_png"}
IN_MEMORY = {"bench/data/degradation.py"}  # reads the JPEG that it has just made of a picture


def test_no_module_reads_pictures_by_a_way_of_its_own() -> None:
    """What turns a file into pixels, of Pillow, OpenCV, torchvision, scikit-image and matplotlib."""
    found = {}
    for package in ("masks", "bench", "methods", "baselines", "reports", "tools"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                owner = getattr(getattr(node, "value", None), "id", "")
                if (
                    isinstance(node, ast.Attribute)
                    and node.attr in DECODERS
                    and (owner == "Image" or node.attr != "open")
                ):
                    found.setdefault(path.relative_to(ROOT).as_posix(), []).append(f"{owner}.{node.attr}")
    assert found.keys() - IN_MEMORY == {"bench/pictures.py"}, found


def test_listing_imports_no_torch() -> None:
    code = "import sys; from bench import registry; registry.entries(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
