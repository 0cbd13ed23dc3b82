"""A pipeline's folder: what is read of it, and how. Nothing is fetched, nothing is executed, nothing may be missing."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from baselines.diffusers.families import FAMILIES, Family, of_folder
from baselines.diffusers.schedulers import SAMPLERS, trained
from bench.errors import BenchError

INDEX, SCHEDULER = "model_index.json", "scheduler_config.json"
TENSORS = re.compile(r"(?:diffusion_pytorch_model|model)(\.fp16)?(-\d+-of-\d+)?\.safetensors")
TEXTS = (".json", ".txt", ".model", ".jinja")  # of a tokenizer
TOKENIZERS = {"tokenizer.json"}, {"merges.txt", "vocab.json"}, {"spiece.model"}
PROCESSORS = {"preprocessor_config.json"}, {"processor_config.json"}
HOW = (
    "`facebench weights list` names some, with size and licence, and `facebench weights fetch NAME` says how they come"
)


def files(folder: Path, family: Family) -> list[Path]:
    """All that is read of a folder; BenchError where a part has no file, or none that is read."""
    if not folder.is_dir():
        raise BenchError(f"{folder} is no folder: weights are the folder of a pipeline, as the library saves it; {HOW}")
    said = _json(folder / INDEX).get("_class_name", "nothing")
    if said not in family.folders:
        served = ", ".join(f"{name} ({', '.join(one.folders)})" for name, one in FAMILIES.items())
        other = of_folder(said)
        raise BenchError(
            f"{folder / INDEX} names {said}, which "
            + (f"is of the family {other}: take a preset of it" if other else "is not served")
            + f"; families and what their folders name: {served}"
        )
    found = [folder / INDEX, *(folder / part / SCHEDULER for part in ("scheduler", *family.schedulers))]
    for part in family.readers:
        found += _texts(folder / part)
    for part in family.networks:
        found += [folder / part / "config.json", *_tensors(folder / part)[1]]
    if missing := [path for path in found if not path.is_file()]:
        raise BenchError(f"{folder} has no {missing[0].relative_to(folder)}: give the whole folder of the pipeline")
    return found


def parts(folder: Path, family: Family, sampler: str, dtype: torch.dtype) -> dict[str, Any]:
    """The parts of a pipeline by the names of its constructor, the networks filled strictly."""
    files(folder, family)
    found: dict[str, Any] = {part: _network(folder / part, kind, dtype) for part, kind in family.networks.items()}
    for part, kind in family.readers.items():
        found[part] = _reader(folder / part, kind)
        if encoder := found.get(part.replace("tokenizer", "text_encoder")) if "tokenizer" in part else None:
            _check_tokenizer(folder / part, found[part], encoder.config)
    found["scheduler"] = _scheduler(folder / "scheduler" / SCHEDULER, *SAMPLERS[sampler])
    for part, kind in family.schedulers.items():
        found[part] = _scheduler(folder / part / SCHEDULER, kind)
    return found


def library(name: str) -> Any:
    """A class of diffusers or transformers. They are imported here alone: it takes 9 s."""
    try:
        for package in ("diffusers", "transformers"):
            if found := getattr(importlib.import_module(package), name, None):
                return found
    except ImportError as error:
        raise BenchError(
            f"diffusers: the library of that name is needed, and {error}: pip install 'face-inpaint-bench[diffusion]'"
        ) from error
    raise BenchError(
        f"diffusers: this version of the library has no {name}: pip install 'face-inpaint-bench[diffusion]'"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Without the log lines and progress bars of both libraries."""
    logs = [importlib.import_module(f"{package}.utils.logging") for package in ("diffusers", "transformers")]
    before = [(log.get_verbosity(), log.is_progress_bar_enabled()) for log in logs]
    for log in logs:
        log.set_verbosity(log.CRITICAL)
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, (level, shown) in zip(logs, before, strict=True):
            log.set_verbosity(level)
            if shown:
                log.enable_progress_bar()


