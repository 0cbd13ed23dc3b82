"""Networks of pyiqa: filled by us, they say what pyiqa says with the same made-up weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from bench import metrics, weights
from bench.errors import BenchError
from bench.metrics import measure, quality

from .conftest import pictures


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where `bench.weights` finds whatever it looks for."""
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_musiq_equals_pyiqa(file):
    pyiqa = pytest.importorskip("pyiqa")
    torch.manual_seed(0)
    reference = pyiqa.create_metric("musiq", device="cpu", pretrained=False)
    torch.save(reference.net.state_dict(), file)
    images = pictures(2, 128)[0]
    expected = [reference(image[None].float() / 255).item() for image in images]
    found = measure(images, None, None, ["musiq"])
    assert found.per_image["value"].tolist() == pytest.approx(expected, abs=1e-4)
    assert abs(expected[0] - expected[1]) > 1e-4  # pictures tell
    assert found.rows[0]["extractor"].startswith("musiq-pyiqa-float32-")


def test_topiq_equals_pyiqa_on_aligned_faces(file):
    pytest.importorskip("facexlib")
    from pyiqa.archs import topiq_arch

    torch.manual_seed(0)
    reference = topiq_arch.CFANet(  # its name alone makes pyiqa look for faces
        model_name="cfanet_nr_koniq_res50", use_ref=False, test_img_size=512, backbone_pretrain=False, pretrained=False
    ).eval()
    torch.save({"params": reference.state_dict()}, file)
    images = pictures(1, 96)[0]
    with torch.no_grad():
        expected = reference(images.float() / 255).item()
    assert measure(images, None, None, ["topiq-face"]).value("topiq-face") == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_maniqa_equals_pyiqa(file, monkeypatch):
    """On one crop in the place of 20, each of which costs 70 billion operations."""
    pytest.importorskip("pyiqa")
    from pyiqa.archs import maniqa_arch

    made = maniqa_arch.timm.create_model
    monkeypatch.setattr(maniqa_arch.timm, "create_model", lambda name, pretrained=False: made(name))
    crops = maniqa_arch.uniform_crop
    monkeypatch.setattr(maniqa_arch, "uniform_crop", lambda x, crop_size, crop_num: crops(x, crop_size, 1))
    torch.manual_seed(0)
    reference = maniqa_arch.MANIQA(train_dataset="koniq", scale=0.8, pretrained=False).eval()
    torch.save(reference.state_dict(), file)
    images = pictures(1, 256)[0]
    with torch.no_grad():
        expected = reference(images.float() / 255).item()
    assert measure(images, None, None, ["maniqa"], batch=1).value("maniqa") == pytest.approx(expected, abs=1e-4)


def test_weights_of_something_else_are_refused(file):
    pytest.importorskip("pyiqa")
    torch.save({"conv.weight": torch.zeros(2)}, file)
    row = measure(pictures(1, 64)[0], None, None, ["musiq"]).rows[0]
    assert row["value"] is None and "weights.pth does not fit pyiqa's musiq" in row["note"]


def test_without_the_package_the_remedy_is_named(file, monkeypatch):
    torch.save({"conv.weight": torch.zeros(2)}, file)
    for module in [name for name in sys.modules if name.partition(".")[0] == "pyiqa"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    for name in quality.NAMES:
        assert metrics.get(name).extractor == name
        row = measure(pictures(1, 64)[0], None, None, [name]).rows[0]
        assert row["value"] is None and "pip install 'face-inpaint-bench[quality]'" in row["note"]
    with pytest.raises(BenchError, match="needs pyiqa"):
        quality.network("musiq", {})


def test_clipiqa_equals_pyiqa(file, monkeypatch):
    """CLIP's residual network in small."""
    pytest.importorskip("pyiqa")
    pytest.importorskip("clip")
    from pyiqa.archs import clip_model, clipiqa_arch

    torch.manual_seed(0)
    small = (
        clip_model.CLIP(32, 224, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 1).eval().half().float()
    )  # as CLIP's files
    torch.save(small.state_dict(), file)
    monkeypatch.setattr(clipiqa_arch, "load", lambda name, device: small)
    reference = clipiqa_arch.CLIPIQA().eval()
    images = pictures(2, 96)[0]
    with torch.no_grad():
        expected = reference(images.float() / 255).flatten().tolist()
    monkeypatch.setattr(clipiqa_arch, "load", None)  # it would fetch CLIP
    found = measure(images, None, None, ["clipiqa"])
    assert found.per_image["value"].tolist() == pytest.approx(expected, abs=1e-4)
    assert min(expected) > 0 and max(expected) < 1
