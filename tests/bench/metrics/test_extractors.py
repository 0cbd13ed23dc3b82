"""Networks against their reference packages, on random weights saved in the official layout."""

from __future__ import annotations

import copy
import re
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, check
from bench.isolation import one_thread
from bench.metrics import extractors, identity, measure
from bench.nn import fan, s3fd
from bench.nn.irse import IRSE

from .conftest import pictures


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep activations alive, and batch statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.ndim > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.05, generator=generator)
    return network.eval()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No package may fetch weights behind our back."""

    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def supply(monkeypatch, tmp_path):
    """Put a state dict, or a whole network, where `bench.weights` looks for a pretrained file."""
    files: dict[str, Path] = {}

    def path(name: str) -> Path:
        if name not in files:
            raise BenchError(f"the pretrained file {name} is not on this machine")
        return files[name]

    def put(name: str, state: dict | nn.Module) -> None:
        files[name] = tmp_path / f"{name}.pth"
        torch.save(state, files[name])

    monkeypatch.setattr(weights, "path", path)
    return put


@pytest.fixture
def inception(supply, monkeypatch):
    """pytorch-fid's Inception with random weights, and the same file supplied to us."""
    import pytorch_fid.inception as package

    monkeypatch.setattr(nn.init, "trunc_normal_", lambda tensor, *args, **kwargs: tensor)
    state = randomise(package._inception_v3(num_classes=1008, aux_logits=False, weights=None)).state_dict()
    monkeypatch.setattr(package, "load_state_dict_from_url", lambda *args, **kwargs: state)
    supply("inception-fid", state)
    return package.InceptionV3().eval()


def test_inception_equals_pytorch_fid(inception):
    images = pictures(3, 96)[0]
    with torch.no_grad():
        expected = inception(images.float() / 255)[0].flatten(1)
    extractor = extractors.load("inception")
    found = extractors.extract(extractor, images, batch=4)["features"]
    assert found.shape == (3, 2048)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert re.fullmatch(r"inception-fid-299-float32-[0-9a-f]{8}", extractor.fingerprint)  # resize, precision, hash


def test_fid_and_kid_equal_the_tools(inception, tmp_path):
    """The whole way from files: pytorch-fid reads the same folders."""
    from pytorch_fid import fid_score
    from torchmetrics.image.kid import poly_mmd

    for name, images in zip(("completed", "truth"), pictures(6, 64), strict=False):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{i}.png")
    features = [
        fid_score.get_activations(sorted((tmp_path / name).iterdir()), inception, 6, num_workers=0)
        for name in ("completed", "truth")
    ]
    means, covariances = [x.mean(0) for x in features], [np.cov(x, rowvar=False) for x in features]
    # SciPy's root of a singular 2048 x 2048 matrix takes a minute; the features' span has 11 dimensions
    basis = np.linalg.qr(np.concatenate([x - means[0] for x in features]).T)[0]
    inside = [basis.T @ s @ basis for s in covariances]
    root = np.sqrt(np.linalg.eigvals(inside[0] @ inside[1]).real.clip(0)).sum()
    fid = ((means[0] - means[1]) ** 2).sum() + sum(np.trace(s) for s in covariances) - 2 * root
    result = measure(tmp_path / "completed", tmp_path / "truth", None, ["fid", "kid"], batch=6)
    assert result.value("fid") == pytest.approx(fid, rel=1e-4)
    kid = poly_mmd(*(torch.from_numpy(x) for x in reversed(features))).item()
    assert result.value("kid") == pytest.approx(kid, rel=1e-4)
    assert {row["extractor"] for row in result.rows} == {extractors.load("inception").fingerprint}


