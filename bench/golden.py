"""Golden files: outputs of the authors' networks under a filling rule, so that no weights are needed.

Every parameter of a checkpoint is filled by `fill`, which depends on the parameter's official name, its shape
and the file's rule alone. A network that loads the filled checkpoint and sees the same input must give the
recorded output. A method says how in `Method.golden`: one `Golden` for each file.
"""

from __future__ import annotations

import csv
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench import allocator
from bench.errors import BenchError
from bench.npz import open_npz
from bench.profile import count_macs, count_parameters

STRIDE = 8  # axes of length 64 or more are stored at every eighth position
SHOWN = 4  # parameter counts in a line; more are summed up
TOLERANCE = {"float64": 1e-6, "float32": 1e-2}  # standard deviations of the output


@dataclass(frozen=True)
class Inputs:
    """The inputs of a golden file, made from its seed; float64."""

    seed: int

    def image(self, size: int = 256, channels: int = 3, batch: int = 1, offset: int = 0) -> Tensor:
        """A smooth picture in [-1, 1] of sine waves (batch, channels, size, size)."""
        rng = np.random.Generator(np.random.PCG64(self.seed + offset))
        y, x = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size), indexing="ij")
        planes = np.zeros((batch * channels, size, size))
        for plane in planes:
            for _ in range(6):
                fy, fx = rng.uniform(-6, 6), rng.uniform(-6, 6)
                phase, amplitude = rng.uniform(0, 6.3), rng.uniform(0.2, 1)
                plane += amplitude * np.sin(2 * np.pi * (fy * y + fx * x) + phase)
            plane /= np.abs(plane).max()
        return torch.from_numpy(planes.reshape(batch, channels, size, size))

    def mask(self, size: int = 256, batch: int = 1, offset: int = 0) -> Tensor:
        """Three boxes and three discs, 1 = hole (batch, 1, size, size)."""
        rng = np.random.Generator(np.random.PCG64(self.seed + offset + 1_000_003))
        y, x = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
        planes = np.zeros((batch, 1, size, size))
        for plane in planes[:, 0]:
            for _ in range(3):
                height, width = rng.integers(size // 8, size // 3, 2)
                top, left = rng.integers(0, size - height), rng.integers(0, size - width)
                plane[top : top + height, left : left + width] = 1
                cy, cx, radius = rng.integers(0, size), rng.integers(0, size), rng.integers(size // 12, size // 5)
                plane[(y - cy) ** 2 + (x - cx) ** 2 < radius * radius] = 1
        return torch.from_numpy(planes)

    def latent(self, *shape: int, offset: int = 0) -> Tensor:
        """Standard normal values."""
        rng = np.random.Generator(np.random.PCG64(self.seed + offset + 2_000_003))
        return torch.from_numpy(rng.standard_normal(shape))


def _load_strictly(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(state, strict=True)


@dataclass(frozen=True)
class Golden:
    """How to run one golden file against a network of ours."""

    build: Callable[[], nn.Module]  # the network of the `paper` preset
    run: Callable[[Any, Inputs], Mapping[str, Tensor]]  # (network, inputs) -> outputs by the file's names
    load: Callable[[Any, Mapping[str, Tensor]], None] = _load_strictly  # the filled official checkpoint
    parts: Callable[[Any], Mapping[str, nn.Module]] = lambda network: {}  # names in the file's params -> modules
    costs: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)  # names in the file's macs -> one pass
    keys: Mapping[str, str] | None = None  # prefix of our names -> key list; None: the list of the file's own name


@dataclass(frozen=True)
class File:
    """A golden file as stored."""

    slug: str
    seed: int
    rule: Mapping[str, Any]
    dtype: str
    params: Mapping[str, int]
    macs: Mapping[str, float]
    outputs: Mapping[str, np.ndarray]
    stats: Mapping[str, list[float]]
    shapes: Mapping[str, list[int]]

    @classmethod
    def load(cls, path: Path) -> File:
        try:
            with open_npz(path) as archive:
                meta = json.loads(str(archive["meta"]))
                outputs = {name[4:]: archive[name] for name in archive.files if name.startswith("out_")}
            names = ("seed", "rule", "dtype", "params", "macs", "stats", "shapes")
            return cls(slug=path.stem, outputs=outputs, **{name: meta[name] for name in names})
        except Exception as error:  # a damaged archive raises many kinds of errors
            raise BenchError(f"{path} is not a golden file: {error}") from error

    def deviation(self, name: str, value: Tensor) -> float:
        """Largest difference from the recorded output, in its standard deviations; infinite for another shape."""
        if list(value.shape) != list(self.shapes[name]):
            return float("inf")
        every = tuple(slice(None, None, STRIDE) if n >= 64 else slice(None) for n in value.shape)
        error = np.abs(value.detach().double().numpy()[every] - self.outputs[name]).max()
        mean, spread = self.stats[name][:2]
        scale = spread or abs(mean)  # a single number has no spread
        return float(error / max(scale, 1e-12)) if np.isfinite(error) else float("inf")


def read_keys(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Rows (key, shape, kind) of a checkpoint's key list; kind is param, buffer or const."""
    try:
        with path.open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        return [(r["key"], tuple(int(n) for n in r["shape"].split("x") if n), r["kind"]) for r in rows]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise BenchError(f"{path} is not a key list: {error}") from error


def fill(key: str, shape: tuple[int, ...], rule: Mapping[str, Any]) -> np.ndarray:
    """The values of the official parameter `key`: float64 (int64 for counters)."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    for pattern, value in rule["const"].items():
        if re.search(pattern, key):
            return np.full(shape, value, dtype=np.float64)
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    if leaf == "running_var":
        return rng.uniform(0.5, 1.5, shape)
    noise = np.asarray(rng.standard_normal(shape))
    if leaf == "running_mean":
        return 0.1 * noise
    if leaf in ("weight_u", "weight_v", "_u", "_v"):  # vectors of the spectral norm's power iteration
        return noise / np.linalg.norm(noise)
    if rule["unit"] and re.search(rule["unit"], key):
        return noise
    if len(shape) <= 1:
        return 1 + 0.1 * noise if leaf in ("weight", "gamma", "scale") else 0.1 * noise
    return noise * rule["gain"] / np.sqrt(np.prod(shape[1:]))


def checkpoint(keys: Path, rule: Mapping[str, Any]) -> dict[str, Tensor]:
    """The filled official checkpoint."""
    rows = read_keys(keys)
    return {key: torch.from_numpy(np.asarray(fill(key, shape, rule))) for key, shape, kind in rows if kind != "const"}


def filled(folder: Path, lists: Mapping[str, str], rule: Mapping[str, Any]) -> dict[str, Tensor]:
    """The filled checkpoints of several networks in one, each behind its prefix."""
    each = {prefix: checkpoint(key_list(folder, name), rule) for prefix, name in lists.items()}
    return {prefix + key: value for prefix, state in each.items() for key, value in state.items()}


class _Blank(TorchFunctionMode):
    """Random starting values are zeros: all of them are filled afterwards, and drawing 100 million takes seconds."""

    random = (Tensor.normal_, Tensor.uniform_, nn.init.kaiming_uniform_, nn.init.normal_, nn.init.uniform_)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func not in self.random:
            return func(*args, **named)
        with torch.no_grad():
            return (args[0] if args else named["tensor"]).zero_()


@dataclass
class Result:
    """What checking one golden file gave."""

    slug: str
    method: str = ""
    tolerance: float = 0.0
    deviations: dict[str, float] = field(default_factory=dict)  # output -> standard deviations
    params: dict[str, tuple[int, int]] = field(default_factory=dict)  # network -> (ours, recorded)
    macs: dict[str, tuple[float, float]] = field(default_factory=dict)
    error: str = ""

    @property
    def implemented(self) -> bool:
        return bool(self.method)

    @property
    def passed(self) -> bool:
        """All outputs within tolerance, parameters equal to the unit, multiply-accumulates within 0.5 %."""
        return (
            self.implemented
            and not self.error
            and all(deviation <= self.tolerance for deviation in self.deviations.values())
            and all(ours == recorded for ours, recorded in self.params.values())
            and all(abs(ours / recorded - 1) <= 0.005 for ours, recorded in self.macs.values())
        )


@allocator.keeping()
def check(path: Path, keys: Path, known: Mapping[str, tuple[str, Golden]]) -> Result:
    """Run one golden file against the network of that name."""
    file = File.load(path)
    result = Result(file.slug, tolerance=TOLERANCE[file.dtype])
    if file.slug not in known:
        return result
    result.method, golden = known[file.slug]
    with _Blank():
        network = golden.build().double().eval()
    try:
        golden.load(network, filled(keys, {"": file.slug} if golden.keys is None else golden.keys, file.rule))
        with torch.no_grad():
            outputs = golden.run(network.double().eval(), Inputs(file.seed))
    except (BenchError, RuntimeError, KeyError, ValueError) as error:
        result.error = str(error).strip() or repr(error)
        return result
    missing = sorted(set(file.shapes) - set(outputs))
    if missing:
        result.error = f"the check of {result.method} gives no output {', '.join(missing)}"
    result.deviations = {name: file.deviation(name, value) for name, value in outputs.items() if name in file.shapes}
    parts = golden.parts(network)
    result.params = {name: (count_parameters(parts[name]), n) for name, n in file.params.items() if name in parts}
    result.macs = {n: (count_macs(golden.costs[n], network), v) for n, v in file.macs.items() if n in golden.costs}
    return result


def line(result: Result) -> str:
    """One line for people."""
    if not result.implemented:
        return f"{result.slug}: not implemented"
    parts = [f"{result.slug}: {'pass' if result.passed else 'FAIL'}"]
    if result.error:
        parts.append(result.error)
    if result.deviations:
        worst = max(result.deviations, key=lambda name: result.deviations[name])
        parts.append(f"deviation {result.deviations[worst]:.1e} (at {worst}, tolerance {result.tolerance:.0e})")
    for number, (name, (ours, recorded)) in enumerate(result.params.items()):
        if ours != recorded:
            parts.append(f"{name} {ours:,} parameters (recorded: {recorded:,})")
        elif number < SHOWN:
            parts.append(f"{name} {ours:,} parameters")
    if len(result.params) > SHOWN:
        equal = sum(ours == recorded for ours, recorded in result.params.values())
        parts.append(f"{equal} of {len(result.params)} parameter counts equal")
    for name, (macs, expected) in result.macs.items():
        parts.append(
            f"{name} {macs / 1e9:.3f} G MACs" + ("" if macs == expected else f" (recorded: {expected / 1e9:.3f})")
        )
    return ", ".join(parts)


def key_list(folder: Path, slug: str) -> Path:
    """The key list of a golden file: `<slug>.keys.csv`, or `<slug>.generator.keys.csv` for a whole method."""
    for name in (slug, f"{slug}.generator"):
        if (path := folder / f"{name}.keys.csv").exists():
            return path
    raise BenchError(f"no key list {slug}.keys.csv in {folder}: give the folder of the fact sheets with --keys")


def files(folder: Path, only: list[str] | None = None) -> Iterator[Path]:
    """The golden files of a folder in order, all or those of the methods named.

    `aot` stands for aot.npz and for aot.discriminator.npz.
    """
    found = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if not found:
        raise BenchError(f"no golden files (*.npz) in {folder}")
    for wanted in only or []:
        if not any(path.stem == wanted or path.stem.startswith(f"{wanted}.") for path in found):
            raise BenchError(f"no golden file of {wanted!r} in {folder}: there are {', '.join(p.stem for p in found)}")
    for path in found:
        if not only or any(path.stem == wanted or path.stem.startswith(f"{wanted}.") for wanted in only):
            yield path
