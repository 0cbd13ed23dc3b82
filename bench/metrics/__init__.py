"""The metrics: what each number means, which reference tool it equals, and the library call that measures.

    from bench.metrics import measure
    result = measure("completed/", "truth/", "masks/", metrics=["psnr", "ssim", "fid@embedded"])

A metric is a declaration (`Metric`) and one pure function. The part of a name after ``@`` is the variant: the paper
whose definition it follows, or the network behind it. ``fid`` alone always means the official Inception weights.
A name with ``/`` asks for a reference other than the ground truth: ``fid/train`` compares with ``reference["train"]``,
``identity@dlib/exemplar`` each picture with the exemplar that guided it, ``identity@dlib/other`` with another one's.
Importing this module imports no torch.
"""

from __future__ import annotations

import difflib
import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement, measure

__all__ = ["Measurement", "Metric", "expanded", "get", "measure", "names"]

INFINITY = math.inf
TOWARDS = {"exemplar": "to the exemplar", "other": "to another exemplar"}
ABSENT = "not computed: "  # starts the note of a metric whose network is not here, or cannot take such images


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric's declaration.

    `kind` says what the function takes:

    - ``pixels``: (completed, truth, masks) as uint8 (N, 3, H, W) twice and bool (N, 1, H, W); values (N,) float64
    - ``features``: (features of the completed images, features of the originals, masks); values (N,) float64
    - ``set``: (`Pair` of the features (n, d) of all completed images and of the reference); a `Score`
    """

    name: str
    title: str  # in tables
    kind: Literal["pixels", "features", "set"]
    function: str  # "module:function", imported when it is used
    higher_is_better: bool
    bounds: tuple[float, float]
    equals: str  # the reference tool that it equals
    unit: str = ""
    extractor: str | None = None  # name in `bench.metrics.extractors`
    features: tuple[str, ...] = ()  # what it reads of the extractor's outputs
    needs_truth: bool = True
    needs_mask: bool = False
    between: str | None = None  # metric that it is between every two completions of an image, without an original
    remark: str | None = None  # "module:function" of the features of all images and originals: what the note says, too
    raw: bool = False  # of outputs before known pixels are pasted: runs keep it with the completed pictures
    smallest_n: int = 1  # "n/a" for fewer images
    smallest_side: int = 1  # pixels; what a named set leaves out where pictures are smaller
    advised_n: int = 1  # below it the value stands, with a note
    beside: str | None = None  # metric that is added: for fewer images than advised; always, where each has a value
    caution: str = ""  # what a reader must know of every such number; tables say it
    version: int = 1  # raised when the definition changes

    def load(self) -> Callable[..., Any]:
        """The metric's function."""
        return _function(self.function)

    def said(self, completed: Any, truth: Any) -> str:
        """What its `remark` says of the features of all images."""
        return _function(self.remark)(completed, truth) if self.remark else ""

    def companion(self, n: int | None = None) -> str | None:
        """The metric that is added beside it for `n` images; without `n`, for any number of them."""
        few = n is not None and n < self.advised_n
        return self.beside if few or self.kind != "set" else None

    @property
    def compares(self) -> bool:
        """Whether it needs the ground truth."""
        return self.needs_truth and "/" not in self.name

    @property
    def reference(self) -> str | None:
        """The name of the reference set in ``fid/train``; None for the ground truth, and where pairs are others."""
        after = self.name.partition("/")[2]
        return None if after in TOWARDS else after or None

    @property
    def towards(self) -> str | None:
        """What each picture is compared with in the place of its original: one of `TOWARDS`."""
        after = self.name.partition("/")[2]
        return after if after in TOWARDS else None


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(f"bench.metrics.{module}"), attribute)


def _pixel(name: str, title: str, function: str, equals: str, **facts: Any) -> Metric:
    defaults: dict[str, Any] = {"higher_is_better": True, "bounds": (-1.0, 1.0)}
    return Metric(
        name=name, title=title, kind="pixels", function=f"pixel:{function}", equals=equals, **(defaults | facts)
    )


