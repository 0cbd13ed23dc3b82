"""The embedded expression network: it tells moods of people whom it never saw; its training script."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load as read_tensors
from torch import Tensor
from torch.nn import functional as F

from bench.data import synthfaces
from bench.data.synthfaces.scene import MOODS
from bench.errors import BenchError
from bench.nn import embedded, expression

TOOLS = Path(__file__).parents[3] / "tools"
SEED = 4321  # of faces that no network has seen


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(TOOLS)
    spec = importlib.util.spec_from_file_location("train_expression", TOOLS / "train_expression.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recall(net: expression.ExpressionNet, images: Tensor, moods: Tensor) -> Tensor:
    """The share of each mood's faces that are told right, (6,)."""
    found = torch.cat([net(part).argmax(dim=1) for part in images.split(100)])
    return torch.stack([(found[moods == mood] == mood).float().mean() for mood in range(len(MOODS))])


def test_moods_of_people_that_it_never_saw(script: ModuleType) -> None:
    """Balanced accuracy, also with half as many pixels a side; chance is 1/6."""
    indices, moods = script.choose(60, SEED)
    images = synthfaces.render(indices, size=64, seed=SEED).images
    shares = recall(expression.load(), images, moods)
    assert shares.mean() > 0.7, shares
    assert shares.min() > 0.45, shares
    coarse = F.interpolate(F.interpolate(images, size=32, mode="area"), size=64, mode="bilinear", align_corners=False)
    assert recall(expression.load(), coarse, moods).mean() > 0.6


def test_the_training_draws_moods_alike(script: ModuleType) -> None:
    indices, moods = script.choose(5, SEED)
    assert moods.bincount().tolist() == [5] * len(MOODS)
    smiles = synthfaces.render(indices, size=32, seed=SEED).attributes[:, synthfaces.ATTRIBUTES.index("smile")]
    assert smiles[moods == MOODS.index("laugh")].min() > smiles[moods == MOODS.index("calm")].max()
    assert smiles[moods == MOODS.index("sad")].max() == 0


def test_alignment_puts_eyes_and_mouth_in_the_same_places() -> None:
    """A map of coordinates, read where the landmarks say, gives them back; turned faces too."""
    landmarks = synthfaces.render(range(4), size=64, seed=SEED).landmarks / 64
    cells = (torch.arange(32) + 0.5) / 32
    place = torch.stack(torch.meshgrid(cells, cells, indexing="xy"))  # x and y of every cell
    seen = expression.aligned(place.expand(4, 2, 32, 32), landmarks)
    eyes = [landmarks[:, part].mean(dim=1) for part in expression.EYES]
    middle, mouth = sum(eyes) / 2, landmarks[:, expression.MOUTH].mean(dim=1)
    torch.testing.assert_close(seen.mean(dim=(2, 3)), (middle + mouth) / 2, atol=1e-3, rtol=0)
    across, down = seen[..., -1].mean(2) - seen[..., 0].mean(2), seen[:, :, -1].mean(2) - seen[:, :, 0].mean(2)
    torch.testing.assert_close(across, 1.7 * (eyes[1] - eyes[0]), atol=2e-2, rtol=0)
    torch.testing.assert_close(down, 1.9 * (mouth - middle), atol=2e-2, rtol=0)


@pytest.mark.parametrize("size", [(32, 32), (96, 80), (33, 47)])
def test_any_size_and_no_gradients(size: tuple[int, int]) -> None:
    net = expression.load()
    images = torch.rand(3, 3, *size) * 2 - 1
    assert net(images).shape == (3, len(MOODS))
    assert not any(parameter.requires_grad for parameter in net.parameters())
    torch.testing.assert_close(net(images)[1:2], net(images[1:2]), rtol=1e-4, atol=1e-4)


def test_the_file_is_small_and_holds_no_trunk() -> None:
    assert expression.path().stat().st_size < 100_000
    names = read_tensors(expression.path().read_bytes())
    assert set(names) == set(expression.ExpressionNet().head.state_dict())
    assert expression.fingerprint().startswith(embedded.fingerprint("metrics"))


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_missing_or_damaged_weights_are_named(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "embedded-expression.safetensors"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(expression, "path", lambda: file)
    with pytest.raises(BenchError, match=r"embedded-expression\.safetensors.*install the package again"):
        expression.load()


def test_script_writes_weights_that_load_and_repeats_itself(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        script.main(each=4, steps=3, out=file)
    assert "min left" in capsys.readouterr().out
    assert files[0].read_bytes() == files[1].read_bytes() != expression.path().read_bytes()
    monkeypatch.setattr(expression, "path", lambda: files[0])
    expression.load()