@pytest.fixture(params=["alex", "vgg"])
def lpips_reference(request, supply, monkeypatch):
    """The lpips package and our extractor on one random backbone."""
    import lpips
    import torchvision

    name = {"alex": "alexnet", "vgg": "vgg16"}[request.param]
    build = getattr(torchvision.models, name)
    with torch.device("meta"):
        skeleton = build()
    trunk = skeleton.features.to_empty(device="cpu")
    randomise(trunk)
    backbone = nn.Module()
    backbone.features = trunk
    supply(name, backbone.state_dict() | {"classifier.6.bias": torch.zeros(1000)})
    monkeypatch.setattr(lpips.pretrained_networks.tv, name, lambda pretrained: backbone)
    reference = lpips.LPIPS(net=request.param, verbose=False)
    monkeypatch.undo()
    return request.param, reference


def test_lpips_equals_the_package(lpips_reference, monkeypatch, tmp_path):
    name, reference = lpips_reference
    file = {"alex": "alexnet", "vgg": "vgg16"}[name]
    monkeypatch.setattr(weights, "path", lambda wanted: tmp_path / f"{file}.pth")
    completed, truth, masks = pictures(3, 64)
    with torch.no_grad():
        a, b = (images.float() / 127.5 - 1 for images in (completed, truth))
        expected = reference(a, b).flatten().mean().item()
        reference.spatial = True
        maps = reference(a, b)
        hole = ((maps * masks).sum(dim=(1, 2, 3)) / masks.sum(dim=(1, 2, 3))).mean().item()
    result = measure(completed, truth, masks, [f"lpips@{name}", f"lpips@{name}-hole"], batch=4)
    assert result.value(f"lpips@{name}") == pytest.approx(expected, rel=1e-5)
    assert result.value(f"lpips@{name}-hole") == pytest.approx(hole, rel=1e-5)
    assert hole > expected  # the square hole is where the pictures differ


def test_facenet_equals_facenet_pytorch(supply):
    from facenet_pytorch import InceptionResnetV1
    from facenet_pytorch.models.utils.detect_face import extract_face

    network = randomise(InceptionResnetV1())
    supply("facenet-vggface2", network.state_dict() | {"logits.bias": torch.zeros(8631)})
    images = pictures(3, 200)[0]
    boxes = torch.tensor([[20.4, 30.7, 170.2, 190.9], [-3.0, 5.0, 150.0, 230.0], [torch.nan] * 4])
    with torch.no_grad():
        crops = [
            extract_face(image.permute(1, 2, 0), box.numpy()) for image, box in zip(images[:2], boxes, strict=False)
        ]
        expected = network((torch.stack(crops) - 127.5) / 128)
    found = extractors.extract(extractors.load("facenet"), images, {"box": boxes}, batch=4)["identity"]
    assert (found[:2] - expected).abs().max() < 1e-5
    assert found[2].isnan().all()


def test_arcface_equals_the_golden_file(shared):
    """IR-SE50 with filled weights gives the authors' output."""
    golden = Golden(
        build=IRSE, run=lambda network, inputs: {"embedding112": network(inputs.image(112))},
    )  # fmt: skip
    result = check(shared / "golden/arcface.ir_se50.npz", shared / "specs", {"arcface.ir_se50": ("arcface", golden)})
    assert result.deviations["embedding112"] < 1e-6, result


@pytest.fixture(scope="module")
def efficientnet():
    import timm

    return randomise(timm.create_model("tf_efficientnet_b0", num_classes=8))