def _seam(name: str, title: str, function: str, equals: str) -> Metric:
    return Metric(
        name=name, title=title, kind="pixels", function=f"seam:{function}", equals=equals, needs_mask=True,
        higher_is_better=False, bounds=(-1.0, 1.0),
    )  # fmt: skip


def _lower(top: float = INFINITY) -> dict[str, Any]:
    return {"higher_is_better": False, "bounds": (0.0, top)}


def _perceptual(name: str, title: str, extractor: str, equals: str, hole: bool = False) -> Metric:
    return Metric(
        name=name, title=title, kind="features", function=f"perceptual:{'hole_distance' if hole else 'distance'}",
        equals=equals, extractor=extractor, features=("maps",), needs_mask=hole, **_lower(),
    )  # fmt: skip


def _quality(name: str, title: str, equals: str, bounds: tuple[float, float]) -> Metric:
    return Metric(
        name=name, title=title, kind="features", function="quality:score", equals=f"pyiqa 0.1.16's {equals}",
        extractor=name, features=("quality",), needs_truth=False, higher_is_better=True, bounds=bounds,
    )  # fmt: skip


def _diversity(extractor: str, network: str, between: str) -> Metric:
    return Metric(
        name=f"diversity@{extractor}", title=f"Diversity ({network})", kind="features", function="perceptual:distance",
        equals=f"{between}: mean over every two completions of an image", extractor=extractor, features=("maps",),
        needs_truth=False, between=between, higher_is_better=True, bounds=(0.0, INFINITY),
    )  # fmt: skip


def _identity(extractor: str, title: str, equals: str, caution: str = "") -> Metric:
    return Metric(
        name=f"identity@{extractor}", title=f"Identity distance ({title})", kind="features",
        function="identity:distance", equals=equals, extractor=extractor, features=("identity",), caution=caution,
        **_lower(2.0),
    )  # fmt: skip


def _nme(extractor: str, title: str, points: str, equals: str, beside: str, caution: str = "") -> Metric:
    return Metric(
        name=f"nme@{extractor}", title=f"NME ({title})", kind="features", function=f"landmarks:{points}",
        equals=equals, unit="%", extractor=extractor, features=("landmarks",), beside=beside, caution=caution,
        **_lower(),
    )  # fmt: skip


def _agreement(extractor: str, title: str, parser: str) -> Metric:
    return Metric(
        name=f"miou@{extractor}", title=f"Label agreement ({title})", kind="features", function="parsing:agreement",
        equals=f"mean IoU over the classes that {parser} sees in the original, within the hole", extractor=extractor,
        features=("parsing",), higher_is_better=True, bounds=(0.0, 1.0),
    )  # fmt: skip


def _detection(network: str, extractor: str, title: str, tool: str, caution: str = "") -> Metric:
    return Metric(
        name=f"detection@{network}", title=f"Detection rate ({title})", kind="features",
        function="landmarks:detected", equals=f"{tool}: share of completed images with a face", extractor=extractor,
        features=("box",), needs_truth=False, higher_is_better=True, bounds=(0.0, 1.0), caution=caution,
    )  # fmt: skip


def _emotion(network: str, extractor: str, title: str, equals: str) -> Metric:
    return Metric(
        name=f"emotion@{network}", title=f"Emotion accuracy ({title})", kind="features", function="emotion:kept",
        equals=f"{equals}: share of completed images with the emotion of the original", extractor=extractor,
        features=("emotion", "mirrored"), remark="emotion:remark", higher_is_better=True, bounds=(0.0, 1.0),
    )  # fmt: skip


# U-IDS in 2,048 dimensions is 0 for identical sets of 1,000 and 0.13 at 2,000 (ideal: 0.5). What matters is the number
# of pairs per dimension, so the networks with 256 and 496 get the 2.44 pairs a dimension that 5,000 give to Inception.
SMALLEST_IDS = {"inception": 5000, "embedded": 625, "lite0": 1211}


def _manifold(extractor: str, suffix: str, label: str) -> list[Metric]:
    """Precision, recall, density and coverage on the features of a network."""
    network = label.strip(" ()")
    return [
        Metric(
            name=f"{name}{suffix}", title=f"{name.capitalize()} ({', '.join(filter(None, (network, 'k = 5')))})",
            kind="set", function=f"manifold:{name}", extractor=extractor, features=("features",), smallest_n=10,
            equals="prdc 0.2 with nearest_k=5, without completions that are copies of others",
            higher_is_better=True, bounds=(0.0, INFINITY if name == "density" else 1.0),
        )
        for name in ("precision", "recall", "density", "coverage")
    ]  # fmt: skip


