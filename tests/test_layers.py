"""The arrows between packages that the layout promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {"bench.errors", "bench.pictures"}  # all may import them
FORBIDDEN = {
    "masks": {"bench", "methods", "baselines", "reports", "torch", "facebench"},
    "bench": {"methods", "baselines", "reports", "facebench"},
    "bench/nn": {"methods", "baselines", "reports", "facebench"},
    "methods": {"reports", "facebench"},
    "baselines": {"reports", "facebench"},
    "reports": {"masks", "methods", "baselines", "torch", "facebench"},
    "facebench.py": {"methods", "baselines"},
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
    files = sorted((ROOT / package).rglob("*.py")) or [ROOT / package]
    wrong = {str(f.relative_to(ROOT)): imported(f) & FORBIDDEN[package] for f in files}
    assert not {name: found for name, found in wrong.items() if found}


PACKAGES = ("bench", "masks", "methods", "baselines", "reports")


def modules() -> dict[str, Path]:
    """All modules of the project, with their files."""
    paths = [path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): ROOT / path for path in paths}


def needed(path: Path, known: Collection[str]) -> set[str]:
    """The modules that a file imports, also inside its functions; what only types need does not count."""
    found = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                inner = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name if name in known else str(node.module) for name in inner.values()}
            else:
                waiting.append(node)
    return found & set(known)


def test_no_circle_of_files() -> None:
    """Files that need nothing are taken away, again and again: what is left stands in circles."""
    files = modules()
    left = {name: needed(path, files) - {name} for name, path in files.items()}
    while free := [name for name, others in left.items() if not others]:
        left = {name: others.difference(free) for name, others in left.items() if name not in free}
    assert not left


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
        for path in [*(ROOT / package).rglob("*.py"), ROOT / "facebench.py"]:
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