def as_hsemotion_does(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Scores of the eight emotions: PIL images through torchvision's transforms, one by one."""
    from torchvision import transforms

    look = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    with torch.no_grad():
        return torch.cat([network(look(Image.fromarray(i.permute(1, 2, 0).numpy()))[None]) for i in images])


@pytest.mark.parametrize("in_a_sequence", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_hsemotion_equals_timm_run_as_the_package_does(efficientnet, supply, in_a_sequence, whole):
    """The official file is a pickled network; its classifier may be a linear layer or a sequence of one."""
    network = copy.deepcopy(efficientnet)
    if in_a_sequence:
        network.classifier = nn.Sequential(network.classifier)
    supply("hsemotion", network if whole else network.state_dict())
    images = pictures(3, 96)[0]
    expected = as_hsemotion_does(network, images)
    extractor = extractors.load("hsemotion")
    found = extractors.extract(extractor, images, batch=4)["emotion"]
    assert found.shape == (3, 8)
    assert expected.std(dim=0).min() > 1e-3  # the pictures differ in what is compared
    assert (found - expected).abs().max() < 1e-5 * max(1, expected.abs().max())
    assert re.fullmatch(r"hsemotion-enet_b0_8_best_vgaf-224-float32-[0-9a-f]{8}", extractor.fingerprint)


def test_files_without_counts_of_batches_are_read(efficientnet, supply):
    """What batch normalisation before PyTorch 0.4.1 did not keep, and no evaluation needs."""
    supply("hsemotion", {k: v for k, v in efficientnet.state_dict().items() if "num_batches" not in k})
    images = pictures(2, 64)[0]
    found = extractors.extract(extractors.load("hsemotion"), images, batch=2)["emotion"]
    assert (found - as_hsemotion_does(efficientnet, images)).abs().max() < 1e-5 * max(1, found.abs().max())


WOKEN: list[str] = []


class Wakes(nn.Module):
    """Does something when it is unpickled."""

    def __setstate__(self, state: dict) -> None:
        WOKEN.append("here")
        super().__setstate__(state)


def test_nothing_in_a_pickled_network_is_executed(efficientnet, supply, tmp_path):
    network = copy.deepcopy(efficientnet)
    network.drop = Wakes()
    supply("hsemotion", network)
    WOKEN.clear()
    extractors.load("hsemotion")
    assert not WOKEN
    torch.load(tmp_path / "hsemotion.pth", weights_only=False)
    assert WOKEN  # what the file would have done


def test_without_timm_the_metric_names_the_command(efficientnet, supply, monkeypatch):
    supply("hsemotion", efficientnet)
    monkeypatch.setitem(sys.modules, "timm", None)
    result = measure(*pictures(3, 32)[:2], None, ["emotion@hsemotion", "l1"])
    assert result.value("emotion@hsemotion") is None
    assert "pip install 'face-inpaint-bench[emotion]'" in result.rows[0]["note"]
    assert result.value("l1") is not None


@pytest.mark.parametrize("size", [(512, 512), (300, 200), (224, 224), (64, 64)])
def test_resize_equals_torchvision_on_pil_images(size):
    from torchvision.transforms import Resize

    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, *size), dtype=np.uint8))
    expected = [np.asarray(Resize((224, 224))(Image.fromarray(i.permute(1, 2, 0).numpy()))) for i in images]
    np.testing.assert_array_equal(extractors.resize(images, 224).permute(0, 2, 3, 1).numpy(), np.stack(expected))


def detector_of_bright_squares() -> dict[str, torch.Tensor]:
    """S3FD's official layout with weights that pass brightness on and find it at two scales.

    A bright square of 16 pixels on the grid of 16 gets a box of 64 pixels, and boxes of 32 with a better score.
    """
    state = {name: torch.zeros_like(value) for name, value in s3fd.S3FD().state_dict().items()}
    for name, value in state.items():
        if name.startswith("conv") and name.endswith("weight") and value.ndim == 4 and "mbox" not in name:
            value[0, 0, value.shape[2] // 2, value.shape[3] // 2] = 1
    for name, slope in (("conv4_3_norm", 20), ("conv5_3_norm", 10)):
        state[f"{name}.weight"] += 1
        state[f"{name}_mbox_conf.weight"][1, 0, 1, 1] = slope
        state[f"{name}_mbox_conf.bias"][1] = -slope / 2
    return state


@pytest.fixture(scope="module")
def aligner():
    return randomise(fan.FAN()).state_dict()


def bright_squares(*corners: tuple[int, int] | None) -> torch.Tensor:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 90, (1, 3, 128, 160), dtype=np.uint8))
    images = images.repeat(len(corners), 1, 1, 1)
    for image, corner in zip(images, corners, strict=True):
        if corner:
            image[:, corner[1] : corner[1] + 16, corner[0] : corner[0] + 16] = 255
    return images