def _set_metrics(extractor: str, suffix: str, label: str) -> list[Metric]:
    """The scores of feature sets, once a network: the suffix and the label keep their numbers apart."""
    base: dict[str, Any] = {"kind": "set", "extractor": extractor, "features": ("features",)}
    rate: dict[str, Any] = {"higher_is_better": True, "bounds": (0.0, 1.0), "needs_truth": True}
    n = SMALLEST_IDS[extractor]
    seen = "" if suffix else ": its Inception's last pool, of RGB pictures brought to 299 px (bilinear)"
    return [
        Metric(
            name=f"fid{suffix}", title=f"FID{label}", function="frechet:score", smallest_n=2, advised_n=2048,
            beside=f"fid-infinity{suffix}", equals="pytorch-fid 0.3.0 on the same features" + seen, **base, **_lower(),
        ),
        Metric(
            name=f"fid-infinity{suffix}", title=f"FID∞{label}", function="frechet:infinity", smallest_n=20,
            equals="the extrapolation of Chong and Forsyth (2020)", higher_is_better=False,
            bounds=(-INFINITY, INFINITY), **base,
        ),
        Metric(
            name=f"kid{suffix}", title=f"KID{label}", function="kernel:score", smallest_n=2, higher_is_better=False,
            bounds=(-INFINITY, INFINITY), equals="torchmetrics' KID with one subset of all images", **base,
        ),
        Metric(
            name=f"u-ids{suffix}", title=f"U-IDS{label}", function="discriminative:unpaired", smallest_n=n,
            equals="CoModGAN: 1 - training accuracy of scikit-learn's LinearSVC(dual=False)", **base, **rate,
        ),
        Metric(
            name=f"p-ids{suffix}", title=f"P-IDS{label}", function="discriminative:paired", smallest_n=n,
            equals="CoModGAN: share of completions that LinearSVC(dual=False) ranks above their original",
            **base, **rate,
        ),
        Metric(
            name=f"u-ids-cv{suffix}", title=f"U-IDS, cross-validated{label}", smallest_n=10,
            function="discriminative:cross_validated",
            equals="scikit-learn's LinearSVC(dual=False) on five held-out folds of photographs", **base, **rate,
        ),
        *_manifold(extractor, suffix, label),
    ]  # fmt: skip


MIDDLE = (
    "sees the middle of an aligned face (CelebA-HQ, FFHQ): an image whose hole lies outside has no value, and in holes "
    "of an eye or the mouth alone it tells no fill from another"
)
FLAT = (
    "finds a face in most flat fills, too: in irregular holes of 40 to 50 % in 61 % of grey, 66 % of noise, 57 % of "
    "the mean colour (dlib in 20, 11 and 25 %)"
)

