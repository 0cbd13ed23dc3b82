"""The embedded networks: their contract, their training script, and that what they measure ranks."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

import masks
from bench.data import synthfaces
from bench.errors import BenchError
from bench.metrics import frechet, perceptual
from bench.nn import embedded

ROOT = Path(__file__).parents[3]
BUCKETS = ("10-20", "20-30", "30-40", "40-50", "50-60")
ROLES = ("training", "metrics")
SEED = 4321  # of faces that no network has seen


@pytest.fixture(scope="module")
def faces() -> synthfaces.Faces:
    """200 images of 50 people."""
    return synthfaces.render(range(200), size=64, seed=SEED)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_embedded", ROOT / "tools" / "train_embedded.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def holes(bucket: str, n: int) -> Tensor:
    """Frozen irregular masks of a bucket, (n, 1, 64, 64)."""
    drawn = [masks.draw(f"irregular/{bucket}", 64, SEED, index) for index in range(n)]
    return torch.from_numpy(np.stack(drawn)).float().view(n, 1, 64, 64)


def mean_fill(images: Tensor, mask: Tensor) -> Tensor:
    """Holes in the mean colour of what is known."""
    mean = (images * (1 - mask)).sum(dim=(2, 3), keepdim=True) / (1 - mask).sum(dim=(2, 3), keepdim=True)
    return images * (1 - mask) + mean * mask


def blur(images: Tensor, sigma: float) -> Tensor:
    offsets = torch.arange(-8, 9)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(3, 1)[:, None]
    padded = F.pad(images, [8] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel[:, :, None], groups=3), kernel[..., None], groups=3)


def maps(net: embedded.EmbeddedNet, images: Tensor) -> dict[str, list[Tensor]]:
    return {"maps": perceptual.unit(net.maps(images), [1.0] * 5)}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (96, 80), (33, 47)])
def test_shapes_at_any_size(role: embedded.Role, size: tuple[int, int]) -> None:
    net, images = embedded.load(role), torch.rand(2, 3, *size) * 2 - 1
    out = net(images)
    assert out["features"].shape == (2, 256)
    assert out["landmarks"].shape == (2, 68, 2)
    assert out["parsing"].shape == (2, 19, 32, 32)
    assert torch.all((out["landmarks"] >= 0) & (out["landmarks"] <= 1))
    torch.testing.assert_close(out["identity"].norm(dim=1), torch.ones(2))
    assert len(out["maps"]) == len(net.maps(images)) == 5
    assert net.maps(images)[0].shape[-2:] == size


@pytest.mark.parametrize("role", ROLES)
def test_images_do_not_depend_on_their_batch(role: embedded.Role, faces: synthfaces.Faces) -> None:
    net, images = embedded.load(role), faces.images[:8]
    torch.testing.assert_close(net(images)["features"][3:4], net(images[3:4])["features"], rtol=1e-4, atol=1e-4)


def test_gradients_reach_images_and_no_parameter() -> None:
    net, images = embedded.load("training"), torch.zeros(1, 3, 64, 64, requires_grad=True)
    out = net(images)
    (out["identity"].sum() + out["parsing"].mean() + out["landmarks"].sum() + out["maps"][0].mean()).backward()
    assert images.grad.abs().sum() > 0
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_the_two_networks_differ_and_fit_in_six_megabytes() -> None:
    assert embedded.WIDTHS["training"] != embedded.WIDTHS["metrics"]
    assert sum(embedded.path(role).stat().st_size for role in ROLES) < 6e6
    assert embedded.fingerprint("training") != embedded.fingerprint("metrics")


def test_every_load_gives_its_own_network() -> None:
    first, second = embedded.load("metrics"), embedded.load("metrics")
    first.stem[0].weight.zero_()
    assert second.stem[0].weight.abs().sum() > 0


def test_fingerprint_is_the_hash_of_the_file() -> None:
    digest = hashlib.sha256(embedded.path("metrics").read_bytes()).hexdigest()
    assert embedded.fingerprint("metrics") == f"embedded-metrics-{digest[:8]}"


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_missing_or_damaged_weights_are_named(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "embedded-metrics.safetensors"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(embedded, "path", lambda role: file)
    embedded._file.cache_clear()
    with pytest.raises(BenchError, match=r"embedded-metrics\.safetensors.*install the package again"):
        embedded.load("metrics")
    embedded._file.cache_clear()


def test_unknown_role() -> None:
    with pytest.raises(BenchError, match="training, metrics"):
        embedded.load("test")


@pytest.mark.parametrize("role", ROLES)
def test_identity_separates_people_that_it_never_saw(role: embedded.Role, faces: synthfaces.Faces) -> None:
    embedding = embedded.load(role)(faces.images)["identity"]
    identity = faces.identity.numpy()
    pairs = np.triu_indices(len(identity), 1)
    same = (identity[:, None] == identity)[pairs]
    assert roc_auc_score(same, (embedding @ embedding.T).numpy()[pairs]) >= 0.95


@pytest.mark.parametrize("role", ROLES)
def test_parsing_and_landmarks_find_the_face(role: embedded.Role, faces: synthfaces.Faces) -> None:
    out = embedded.load(role)(faces.images)
    found = F.interpolate(out["parsing"], size=64, mode="bilinear", align_corners=False).argmax(dim=1)
    overlaps = []
    for label in faces.semantics.unique():
        one, other = found == label, faces.semantics == label
        overlaps.append((one & other).sum() / (one | other).sum())
    assert torch.stack(overlaps).mean() > 0.4  # many parts are a few pixels at this size
    assert (out["landmarks"] * 64 - faces.landmarks).norm(dim=2).mean() < 1.5  # pixels


def fids(net: embedded.EmbeddedNet, images: Tensor) -> list[float]:
    """FID of a mean-colour fill, bucket by bucket."""

    def features(pictures: Tensor) -> Tensor:
        return torch.cat([net(part)["features"] for part in pictures.split(100)])

    known = features(images)
    filled = [mean_fill(images, holes(bucket, len(images))) for bucket in BUCKETS]
    return [frechet.distance(known, features(pictures)) for pictures in filled]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("start", [0, 100])
def test_fid_of_a_mean_colour_fill_rises_with_the_hole(
    role: embedded.Role, start: int, faces: synthfaces.Faces
) -> None:
    values = fids(embedded.load(role), faces.images[start : start + 100])
    assert np.all(np.diff(values) > 0), values


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("seed", [1, 2])
def test_fid_rises_with_500_images(role: embedded.Role, seed: int) -> None:
    values = fids(embedded.load(role), synthfaces.render(range(500), size=64, seed=seed).images)
    assert np.all(np.diff(values) > 0), values


@pytest.mark.parametrize("role", ROLES)
def test_fid_rises_on_photographs(role: embedded.Role, shared: Path) -> None:
    files = sorted((shared / "data" / "faces").glob("*.png"))
    photos = [np.asarray(Image.open(file).convert("RGB").resize((64, 64), Image.Resampling.LANCZOS)) for file in files]
    images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 127.5 - 1
    values = fids(embedded.load(role), images)
    assert np.all(np.diff(values) > 0), values


@pytest.mark.parametrize("role", ROLES)
def test_perceptual_distance_ranks_damage(role: embedded.Role, faces: synthfaces.Faces) -> None:
    net, images = embedded.load(role), faces.images[::4]
    worse = {
        "blur": [blur(images, sigma) for sigma in (0.5, 1, 2, 4)],
        "hole": [mean_fill(images, holes(bucket, len(images))) for bucket in BUCKETS],
    }
    truth = maps(net, images)
    for kind, damaged in worse.items():
        values = [float(perceptual.distance(maps(net, x), truth, None).mean()) for x in (images, *damaged)]
        assert values[0] == 0
        assert np.all(np.diff(values) > 0), (kind, values)


def test_script_writes_weights_that_load_and_repeats_itself(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        script.main(script.Choice.training, identities=4, people=4, steps=3, out=tmp_path / folder)
    assert "min left" in capsys.readouterr().out
    first, second = (tmp_path / folder / "embedded-training.safetensors" for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    weights = {name: tensor.float() for name, tensor in embedded.read_tensors(first.read_bytes()).items()}
    embedded.EmbeddedNet(embedded.WIDTHS["training"]).load_state_dict(weights)


def test_folding_the_normalisation_changes_nothing(script: ModuleType) -> None:
    torch.manual_seed(0)
    net = embedded.EmbeddedNet(embedded.WIDTHS["training"], torch.nn.BatchNorm2d)
    net(torch.rand(8, 3, 64, 64))
    net.eval()
    images = torch.rand(2, 3, 64, 64)
    before = net(images)["features"]
    folded = script.fold(net)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(images)["features"], before, rtol=1e-4, atol=1e-4)


def test_holes_cover_what_they_should(script: ModuleType) -> None:
    ratios = script.holes(64, torch.Generator().manual_seed(0)).mean(dim=(1, 2, 3))
    assert 0.01 < ratios.min() < 0.15 and 0.55 < ratios.max() < 0.71


def test_damage_reports_what_it_did(script: ModuleType) -> None:
    rng = torch.Generator().manual_seed(0)
    images = blur(torch.rand(64, 3, 64, 64) * 2 - 1, 1.0)
    damaged, severity, mask = script.damage(images, rng)
    change = (damaged - images).abs().mean(dim=(1, 2, 3))
    assert torch.equal(change > 0, severity.sum(dim=1) > 0)
    assert torch.all(severity.gt(0).sum(dim=1) <= 1)
    hole = severity[:, 0] > 0
    outside = ((damaged - images).abs() * (1 - mask))[hole]
    assert hole.any() and outside.max() == 0