def test_fan_looks_at_the_largest_face(supply, aligner):
    supply("fan", aligner)
    supply("s3fd", detector_of_bright_squares())
    images = bright_squares((64, 48), None, (96, 64))
    extractor = extractors.load("fan")
    found = extractors.extract(extractor, images, batch=3)
    assert found["box"][0].tolist() == [40, 24, 104, 88]  # 64 pixels around (72, 56)
    assert found["box"][2].tolist() == [72, 40, 136, 104]
    assert found["landmarks"].shape == (3, 68, 2)
    assert found["landmarks"][::2].isfinite().all()
    assert found["box"][1].isnan().all()
    assert found["landmarks"][1].isnan().all()
    network = fan.FAN().eval()
    network.load_state_dict(aligner)
    with torch.no_grad():
        assert torch.equal(found["landmarks"][2], fan.landmarks(network, images[2], found["box"][2].tolist()))


def test_error_and_detection_by_fan(supply, aligner):
    """An image without a face counts against the detection rate and has no error, one without a reference neither."""
    supply("fan", aligner)
    supply("s3fd", detector_of_bright_squares())
    completed = bright_squares((64, 48), (80, 48), None, (64, 48))
    truth = bright_squares((64, 48), (64, 48), (64, 48), None)
    result = measure(completed, truth, None, ["detection@fan", "nme@fan"], batch=4)
    values = {name: rows["value"].tolist() for name, rows in result.per_image.groupby("metric")}
    assert values["detection@fan"] == [1, 1, 0, 1]
    assert result.value("detection@fan") == 3 / 4
    points = extractors.extract(extractors.load("fan"), completed[:2], batch=2)["landmarks"].double()
    error = 100 * (points[1] - points[0]).norm(dim=1).mean() / (points[0, 36] - points[0, 45]).norm()
    assert error > 0
    assert values["nme@fan"] == pytest.approx([0, error.item(), np.nan, np.nan], nan_ok=True)
    assert result.value("nme@fan") == pytest.approx(error.item() / 2)
    assert result.rows[1]["note"] == "2 of 4 images have no value"
    assert re.fullmatch(r"fan-2dfan4-s3fd-float32-[0-9a-f]{8}-[0-9a-f]{8}", result.rows[0]["extractor"])


def test_both_files_of_fan_count(supply, aligner):
    images = pictures(2, 32)
    supply("s3fd", detector_of_bright_squares())
    result = measure(*images[:2], None, ["detection@fan", "nme@fan", "l1"])
    assert [row["value"] is None for row in result.rows] == [True, True, False]
    assert result.rows[0]["note"] == "not computed: the pretrained file fan is not on this machine"
    supply("fan", aligner)
    first = extractors.load("fan")
    assert extractors.load("fan") is first
    supply("s3fd", {name: value + 1 for name, value in detector_of_bright_squares().items()})
    second = extractors.load("fan").fingerprint
    assert second[:-8] == first.fingerprint[:-8]
    assert second != first.fingerprint


def test_alignment_brings_points_to_the_template():
    template = torch.tensor(identity.TEMPLATE)
    angle, scale = 0.3, 1.7
    turn = scale * torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    points = (template - 56) @ turn.T + torch.tensor([130.0, 120.0])
    image = torch.full((1, 3, 256, 256), -1.0)
    y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    for px, py in points.tolist():
        image[0, :, (x - px) ** 2 + (y - py) ** 2 < 16] = 1
    crops = identity.align(torch.cat([image, image]), torch.stack([points, points * torch.nan]))
    assert crops.shape == (2, 3, 112, 112)
    assert crops[1].isnan().all()
    for px, py in template.round().int().tolist():
        assert crops[0, 0, py, px] == 1
    assert (crops[0] > 0).float().mean() < 0.02