_METRICS = [
    _pixel(
        "psnr", "PSNR", "psnr",
        "scikit-image's peak_signal_noise_ratio on 8-bit RGB, no border cut off; BasicSR's calculate_psnr",
        unit="dB", bounds=(0.0, INFINITY),
    ),
    _pixel(
        "psnr@edgeconnect", "PSNR (grey)", "psnr_grey", "EdgeConnect's metrics.py: grey, range 1",
        unit="dB", bounds=(0.0, INFINITY),
    ),
    _pixel(
        "psnr@y", "PSNR (luma)", "psnr_y", "BasicSR's calculate_psnr with test_y_channel",
        unit="dB", bounds=(0.0, INFINITY),
    ),
    _pixel(
        "psnr@matched", "PSNR (colours matched)", "psnr_matched",
        "VQFR's calculate_psnr_ssim.py: the result takes the truth's means and deviations first",
        unit="dB", bounds=(0.0, INFINITY),
    ),
    _pixel(
        "psnr@hole", "PSNR (hole)", "psnr_hole", "PSNR over the hole's pixels alone", unit="dB",
        bounds=(0.0, INFINITY), needs_mask=True,
    ),
    _pixel("ssim", "SSIM", "ssim", "scikit-image's structural_similarity on 8-bit RGB: uniform window 7"),
    _pixel(
        "ssim@wang", "SSIM (Gaussian 11)", "ssim_wang",
        "scikit-image with Wang et al.'s settings on 8-bit RGB: Gaussian window 11, sigma 1.5, where it lies inside; "
        "BasicSR's calculate_ssim, no border cut off",
    ),
    _pixel("ssim@y", "SSIM (luma)", "ssim_y", "BasicSR's calculate_ssim with test_y_channel"),
    _pixel(
        "ssim@matched", "SSIM (colours matched)", "ssim_matched",
        "VQFR's calculate_psnr_ssim.py: the result takes the truth's means and deviations first",
    ),
    _pixel("ssim@lama", "SSIM (LaMa)", "ssim_lama", "LaMa's evaluator: Gaussian 11, zero padding"),
    _pixel("ssim@ec51", "SSIM (grey, window 51)", "ssim_ec51", "EdgeConnect's and LaFIn's metrics.py"),
    _pixel("ssim@rgb51", "SSIM (RGB, window 51)", "ssim_rgb51", "GRIG's and EXE-GAN's evaluation scripts"),
    _pixel("l1", "L1", "l1", "mean absolute difference of intensities in [0, 1] (MAT)", **_lower(1.0)),
    _pixel("l1@hole", "L1 (hole)", "l1_hole", "L1 over the hole's pixels alone", needs_mask=True, **_lower(1.0)),
    _pixel(
        "ssim@hole", "SSIM (hole)", "ssim_hole",
        "the mean over the hole of the map that scikit-image's structural_similarity gives with full=True",
        needs_mask=True,
    ),
    _seam("seam", "Seam", "step", "colour step across the mask's edge beyond the original's (docs/protocol.md)"),
    _seam(
        "seam@sobel", "Seam (Sobel)", "sobel",
        "scikit-image's sobel along the mask's edge beyond the original's (docs/protocol.md)",
    ),
    _pixel(
        "damage", "Damage to known pixels", "damage", "L1 over the known pixels, before the originals' are pasted",
        needs_mask=True, raw=True, **_lower(1.0),
    ),
    _pixel(
        "damage@psnr", "PSNR of known pixels", "damage_psnr",
        "PSNR over the known pixels, before the originals' are pasted", unit="dB", bounds=(0.0, INFINITY),
        needs_mask=True, raw=True,
    ),
    _pixel("mae@aot", "MAE (relative, RGB)", "mae_aot", "AOT-GAN, GRIG, EXE-GAN: sum |a-b| / sum (a+b)", **_lower(1.0)),
    _pixel("mae@edgeconnect", "MAE (relative, grey)", "mae_edgeconnect", "EdgeConnect's metrics.py", **_lower(1.0)),
    Metric(
        name="niqe", title="NIQE", kind="features", function="naturalness:score", extractor="niqe",
        features=("niqe",), needs_truth=False, smallest_side=192, **_lower(),
        equals="BasicSR's calculate_niqe: MATLAB's luma, rounded; blocks of 96 px, no border cut off",
    ),
    _quality("musiq", "MUSIQ", "musiq: trained on KonIQ-10k", (-INFINITY, INFINITY)),
    _quality("maniqa", "MANIQA", "maniqa: trained on KonIQ-10k", (-INFINITY, INFINITY)),
    _quality("clipiqa", "CLIP-IQA", "clipiqa: CLIP RN50, five pairs of prompts", (0.0, 1.0)),
    _quality("topiq-face", "TOPIQ (faces)", "topiq_nr-face, of the whole picture", (-INFINITY, INFINITY)),
    _perceptual("lpips@alex", "LPIPS (AlexNet)", "lpips-alex", "lpips 0.1.4, net='alex', version 0.1: RGB in [-1, 1]"),
    _perceptual("lpips@vgg", "LPIPS (VGG)", "lpips-vgg", "lpips 0.1.4, net='vgg', version 0.1: RGB in [-1, 1]"),
    _perceptual(
        "lpips@alex-hole", "LPIPS (AlexNet, hole)", "lpips-alex", "lpips with spatial=True, mean over the hole", True
    ),
    _perceptual(
        "lpips@vgg-hole", "LPIPS (VGG, hole)", "lpips-vgg", "lpips with spatial=True, mean over the hole", True
    ),
    _perceptual(
        "perceptual@embedded", "Perceptual distance (embedded)", "embedded",
        "lpips' formula with equal weights for all channels, on the embedded network's maps",
    ),
    _perceptual(
        "perceptual@lite0", "Perceptual distance (lite0, uncalibrated)", "lite0",
        "lpips' formula with equal weights for all channels (not fitted to judgements) on four maps of EfficientNet",
    ),
    Metric(
        name="dists", title="DISTS", kind="features", function="structure:distance", extractor="dists",
        features=("maps", "weights"), equals="DISTS-pytorch 0.1, without a resize", **_lower(1.0),
    ),
    _diversity("lpips-alex", "LPIPS, AlexNet", "lpips@alex"),
    _diversity("lpips-vgg", "LPIPS, VGG", "lpips@vgg"),
    _diversity("embedded", "embedded", "perceptual@embedded"),
    _identity(
        "embedded", "embedded", "1 - cosine of the embedded network's identity vectors",
        "knows pictures, not persons: an AUC of 0.76 for photographs of one person against others' (dlib: 1.00)",
    ),
    Metric(
        name="identity@dlib", title="Identity distance (dlib)", kind="features", function="identity:euclidean",
        equals="dlib's face_recognition_model_v1 on one fixed crop: Euclidean distance", extractor="dlib-face",
        features=("identity",), caution=MIDDLE, **_lower(),
    ),
    Metric(
        name="same-person@dlib", title="Still the person (dlib)", kind="features", function="identity:same",
        equals="share of completed images whose identity@dlib is below 0.6, dlib's threshold", extractor="dlib-face",
        features=("identity",), higher_is_better=True, bounds=(0.0, 1.0),
        caution=f"for photographs: any two drawn faces are about 0.5 apart; {MIDDLE}",
    ),
    _identity("facenet", "FaceNet", "facenet-pytorch's VGGFace2 network on MTCNN crops: 1 - cosine"),
    _identity("arcface", "ArcFace", "IR-SE50 (model_ir_se50.pth) on crops aligned by five points: 1 - cosine"),
    _nme(
        "embedded", "embedded", "error_68", "68 points of the embedded network, over the outer eye corners' distance",
        "detection@dlib", "points are found in every picture, also where there is no face: see the detection rate",
    ),
    _nme(
        "mtcnn", "MTCNN", "error_5", "five points of facenet-pytorch's MTCNN, over the distance of the eyes",
        "detection@mtcnn",
    ),
    Metric(
        name="identity@arcface-degrees", title="Identity angle (ArcFace)", kind="features",
        function="identity:degrees", unit="°",
        equals="IR-SE50 (model_ir_se50.pth) on RGB crops of 112 px aligned by the original's five points: the angle",
        extractor="arcface", features=("identity",), **_lower(180.0),
    ),
    Metric(
        name="similarity@adaface", title="Identity similarity (AdaFace)", kind="features",
        function="identity:similarity", equals="AdaFace's IR-101 (WebFace12M) on crops aligned by five points: cosine",
        extractor="adaface", features=("identity",), higher_is_better=True, bounds=(-1.0, 1.0),
    ),
    Metric(
        name="verification@adaface", title="Verification rate at FAR 0.1% (AdaFace)", kind="set",
        function="identity:verified", extractor="adaface", features=("features",), smallest_n=50,
        equals="share of completions whose cosine is above 99.9 % of those between two originals",
        higher_is_better=True, bounds=(0.0, 1.0),
    ),
    _nme(
        "fan", "FAN", "error_68",
        "face-alignment 1.5.0's FAN (2DFAN4) on RGB crops of 256 px by S3FD's largest box, over the outer eye corners' "
        "distance (the thesis states none)",
        "detection@fan",
    ),
    _agreement("embedded", "embedded", "the embedded network"),
    _agreement("faceparsing", "face-parsing", "face-parsing.PyTorch's BiSeNet (79999_iter.pth)"),
    _detection("dlib", "dlib-hog", "dlib", "dlib's frontal face detector on pictures of 256 px"),
    _detection("mtcnn", "mtcnn", "MTCNN", "facenet-pytorch's MTCNN", FLAT),
    Metric(
        name="detection-probability@mtcnn", title="Detection probability (MTCNN)", kind="features",
        function="landmarks:probability", equals="facenet-pytorch's MTCNN: its probability of the face; 0 without one",
        extractor="mtcnn", features=("probability",), needs_truth=False, higher_is_better=True, bounds=(0.0, 1.0),
        caution=FLAT,
    ),
    _detection("fan", "fan", "FAN", "S3FD as face-alignment 1.5.0 runs it for FAN"),
    _emotion("hsemotion", "hsemotion", "HSEmotion", "hsemotion's default model (enet_b0_8_best_vgaf) on whole images"),
    _emotion("embedded", "embedded-expression", "embedded", "the six moods that the embedded expression network tells"),
    *_set_metrics("inception", "", ""),
    *_set_metrics("embedded", "@embedded", " (embedded)"),
    *_set_metrics("lite0", "@lite0", " (lite0)"),
    Metric(
        name="cmmd", title="CMMD", kind="set", function="kernel:cmmd", extractor="clip-l14-336",
        features=("features",), smallest_n=2, equals="google-research/cmmd: CLIP ViT-L/14@336, sigma 10, times 1,000",
        **_lower(),
    ),
    Metric(
        name="fd@dinov2-pil224", title="FD (DINOv2 ViT-L/14, PIL 224)", kind="set", function="frechet:score",
        extractor="dinov2", features=("features",), smallest_n=2, advised_n=2048,
        equals="dgm-eval's FD on DINOv2 ViT-L/14: PIL's bicubic filter to 224 x 224", **_lower(),
    ),
    *_manifold("dinov2", "@dinov2-pil224", " (DINOv2)"),
]  # fmt: skip
_METRICS.append(
    replace(
        next(m for m in _METRICS if m.name == "fid"), name="fid@mat", title="FID (MAT)", function="frechet:score_mat",
        beside=None, equals="MAT's divisor N for the covariances",
    )
)  # fmt: skip
_REGISTRY = {metric.name: metric for metric in _METRICS}