def _network(place: Path, kind: str, dtype: torch.dtype) -> nn.Module:
    """A network of that class with the tensors of its folder, all of them and no others.

    The library itself fills what is missing at random, or leaves it in no memory at all, and goes on.
    """
    made = library(kind)
    try:
        with quiet():
            network, said = made.from_pretrained(
                place,
                variant=_tensors(place)[0],
                dtype=dtype,  # else half-precision files make one part half, another float
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # of damaged or foreign files, the library raises anything
        raise BenchError(f"{place} does not fit {kind}: {' '.join(str(error).split())[:500]}") from error
    for problem, names in said.items():
        if names:
            shown = ", ".join(sorted(map(str, names))[:4])
            raise BenchError(f"{place} does not fit {kind}: {problem.replace('_', ' ')} {shown}, {len(names)} in all")
    for name, value in network.state_dict().items():
        if not value.isfinite().all():
            raise BenchError(f"{place}: `{name}` holds values that are not finite (NaN or infinite)")
    for tensor in (*network.parameters(), *network.buffers()):
        # where it lies in its file, a tensor begins at any byte: linear layers then sum in another order
        tensor.data = tensor.data.clone()
    return network.eval()


def _reader(place: Path, kind: str) -> Any:
    """A tokenizer, or a processor of pictures."""
    made = library(kind)
    try:
        with quiet():
            return made.from_pretrained(place, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise BenchError(f"{place} does not fit {kind}: {' '.join(str(error).split())[:500]}") from error


def _scheduler(path: Path, kind: str, declared: Mapping[str, Any] | None = None) -> Any:
    """A scheduler of that class: with the fields that are declared, else with those of its file."""
    said = _json(path)
    if declared is not None:
        return library(kind)(**trained(said, path), **declared)
    if said.get("_class_name") != kind:  # fields of another class mean other things
        raise BenchError(f"{path} is of {said.get('_class_name')}, not of {kind}")
    with quiet():
        return library(kind).from_config(said)


def _check_tokenizer(place: Path, tokenizer: Any, config: Any) -> None:
    """Tokens that the text encoder knows, and as many as it takes."""
    if most := getattr(config, "max_position_embeddings", None):
        tokenizer.model_max_length = min(tokenizer.model_max_length, most)  # a file may say nothing, which is 10^30
    known = config.get_text_config().vocab_size
    if len(tokenizer) > known:
        raise BenchError(f"{place} has {len(tokenizer)} tokens, its text encoder {known}")


def _tensors(place: Path) -> tuple[str | None, list[Path]]:
    """The files of a network's tensors, and the library's name of their kind: `fp16` where there are no others."""
    found = {path: match for path in sorted(place.glob("*")) if (match := TENSORS.fullmatch(path.name))}
    for kind in (None, "fp16"):
        chosen = [path for path, match in found.items() if bool(match[1]) == bool(kind)]
        if chosen:
            return kind, chosen + [path for path in place.glob("*.index*.json") if ("fp16" in path.name) == bool(kind)]
    others = ", ".join(path.name for path in sorted(place.glob("*")) if path.suffix in (".bin", ".ckpt", ".pth"))
    raise BenchError(
        f"{place} has no .safetensors" + (f": {others} may hold code and is not read; save it anew" if others else "")
    )


def _texts(place: Path) -> list[Path]:
    """The files of a tokenizer or processor. Of an empty folder, the library makes a tokenizer that knows nothing."""
    found = sorted(path for path in place.glob("*") if path.suffix in TEXTS)
    names = {path.name for path in found}
    kinds = TOKENIZERS if "tokenizer" in place.name else PROCESSORS
    if not any(needed <= names for needed in kinds):
        raise BenchError(f"{place} has no {', nor '.join(' and '.join(sorted(needed)) for needed in kinds)}")
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BenchError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
