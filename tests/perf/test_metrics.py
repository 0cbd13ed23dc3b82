"""Speed and memory of the metrics against the separate tools, side by side in one run.

    pytest -n 0 -m "slow or not slow" --benchmark-only tests/perf/test_metrics.py

Random weights take the place of the official ones: they cost the same.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from bench import metrics, weights
from bench.metrics import discriminative, extractors, frechet, measure, measurement, perceptual
from bench.metrics.images import composite
from bench.metrics.score import Pair
from tests.perf import before

METHODS, BUCKETS, IMAGES, SIZE = 8, 6, 32, 256
WANTED = ["fid", "u-ids", "p-ids", "lpips@alex", "psnr", "ssim", "l1"]

pytestmark = [pytest.mark.slow]


@pytest.fixture(autouse=True)
def all_cores():
    """Both sides may use every core; the other tests run one thread each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    yield
    torch.set_num_threads(threads)


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def cpu(function: Callable[[], object]) -> float:
    """Seconds of all cores together: other work on the machine does not count."""
    start = time.process_time()
    function()
    return time.process_time() - start


def features(n: int, d: int = 2048, seed: int = 0) -> Tensor:
    """Non-negative, correlated features, as Inception's pool gives them."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).standard_normal((d, d)) * np.exp(-np.arange(d) / 200)[:, None]
    rows = rng.standard_normal((n, d)) @ mix * 0.05 + 0.1 * rng.standard_normal((n, d)) + 0.3
    return torch.from_numpy(np.maximum(rows, 0)).float()


def test_svm_is_5_times_as_fast_as_linear_svc(benchmark):
    from sklearn.svm import LinearSVC

    real = features(2000)
    fake = 0.6 * real + 0.4 * features(2000, seed=1)
    x, y = torch.cat([fake, real]).double().numpy(), np.repeat([0, 1], 2000)
    discriminative.decisions(fake, real)
    ours = min(timed(lambda: discriminative.decisions(fake, real)) for _ in range(3))
    benchmark.pedantic(discriminative.decisions, (fake, real), rounds=2)
    theirs = min(timed(lambda: LinearSVC(dual=False).fit(x, y)) for _ in range(2))
    benchmark.extra_info["LinearSVC"] = theirs
    benchmark.extra_info["times as fast"] = theirs / ours
    assert theirs / ours >= 5


def test_fid_algebra_is_10_times_as_fast_as_scipy(benchmark):
    """From the moments of 2 x 10,000 images to the number."""
    from scipy.linalg import sqrtm

    a, b = frechet.Moments.of(features(10_000)), frechet.Moments.of(features(10_000, seed=1))
    s1, s2 = (side.scatter.numpy() / (side.n - 1) for side in (a, b))
    ours = min(timed(lambda: frechet.distance(a, b)) for _ in range(3))
    benchmark.pedantic(frechet.distance, (a, b), rounds=2)
    start = time.perf_counter()
    root = np.trace(sqrtm(s1 @ s2).real)
    theirs = time.perf_counter() - start
    expected = float((a.mean - b.mean).square().sum()) + np.trace(s1) + np.trace(s2) - 2 * root
    assert frechet.distance(a, b) == pytest.approx(expected, rel=1e-6)
    benchmark.extra_info["SciPy"] = theirs
    benchmark.extra_info["times as fast"] = theirs / ours
    assert theirs / ours >= 10


@pytest.fixture
def official(monkeypatch, tmp_path):
    """Random Inception, AlexNet and VGG weights in the official layout, for us and for the tools."""
    import lpips
    import pytorch_fid.inception as package
    import torchvision

    inception = package._inception_v3(num_classes=1008, aux_logits=False, weights=None).state_dict()
    for value in inception.values():
        if value.ndim > 1:  # keep the activations alive
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=torch.Generator().manual_seed(0))
    alexnet = torchvision.models.alexnet(weights=None)
    torch.save(inception, tmp_path / "inception-fid.pth")
    torch.save(alexnet.state_dict(), tmp_path / "alexnet.pth")
    vgg = torchvision.models.vgg16(weights=None, init_weights=False)
    torch.save(vgg.state_dict(), tmp_path / "vgg16.pth")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / f"{name}.pth")
    monkeypatch.setattr(package, "load_state_dict_from_url", lambda *args, **kwargs: inception)
    monkeypatch.setattr(lpips.pretrained_networks.tv, "alexnet", lambda pretrained: alexnet)
    # the benchmark's sets are small: score them all the same
    for name in ("u-ids", "p-ids"):
        metric = metrics.get(name)
        monkeypatch.setitem(metrics._REGISTRY, name, replace(metric, smallest_n=2))
    monkeypatch.setitem(metrics._REGISTRY, "fid", replace(metrics.get("fid"), beside=None))
    return package.InceptionV3().eval(), lpips.LPIPS(net="alex", verbose=False).eval()


@pytest.fixture
def folders(tmp_path):
    """The originals, and for each method and bucket a folder of completions."""
    rng = np.random.default_rng(0)
    low = torch.from_numpy(rng.uniform(-1, 1, (IMAGES, 3, 16, 16))).float()
    truth = nn.functional.interpolate(low, size=(SIZE, SIZE), mode="bicubic").clamp(-1, 1)

    def write(name: str, images: Tensor) -> Path:
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{i:04d}.png")
        return tmp_path / name

    cells = []
    for bucket in range(BUCKETS):
        masks = torch.zeros(IMAGES, 1, SIZE, SIZE)
        masks[:, :, : (bucket + 1) * SIZE // 10] = 1
        for method in range(METHODS):
            output = truth + 0.2 * torch.from_numpy(rng.standard_normal(truth.shape)).float()
            cells.append(write(f"method{method}-bucket{bucket}", composite(output, truth, masks)))
    return write("truth", composite(truth, truth, torch.zeros(IMAGES, 1, SIZE, SIZE))), cells


PASSES = """
import time
from pathlib import Path
import torch
from bench import weights
from bench.metrics import extractors, measurement
weights.path = lambda name: Path({folder!r}, name + ".pth")
network = extractors.load({name!r})
images = torch.randint(0, 256, (32, 3, 256, 256), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
size = getattr(measurement, "ON_CPU", 32)
start = time.process_time()
for part in images.split(size):
    extractors.extract(network, part, batch=size)
print(time.process_time() - start)
"""


@pytest.mark.parametrize(("name", "most"), [("inception", 0.70), ("lpips-vgg", 0.90)])
def test_passes_of_networks_cost_less_than_before(official, tmp_path, benchmark, name, most):
    """The features of 32 images of 256 px, against the build before networks ran with channels last."""
    code = PASSES.format(folder=str(tmp_path), name=name)
    found = benchmark.pedantic(before.ratio, (code,), rounds=1)
    benchmark.extra_info["ratio"] = found
    assert found <= most


@pytest.fixture
def one_core():
    """One thread on both sides, whose seconds are those of its core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def two_hundred(tmp_path):
    """Folders of 200 completed pictures and of their originals, and both as tensors."""
    rng = np.random.default_rng(0)
    low = torch.from_numpy(rng.uniform(0, 255, (200, 3, 16, 16))).float()
    truth = nn.functional.interpolate(low, size=(SIZE, SIZE), mode="bicubic").clamp(0, 255)
    noisy = (truth + 20 * torch.from_numpy(rng.standard_normal(truth.shape)).float()).clamp(0, 255)
    both = {"completed": noisy.byte(), "truth": truth.byte()}
    for name, images in both.items():
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{i:04d}.png")
    return tmp_path, both


def frechet_of_pytorch_fid(fake: np.ndarray, real: np.ndarray) -> float:
    """What pytorch-fid makes of features; its own call of the root fails from SciPy 1.18 on."""
    from scipy.linalg import sqrtm

    s1, s2 = (np.cov(rows, rowvar=False) for rows in (fake, real))
    mean = ((fake.mean(axis=0) - real.mean(axis=0)) ** 2).sum()
    return float(mean + np.trace(s1) + np.trace(s2) - 2 * np.trace(sqrtm(s1 @ s2).real))


def test_fid_of_200_pictures_is_faster_than_pytorch_fid(official, one_core, two_hundred, benchmark):
    """2.9 times as fast on one core (AMD EPYC with AVX-512), nearly all of it in Inception."""
    from pytorch_fid import fid_score

    folder, _ = two_hundred
    found = {}

    def tool() -> None:
        both = (sorted((folder / name).iterdir()) for name in ("completed", "truth"))
        rows = [fid_score.get_activations(files, official[0], 32, num_workers=0) for files in both]
        found["fid"] = frechet_of_pytorch_fid(*rows)

    def ours() -> None:
        found["ours"] = measure(folder / "completed", folder / "truth", None, "fid").value("fid")

    mine = benchmark.pedantic(cpu, (ours,), rounds=1)
    theirs = cpu(tool)
    assert found["ours"] == pytest.approx(
        found["fid"], rel=1e-2, abs=1e-3
    )  # SciPy's root of a singular matrix is rough
    benchmark.extra_info.update({"pytorch-fid": theirs, "times as fast": theirs / mine})
    assert theirs / mine >= 2.5


def test_lpips_of_200_pairs_is_faster_than_the_package(official, one_core, two_hundred, benchmark):
    """The package takes them one by one, as its command line does. AlexNet fills a core even so: 1.18 times as fast."""
    _, both = two_hundred
    found: dict[str, list[float]] = {"ours": [], "package": []}

    def tool() -> None:
        with torch.no_grad():
            for pair in zip(*both.values(), strict=True):
                a, b = (image[None].float() / 127.5 - 1 for image in pair)
                found["package"].append(official[1](a, b).item())

    def ours() -> None:
        found["ours"] = measure(*both.values(), None, "lpips@alex").images("lpips@alex")["value"].tolist()

    cpu(ours)
    times = [(cpu(ours), cpu(tool)) for _ in range(3)]
    benchmark.pedantic(ours, rounds=1)
    mine, theirs = (min(side) for side in zip(*times, strict=True))
    assert found["ours"] == pytest.approx(found["package"][:200], rel=1e-5)
    benchmark.extra_info.update({"lpips": theirs, "times as fast": theirs / mine})
    assert theirs / mine >= 1.1


def test_lpips_costs_little_beside_its_forward_passes(official, one_core, benchmark):
    """At most 5 % for VGG: scaling, unit length, distances."""
    extractor = extractors.load("lpips-vgg")
    network = extractor._network
    generator = torch.Generator().manual_seed(0)
    pair = torch.randint(0, 256, (2, measurement.ON_CPU, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    scaled = pair.float() / 127.5 - 1

    def bare() -> None:
        with torch.inference_mode():
            for images in scaled:
                network.net(images)

    def ours() -> None:
        with torch.inference_mode():
            perceptual.distance(*(extractors.extract(extractor, images, batch=len(images)) for images in pair), None)

    cpu(bare)
    times = [(cpu(bare), cpu(ours)) for _ in range(5)]
    benchmark.pedantic(ours, rounds=1)
    least, mine = (min(side) for side in zip(*times, strict=True))
    benchmark.extra_info["overhead"] = mine / least - 1
    assert mine / least - 1 <= 0.05


def separate_tools(completed: Path, truth: Path, inception: nn.Module, lpips: nn.Module) -> dict[str, float]:
    """One tool after another, each reading the folders anew, as their command lines do."""
    from pytorch_fid import fid_score
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity
    from sklearn.svm import LinearSVC

    def images() -> list[tuple[np.ndarray, np.ndarray]]:
        names = sorted(file.name for file in completed.iterdir())
        return [tuple(np.asarray(Image.open(folder / name)) for folder in (completed, truth)) for name in names]

    def activations() -> list[np.ndarray]:
        both = (sorted(folder.iterdir()) for folder in (completed, truth))
        return [fid_score.get_activations(files, inception, 32, num_workers=0) for files in both]

    found = {}
    fake, real = activations()
    found["fid"] = frechet_of_pytorch_fid(fake, real)
    fake, real = activations()
    x, y = np.concatenate([fake, real]), np.repeat([0, 1], len(fake))
    decision = LinearSVC(dual=False).fit(x, y).decision_function(x)
    found["u-ids"] = float(((decision > 0) != y).mean())
    found["p-ids"] = float((decision[: len(fake)] > decision[len(fake) :]).mean())
    with torch.no_grad():
        pairs = [[torch.from_numpy(i).permute(2, 0, 1)[None] / 127.5 - 1 for i in pair] for pair in images()]
        found["lpips@alex"] = float(np.mean([lpips(a, b).item() for a, b in pairs]))
    found["psnr"] = float(np.mean([peak_signal_noise_ratio(b, a) for a, b in images()]))
    found["ssim"] = float(np.mean([structural_similarity(a, b, channel_axis=-1) for a, b in images()]))
    found["l1"] = float(np.mean([np.abs(a / 255 - b / 255).mean() for a, b in images()]))
    return found


def test_all_cells_are_3_times_as_fast_as_the_separate_tools(benchmark, official, folders, tmp_path):
    """8 methods x 6 buckets: the originals' features are computed once; at most 15 % beside the forward passes.

    The bare forward passes run in turns with ours, a cell each, so that other work on the machine slows both; the
    overhead is the median over the cells. The separate tools do the same work for every method: they are timed on all
    buckets of one.
    """
    truth, cells = folders
    inception, lpips = official
    batch = torch.rand(32, 3, SIZE, SIZE)
    ours: list[dict[str, float]] = []
    mine: list[float] = []  # seconds a cell
    bare: list[float] = []

    def forward_passes(inceptions: int = 1) -> None:
        with torch.inference_mode():
            for _ in range(0, IMAGES, 32):
                for _ in range(inceptions):
                    inception(batch)
                for _ in range(2):
                    lpips.net(lpips.scaling_layer(batch))

    def one_pass() -> None:
        for cell in cells:
            start = time.perf_counter()
            result = measure(cell, truth, None, WANTED, cache=tmp_path / "cache")
            mine.append(time.perf_counter() - start)
            ours.append({row["metric"]: row["value"] for row in result.rows})
            bare.append(timed(lambda: forward_passes(1 if bare else 2)))  # the originals go through Inception once

    forward_passes()
    benchmark.pedantic(one_pass, rounds=1)
    start = time.perf_counter()
    theirs = [separate_tools(cell, truth, inception, lpips) for cell in cells[::METHODS]]
    separate = (time.perf_counter() - start) * METHODS
    for a, b in zip(ours[::METHODS], theirs, strict=True):
        # SciPy's root of a singular covariance is rough: pytorch-fid's number itself is only good to some digits
        assert a == pytest.approx(b, rel=1e-2, abs=1e-3)
    overhead = statistics.median(a / b for a, b in zip(mine, bare, strict=True)) - 1
    benchmark.extra_info.update({"separate tools": separate, "bare forward passes": sum(bare)})
    benchmark.extra_info.update({"times as fast": separate / sum(mine), "overhead": overhead})
    assert separate / sum(mine) >= 3
    assert overhead <= 0.15


def test_70000_rows_stream_in_flat_memory():
    """Statistics of 70,000 x 2,048 features need the d x d matrix and a chunk, not the 573 MB of rows."""
    code = (
        "import resource, torch\n"
        "from bench.metrics.frechet import Moments\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "moments = Moments.of(torch.rand(4096, 2048))\n"
        "start = peak()\n"
        "for _ in range(17): moments = moments + Moments.of(torch.rand(3877, 2048))\n"
        "print(moments.n, peak() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    n, megabytes = done.stdout.split()
    assert int(n) >= 70_000
    assert float(megabytes) < 250


def test_scores_of_2000_pairs(benchmark):
    """FID with its interval, KID, U-IDS and P-IDS of one cell, from features."""
    real = features(2000)
    fake = 0.6 * real + 0.4 * features(2000, seed=1)

    def scores() -> None:
        pair = Pair(fake, real)
        for name in ("fid", "kid", "u-ids", "p-ids"):
            metrics.get(name).load()(pair)

    benchmark.pedantic(scores, rounds=2)
