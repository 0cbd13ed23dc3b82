"""The notebooks of docs/ run from the first cell to the last, and show what they say."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))


def executed(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each code cell of a notebook shows, as text, when it runs in an empty folder."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):  # nothing of the user's own
        monkeypatch.setenv(name, str(folder / ".jupyter" / name))
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(folder)}}
    client: Any = nbclient.NotebookClient(notebook, kernel_name="python3", timeout=300, resources=place)
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [" ".join(map(_text, cell.outputs)) for cell in cells]


def _text(output: Any) -> str:
    data = output.get("data", {})
    return " ".join([output.get("text", ""), *data, data.get("text/plain", ""), data.get("text/markdown", "")])


def test_my_method_stands_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = executed(DOCS / "my-method.ipynb", tmp_path, monkeypatch)
    table = next(text for text in shown if "text/markdown" in text)
    assert all(f"| {title} |" in table for title in ("Mean colour", "Telea", "Mine"))
    assert sum("image/png" in text for text in shown) == 2
    assert "external" in (tmp_path / "mine.yaml").read_text()
    assert "irregular/20-30" in next(text for text in shown if "mean       min" in text)


def test_a_folder_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command shows the very numbers that Python gave."""
    shown = executed(DOCS / "score-a-folder.ipynb", tmp_path, monkeypatch)
    assert "all 40 pair" in next(text for text in shown if "what to do" in text)
    rows = next(text for text in shown if "perceptual@embedded" in text)
    (value,) = re.findall(r"l1@hole +NaN +(0\.\d+)", rows)
    printed = next(text for text in shown if "95 % interval" in text and "network" in text)
    assert f"l1@hole  {float(value):.4f}" in printed
    assert "95 % interval" in shown[-1]


def test_they_are_kept_without_outputs_and_are_known() -> None:
    guide = (DOCS / "python.md").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), path
        assert f"]({path.name})" in guide
    assert len(NOTEBOOKS) == 2