def names() -> list[str]:
    """All metrics, in the order of families."""
    return list(_REGISTRY)


def get(name: str) -> Metric:
    """The metric of that name; ``fid/train`` is FID against the reference set called train.

    Raises BenchError with the closest names for an unknown one.
    """
    base, slash, reference = name.partition("/")
    if base not in _REGISTRY:
        close = difflib.get_close_matches(base, _REGISTRY, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(_REGISTRY)}"
        raise BenchError(f"unknown metric {name!r}: {hint}")
    metric = _REGISTRY[base]
    if not slash:
        return metric
    if reference in TOWARDS:
        if metric.kind != "features" or not metric.compares:
            raise BenchError(f"{name!r}: only what a network tells of a pair of pictures takes /{reference}")
        return replace(metric, name=name, title=f"{metric.title} {TOWARDS[reference]}")
    if metric.function not in ("frechet:score", "frechet:score_mat", "frechet:infinity", "kernel:score"):
        raise BenchError(f"{name!r}: {base} is paired with the ground truth; only FID and KID take another reference")
    if not reference:
        raise BenchError(f"{name!r} names no reference: write for example {base}/train")
    beside = metric.beside and f"{metric.beside}/{reference}"
    return replace(metric, name=name, title=f"{metric.title} against {reference}", beside=beside)


def expanded(names: Sequence[str], n: int | None = None) -> list[str]:
    """The metrics, each once, and after each what is added beside it (`Metric.companion`)."""
    listed = list(dict.fromkeys(names))
    for metric in map(get, tuple(listed)):
        beside = metric.companion(n)
        if beside and beside not in listed:
            listed.insert(listed.index(metric.name) + 1, beside)
    return listed


def __getattr__(name: str) -> Any:
    if name in ("measure", "Measurement"):
        return getattr(importlib.import_module("bench.metrics.measurement"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