def test_detector_finds_real_faces(shared):
    files = sorted((shared / "data/faces").glob("*.png"))[:4]
    arrays = [np.asarray(Image.open(file).convert("RGB").resize((256, 256))) for file in files]
    images = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    result = measure(images, images, None, ["detection@mtcnn", "nme@mtcnn"])
    assert result.value("detection@mtcnn") >= 0.75
    assert result.value("nme@mtcnn") == 0
    assert result.rows[0]["extractor"].startswith("mtcnn-2.5.3-")


def test_detector_misses_pictures_without_faces():
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8))
    images = torch.cat([torch.zeros_like(noise), torch.full_like(noise, 255), noise])
    result = measure(images, images, None, ["detection@mtcnn", "nme@mtcnn"])
    assert result.value("detection@mtcnn") == 0
    assert result.value("nme@mtcnn") is None
    assert result.rows[1]["note"] == "3 of 3 images have no value"


def test_a_file_that_is_not_what_its_name_states_is_refused(monkeypatch, tmp_path):
    file = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    torch.save({}, file)
    monkeypatch.setattr(weights, "path", lambda name: file)
    with pytest.raises(BenchError, match="is not the official file"):
        extractors.load("inception")
    result = measure(*pictures(3, 32)[:2], None, ["fid"])
    assert result.value("fid") is None
    assert "not the official file" in result.rows[0]["note"]


def test_weights_of_another_network_are_refused(supply):
    supply("facenet-vggface2", {"a": torch.zeros(1)})
    supply("inception-fid", {"a": torch.zeros(1)})
    supply("alexnet", {"a": torch.zeros(1)})
    supply("hsemotion", {"a": torch.zeros(1)})
    supply("fan", {"a": torch.zeros(1)})
    supply("s3fd", {"a": torch.zeros(1)})
    for name in ("facenet", "inception", "lpips-alex", "hsemotion", "fan"):
        with pytest.raises(BenchError, match="does not fit"):
            extractors.load(name)
    with pytest.raises(BenchError, match="unknown extractor 'vgg'"):
        extractors.load("vgg")


def test_networks_are_read_once_and_again_when_the_file_changes(supply):
    from facenet_pytorch import InceptionResnetV1

    supply("facenet-vggface2", randomise(InceptionResnetV1()).state_dict())
    first = extractors.load("facenet")
    assert extractors.load("facenet") is first
    supply("facenet-vggface2", randomise(InceptionResnetV1(), 1).state_dict())
    assert extractors.load("facenet").fingerprint != first.fingerprint


def test_precision_is_forced_and_restored():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), extractors.exact():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            product = torch.ones(4, 4) @ torch.full((4, 4), 1 / 3)
            assert product.dtype == torch.float32
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_embedded_network_measures():
    """The shipped file, end to end."""
    from bench.nn import embedded

    if not embedded.path("metrics").exists():
        pytest.skip("the embedded network is not in this checkout")
    result = measure(*pictures(12, 64), ["fid@embedded", "identity@embedded", "perceptual@embedded", "nme@embedded"])
    rows = [row for row in result.rows if "@embedded" in row["metric"]]
    assert all(row["value"] > 0 for row in rows if "infinity" not in row["metric"])
    assert {row["extractor"] for row in rows} == {embedded.fingerprint("metrics")}


def test_one_thread_takes_the_kernels_of_several():
    """torch gives 1 x 1 convolutions of few images to MKL on one thread: slower, and with other last digits."""
    with one_thread(), torch.profiler.profile() as seen:
        extractors.extract(extractors.load("embedded"), pictures(8)[0], batch=8)
    names = {event.key for event in seen.key_averages()}
    assert "aten::mkldnn_convolution" in names
    assert "aten::_slow_conv2d_forward" not in names
