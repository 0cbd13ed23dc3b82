"""The networks behind feature metrics: uint8 images in, named features out.

All run in float32 with TF32 off, in evaluation mode, on batches of one size, so that an image's features depend on
nothing but the image. `fingerprint` names the network, its input treatment and the hash of its weights; it stands
beside every number. Official weights come from `bench.weights`; where they are absent, `load` raises BenchError.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench import weights
from bench.errors import BenchError
from bench.isolation import one_thread
from bench.metrics import naturalness, perceptual, quality
from bench.metrics.identity import FRAME, align, square
from bench.nn import adaface, dinov2, dists, dlib_face, faceparsing, fan, s3fd, text
from bench.nn.irse import IRSE
from bench.nn.perceptual import IMAGENET
from bench.nn.projected import ENLARGED, EfficientNetLite, from_timm

VERSION = 3  # raised when metrics of equal images change: their networks, batches, means or intervals
Official = Callable[..., "Extractor"]  # (*files, their short hashes joined by "-", device)
Features = dict[str, Any]  # name -> Tensor (N, ...) or, for "maps", a list of them


class Extractor(Protocol):
    """What `load` returns."""

    name: str
    fingerprint: str
    faces: bool  # takes crops by the original's face: `faces` are the features of ``mtcnn`` for the originals
    note: str  # a warning that stands beside its numbers

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> Features:
        """Features of `images`, uint8 (N, 3, H, W)."""


def files(name: str) -> tuple[str, ...]:
    """The pretrained files behind an extractor, by their names in `bench.weights`; none for those that are built in."""
    return _OFFICIAL[name][0] if name in _OFFICIAL else ()


def load(name: str, device: str | torch.device = "cpu") -> Extractor:
    """The extractor of that name on `device`. BenchError when its weights are absent.

    Official networks stay in memory, so that many cells can be measured in one process without reading them again.
    """
    if name not in NAMES:
        raise BenchError(f"unknown extractor {name!r}: choose from {', '.join(NAMES)}")
    if name in _BUILT_IN:
        return _BUILT_IN[name](torch.device(device))
    files = tuple(weights.path(file) for file in _OFFICIAL[name][0])
    states = [file.stat() for file in files]
    return _load_official(name, files, tuple((s.st_mtime_ns, s.st_size) for s in states), torch.device(device))


@lru_cache(maxsize=8)
def _load_official(
    name: str, files: tuple[Path, ...], _states: tuple[tuple[int, int], ...], device: torch.device
) -> Extractor:
    """The times and sizes of the files are there for the cache: another file is read again."""
    return _OFFICIAL[name][1](*files, "-".join(weights.checked(file)[:8] for file in files), device)


@contextmanager
def exact() -> Iterator[None]:
    """float32 means float32: no TF32, no autocast, deterministic convolutions, no gradients."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    try:
        with cudnn, torch.inference_mode(), torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def extract(
    extractor: Extractor, images: Tensor, faces: Mapping[str, Tensor] | None = None, batch: int = 32
) -> Features:
    """Features of up to `batch` images. A smaller batch is filled up with its last image, so that sizes never vary."""
    n = len(images)
    if n < batch:
        images = _fill(images, batch)
        faces = faces and {key: _fill(value, batch) for key, value in faces.items()}
    with exact():
        features = extractor(images, faces)
    return {k: [layer[:n] for layer in v] if isinstance(v, list) else v[:n] for k, v in features.items()}


def _fill(rows: Tensor, n: int) -> Tensor:
    return torch.cat([rows, rows[-1:].expand(n - len(rows), *rows.shape[1:])])


def signed(images: Tensor) -> Tensor:
    """uint8 to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


class _Network:
    """An extractor made of a network and what happens before and after it."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        network: nn.Module,
        run: Callable[[nn.Module, Tensor], Features],
        device: torch.device,
        crop: Callable[[Tensor, Mapping[str, Tensor]], Tensor] | None = None,
        note: str = "",
    ) -> None:
        self.name, self.fingerprint, self.faces, self.note = name, fingerprint, crop is not None, note
        layout = torch.preserve_format
        if device.type == "cpu":
            layout = torch.channels_last  # Inception takes 0.69 of the time, VGG 0.84, AlexNet 0.80
            _by_onednn(network)
        self._network = network.eval().requires_grad_(False).to(device, torch.float32, memory_format=layout)  # type: ignore[call-overload]
        self._run, self._crop = run, crop

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> Features:
        if self._crop is None:
            return self._run(self._network, images)
        if faces is None:
            raise BenchError(f"the extractor {self.name} needs the faces that MTCNN found in the originals")
        return self._run(self._network, self._crop(images, faces))


def _folded(network: nn.Module) -> nn.Module:
    """A network whose convolutions and the batch norms behind them are one, for evaluation: 8 % of Inception's time."""
    for block in network.eval().modules():
        for (name, layer), (behind, norm) in pairwise(list(block.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(block, name, fuse_conv_bn_eval(layer, norm))
                setattr(block, behind, nn.Identity())
    return network


def _by_onednn(network: nn.Module) -> None:
    """Give 1 x 1 convolutions to oneDNN on one thread, too, where torch takes MKL's product: 0.8 of Inception's time.

    MKL leaves AVX-512 aside on processors of AMD. torch gives all dilated convolutions to oneDNN, and a filter of one
    pixel has nothing to dilate. In training, at the sizes of `tiny`, it gains nothing.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
            layer.dilation = (2, 2)


def _fill_network(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise BenchError(f"{path} does not fit {type(network).__name__}: {error}") from error
    return network


def _embedded(device: torch.device) -> Extractor:
    from bench.nn import embedded

    @one_thread()  # small batches are summed in other orders by more
    def run(network: nn.Module, images: Tensor) -> Features:
        features = network(signed(images))
        labels = features["parsing"].argmax(dim=1).byte()
        return features | {"maps": perceptual.unit_alike(features["maps"]), "parsing": labels}

    return _Network("embedded", embedded.fingerprint("metrics"), embedded.load("metrics"), run, device)


def _expression(device: torch.device) -> Extractor:
    from bench.nn import expression

    @one_thread()
    def run(network: nn.Module, images: Tensor) -> Features:
        return {"emotion": network(signed(images)), "mirrored": network(signed(images.flip(3)))}

    return _Network("embedded-expression", expression.fingerprint(), expression.load(), run, device)


def _lite0(path: Path, digest: str, device: torch.device) -> Extractor:
    """EfficientNet-Lite0 (ImageNet) on whole images in [-1, 1]; those below 224 pixels are enlarged to 224 x 224.

    Its four maps (1/4 to 1/32), and as features their means over space: 24 + 40 + 112 + 320 = 496 numbers.
    """
    network = _folded(_fill_network(EfficientNetLite("lite0"), from_timm(weights.tensors(path)), path))

    @one_thread()  # as for the embedded network
    def run(network: nn.Module, images: Tensor) -> Features:
        maps = network(signed(images))
        pooled = torch.cat([layer.mean(dim=(2, 3)) for layer in maps], dim=1)
        return {"features": pooled, "maps": perceptual.unit_alike(maps)}

    return _Network("lite0", f"efficientnet-lite0-from{ENLARGED}-float32-{digest}", network, run, device)


def _inception(path: Path, digest: str, device: torch.device) -> Extractor:
    """pytorch-fid's Inception: 299 x 299 bilinear without antialiasing, pool3, 2,048 numbers."""
    import pytorch_fid.inception as reference

    original = reference.load_state_dict_from_url
    reference.load_state_dict_from_url = lambda *_args, **_kwargs: weights.read(path)  # its constructor downloads
    try:
        network = reference.InceptionV3()
    except RuntimeError as error:
        raise BenchError(f"{path} does not fit pytorch-fid's Inception: {error}") from error
    finally:
        reference.load_state_dict_from_url = original

    def run(network: nn.Module, images: Tensor) -> Features:
        return {"features": network(images.float() / 255)[0].flatten(1)}

    return _Network("inception", f"inception-fid-299-float32-{digest}", _folded(network), run, device)


def _lpips(backbone: str) -> Official:
    def make(path: Path, digest: str, device: torch.device) -> Extractor:
        import warnings

        import lpips

        with warnings.catch_warnings():  # torchvision's note on the argument that lpips still uses
            warnings.simplefilter("ignore", UserWarning)
            network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
        # lpips cuts the trunk into slices that keep torchvision's layer numbers: slice2.3.weight is features.3.weight
        state = weights.read(path)
        names = {key: f"features.{key.partition('.')[2]}" for key in network.net.state_dict()}
        _fill_network(network.net, {key: state[name] for key, name in names.items() if name in state}, path)

        heads = [head.model[-1].weight.flatten() for head in network.lins]  # never negative, so they have a root

        def run(network: nn.Module, images: Tensor) -> Features:
            maps = network.get_submodule("net")(network.get_submodule("scaling_layer")(signed(images)))
            return {"maps": perceptual.unit(maps, heads)}

        return _Network(f"lpips-{backbone}", f"lpips-{backbone}-v0.1-float32-{digest}", network, run, device)

    return make


class _MTCNN:
    """facenet-pytorch's detector: the largest face's box and five points; NaN where there is none."""

    name, faces, note = "mtcnn", False, ""

    def __init__(self, device: torch.device) -> None:
        import facenet_pytorch

        folder = Path(facenet_pytorch.__file__).parent / "data"
        files = b"".join((folder / f"{net}.pt").read_bytes() for net in ("pnet", "rnet", "onet"))
        self.fingerprint = f"mtcnn-2.5.3-{hashlib.sha256(files).hexdigest()[:8]}"
        self._detector = facenet_pytorch.MTCNN(device=device).eval()

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> Features:
        boxes = torch.full((len(images), 4), torch.nan)
        points = torch.full((len(images), 5, 2), torch.nan)
        probability = torch.zeros(len(images))
        for i, image in enumerate(images):
            found, probabilities, marks = self._detector.detect(image.permute(1, 2, 0).contiguous(), landmarks=True)
            if found is not None and found[0] is not None:
                boxes[i] = torch.from_numpy(found[0].astype("float32"))
                points[i] = torch.from_numpy(marks[0].astype("float32"))
                probability[i] = float(probabilities[0])
        features = {"box": boxes, "landmarks": points, "probability": probability}
        return {name: value.to(images.device) for name, value in features.items()}


@cache
def _dlib_detector() -> Callable[[Any], Any]:
    """dlib's detector, which takes a third of a second to read."""
    import dlib

    return dlib.get_frontal_face_detector()


class _HOG:
    """dlib's detector of upright frontal faces, by histograms of gradients: the largest face's box; NaN without one.

    It finds faces of 80 pixels or more, so each picture gets a shorter side of `FRAME` pixels first.
    """

    name, faces, note = "dlib-hog", False, ""

    def __init__(self, device: torch.device) -> None:
        try:
            import dlib
        except ImportError as error:
            raise BenchError("dlib's detector needs dlib: pip install 'face-inpaint-bench[identity]'") from error
        self.fingerprint = f"dlib-hog-{dlib.__version__}-{FRAME}"

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> Features:
        shorter = min(images.shape[-2:])
        height, width = (round(side * FRAME / shorter) for side in images.shape[-2:])
        boxes = torch.full((len(images), 4), torch.nan)
        detect = _dlib_detector()
        for i, image in enumerate(resize(images, height, width).permute(0, 2, 3, 1).cpu().numpy()):
            if found := detect(np.ascontiguousarray(image)):
                box = max(found, key=lambda one: one.area())
                boxes[i] = torch.tensor([box.left(), box.top(), box.right(), box.bottom()]) * (shorter / FRAME)
        return {"box": boxes.to(images.device)}


def _facenet(path: Path, digest: str, device: torch.device) -> Extractor:
    from facenet_pytorch import InceptionResnetV1

    state = {key: value for key, value in weights.read(path).items() if not key.startswith("logits.")}
    network = _fill_network(InceptionResnetV1(), state, path)
    fingerprint = f"facenet-vggface2-mtcnn160-float32-{digest}"
    return _Network("facenet", fingerprint, network, _identify, device, crop=_facenet_crop)


def _facenet_crop(images: Tensor, faces: Mapping[str, Tensor]) -> Tensor:
    return (crop_boxes(images, faces["box"]) - 127.5) / 128


def _arcface(path: Path, digest: str, device: torch.device) -> Extractor:
    network = _fill_network(IRSE(), weights.read(path), path)
    fingerprint = f"arcface-ir-se50-aligned112-float32-{digest}"
    note = "some methods train with this network: compare with identity@facenet"
    return _Network("arcface", fingerprint, network, _identify, device, crop=_arcface_crop, note=note)


def _arcface_crop(images: Tensor, faces: Mapping[str, Tensor]) -> Tensor:
    return align(signed(images), faces["landmarks"])


def _identify(network: nn.Module, crops: Tensor) -> Features:
    """Identity vectors; NaN for the NaN crop of an image without a face."""
    missing = crops.isnan().flatten(1).any(dim=1)
    return {"identity": network(crops.nan_to_num(0.0)).masked_fill(missing[:, None], torch.nan)}


def _dlib_face(path: Path, digest: str, device: torch.device) -> Extractor:
    """dlib's 128 numbers of aligned faces."""
    network = dlib_face.FaceNetwork()
    try:
        network.fill(weights.read(path))
    except RuntimeError as error:
        raise BenchError(f"{path} does not fit dlib's face network: {error}") from error

    def run(network: nn.Module, images: Tensor) -> Features:
        return {"identity": network(square(images.float(), dlib_face.SIDE))}

    return _Network("dlib-face", f"dlib-face-square{dlib_face.SIDE}-float32-{digest}", network, run, device)


def _hsemotion(path: Path, digest: str, device: torch.device) -> Extractor:
    """HSEmotion's EfficientNet-B0, eight emotions: whole images at 224 x 224 in ImageNet's colours."""
    try:
        import timm
    except ImportError as error:
        raise BenchError("HSEmotion's network needs timm: pip install 'face-inpaint-bench[emotion]'") from error

    network = timm.create_model("tf_efficientnet_b0", num_classes=8)
    # the package's models end in a linear layer or in a sequence of one
    state = {name.replace("classifier.0.", "classifier."): value for name, value in weights.read(path).items()}
    _fill_network(network, state, path)
    mean, deviation = (torch.tensor(v, device=device).view(3, 1, 1) for v in IMAGENET)

    def run(network: nn.Module, images: Tensor) -> Features:
        seen = (resize(images, 224).float() / 255 - mean) / deviation
        return {"emotion": network(seen), "mirrored": network(seen.flip(3))}

    return _Network("hsemotion", f"hsemotion-enet_b0_8_best_vgaf-224-float32-{digest}", network, run, device)


def _dists(vgg: Path, channels: Path, digest: str, device: torch.device) -> Extractor:
    network = dists.DISTS()
    state = {name: value for name, value in weights.read(vgg).items() if name in network.state_dict()}
    _fill_network(network, {**state, **weights.read(channels)}, channels)
    shares = torch.stack(network.weights()).detach()[None, :, :, None].to(device)

    def run(network: nn.Module, images: Tensor) -> Features:
        return {"maps": network(images.float() / 255), "weights": shares.expand(len(images), -1, -1, -1)}

    return _Network("dists", f"dists-vgg16-float32-{digest}", network, run, device)


def _dinov2(path: Path, digest: str, device: torch.device) -> Extractor:
    """dgm-eval's DINOv2: 224 x 224 by PIL's bicubic filter, ImageNet's colours, the class token."""
    try:
        network = dinov2.network(weights.read(path))
    except RuntimeError as error:
        raise BenchError(f"{path} does not fit DINOv2's ViT-L/14: {error}") from error
    mean, deviation = (torch.tensor(v, device=device).view(3, 1, 1) for v in IMAGENET)

    def run(network: nn.Module, images: Tensor) -> Features:
        pictures = resize(images, dinov2.SIDE, by=Image.Resampling.BICUBIC)
        return {"features": network((pictures.float() / 255 - mean) / deviation)}

    return _Network("dinov2", f"dinov2-vitl14-pil224-float32-{digest}", network, run, device)


def _clip(path: Path, digest: str, device: torch.device) -> Extractor:
    """CMMD's CLIP: 336 x 336 by PIL's bicubic filter, CLIP's colours."""
    network = text.openai_clip(path, "ViT-L/14@336", text.VIT_L_14_336)
    side = text.VIT_L_14_336["vision_cfg"]["image_size"]
    mean, deviation = (torch.tensor(v, device=device).view(3, 1, 1) for v in text.COLOURS)

    def run(network: nn.Module, images: Tensor) -> Features:
        return {
            "features": network((resize(images, side, by=Image.Resampling.BICUBIC).float() / 255 - mean) / deviation)
        }

    return _Network("clip-l14-336", f"clip-vitl14-336-float32-{digest}", network.visual, run, device)


def _adaface(path: Path, digest: str, device: torch.device) -> Extractor:
    content = weights.read(path)
    state = content.get("state_dict", content)  # of the whole training: the network is its `model`
    own = {name[6:]: value for name, value in state.items() if name.startswith("model.")}
    network = _fill_network(adaface.AdaFace(), own, path)

    def run(network: nn.Module, crops: Tensor) -> Features:
        vectors = _identify(network, crops)["identity"]
        return {"identity": vectors, "features": vectors}

    return _Network("adaface", f"adaface-ir101-aligned112-float32-{digest}", network, run, device, crop=_arcface_crop)


def _faceparsing(path: Path, digest: str, device: torch.device) -> Extractor:
    network = faceparsing.FaceParser(pretrained=False)
    _fill_network(network.network, weights.read(path), path)

    def run(network: nn.Module, images: Tensor) -> Features:
        return {"parsing": network(signed(images))}

    return _Network("faceparsing", f"bisenet-512-float32-{digest}", network, run, device)


def _quality(name: str) -> Official:
    def make(path: Path, digest: str, device: torch.device) -> Extractor:
        try:
            network = quality.network(name, weights.read(path))
        except RuntimeError as error:
            raise BenchError(f"{path} does not fit pyiqa's {name}: {error}") from error

        def run(network: nn.Module, images: Tensor) -> Features:
            return {"quality": network(images.float() / 255).flatten()}

        return _Network(name, f"{name}-pyiqa-float32-{digest}", network, run, device)

    return make


def resize(
    images: Tensor, height: int, width: int | None = None, by: Image.Resampling = Image.Resampling.BILINEAR
) -> Tensor:
    """uint8 images at `height` x `width` (by default a square) as torchvision's Resize makes them of PIL images: by one
    of PIL's filters.

    PyTorch's own antialiased filter differs by one or two levels in some pixels.
    """
    pictures = [Image.fromarray(image) for image in images.permute(0, 2, 3, 1).cpu().numpy()]
    small = np.stack([np.asarray(picture.resize((width or height, height), by)) for picture in pictures])
    return torch.from_numpy(small).permute(0, 3, 1, 2).to(images.device)


class _FAN:
    """FAN's 68 points of a face, and its box by S3FD; NaN where there is no face.

    Of several faces the one with the largest box counts, as with MTCNN: the thesis does not say which.
    """

    name, faces, note = "fan", False, ""

    def __init__(self, points: Path, boxes: Path, digest: str, device: torch.device) -> None:
        self.fingerprint = f"fan-2dfan4-s3fd-float32-{digest}"
        self._fan, self._s3fd = (
            _fill_network(network, weights.read(path), path).eval().requires_grad_(False).to(device)
            for network, path in ((fan.FAN(), points), (s3fd.S3FD(), boxes))
        )

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> Features:
        boxes = torch.full((len(images), 4), torch.nan)
        points = torch.full((len(images), 68, 2), torch.nan)
        for i, image in enumerate(images):
            found = s3fd.detect(self._s3fd, image)[:, :4]
            if len(found):
                box = found[(found[:, 2:] - found[:, :2]).prod(dim=1).argmax()]
                boxes[i], points[i] = box, fan.landmarks(self._fan, image, box.tolist())
        return {"box": boxes.to(images.device), "landmarks": points.to(images.device)}


class _NIQE:
    """NIQE's score of each image; not a network, but its parameters are a pretrained file all the same."""

    name, faces, note = "niqe", False, ""

    def __init__(self, path: Path, digest: str, device: torch.device) -> None:
        self.fingerprint = f"niqe-live-{digest}"
        self._model = [part.to(device) for part in naturalness.read_model(path)]

    def __call__(self, images: Tensor, faces: Mapping[str, Tensor] | None = None) -> Features:
        small = min(images.shape[-2:]) < 3 * naturalness.BLOCK
        self.note = "noisy: blocks of 96 pixels, fewer than 3 a side" if small else ""
        return {"niqe": naturalness.niqe(images, *self._model)}


def crop_boxes(images: Tensor, boxes: Tensor, size: int = 160) -> Tensor:
    """facenet-pytorch's `extract_face` for tensors, margin 0: crop the box, area interpolation, 8 bits.

    Returns float32 (N, 3, size, size) in [0, 255]; NaN for an image without a face.
    """
    height, width = images.shape[-2:]
    crops = images.new_full((len(images), 3, size, size), torch.nan, dtype=torch.float32)
    for i, box in enumerate(boxes.tolist()):
        if math.isnan(box[0]):
            continue
        left, top = (int(max(edge, 0)) for edge in box[:2])
        right, bottom = int(min(box[2], width)), int(min(box[3], height))
        if right > left and bottom > top:
            face = images[i : i + 1, :, top:bottom, left:right].float()
            crops[i] = F.interpolate(face, size=(size, size), mode="area")[0].floor()
    return crops


_BUILT_IN: dict[str, Callable[[torch.device], Extractor]] = {
    "embedded": _embedded,
    "embedded-expression": _expression,
    "mtcnn": _MTCNN,
    "dlib-hog": _HOG,
}
_OFFICIAL: dict[str, tuple[tuple[str, ...], Official]] = {  # names in `bench.weights`, what reads the files
    "lite0": (("efficientnet-lite0",), _lite0),
    "inception": (("inception-fid",), _inception),
    "lpips-alex": (("alexnet",), _lpips("alex")),
    "lpips-vgg": (("vgg16",), _lpips("vgg")),
    "facenet": (("facenet-vggface2",), _facenet),
    "arcface": (("arcface-ir-se50",), _arcface),
    "dlib-face": (("dlib-face",), _dlib_face),
    "hsemotion": (("hsemotion",), _hsemotion),
    "fan": (("fan", "s3fd"), _FAN),
    "niqe": (("niqe",), _NIQE),
    "dists": (("vgg16", "dists"), _dists),
    "dinov2": (("dinov2-vitl14",), _dinov2),
    "clip-l14-336": (("clip-vit-l-14-336",), _clip),
    "adaface": (("adaface-ir101",), _adaface),
    "faceparsing": (("faceparsing",), _faceparsing),
    "musiq": (("musiq-koniq",), _quality("musiq")),
    "maniqa": (("maniqa-koniq",), _quality("maniqa")),
    "clipiqa": (("clip-rn50",), _quality("clipiqa")),
    "topiq-face": (("topiq-face",), _quality("topiq-face")),
}
NAMES = (*_BUILT_IN, *_OFFICIAL)
