"""EfficientNet as lukemelas' `efficientnet_pytorch` names it, under timm's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from bench.errors import BenchError

STAGES = {16: (1, 2, 2, 3, 3, 4, 1), 21: (1, 3, 3, 4, 4, 5, 1)}  # blocks in all -> of each stage: Lite0 and Lite1
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}  # does not expand
OTHERS = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip


def to_timm(state: Mapping[str, Tensor], path: Path) -> Mapping[str, Tensor]:
    """A checkpoint of EfficientNet-Lite0 or Lite1 under timm's names; one that has them already stays as it is.

    lukemelas counts blocks through all stages. BenchError names `path` where the names are neither's.
    """
    if "conv_stem.weight" in state:
        return state
    blocks = {key.split(".")[1] for key in state if key.startswith("_blocks.")}
    counts = STAGES.get(len(blocks), ())
    places = [f"blocks.{stage}.{i}" for stage, count in enumerate(counts) for i in range(count)]
    modules = OUTSIDE | {
        f"_blocks.{n}.{ours}": f"{place}.{theirs}"
        for n, place in enumerate(places)
        for ours, theirs in (OTHERS if n else FIRST).items()
    }
    found = {key: key.rpartition(".") for key in state}
    if unknown := sorted({module for module, *_ in found.values()} ^ modules.keys()):
        raise BenchError(
            f"{path} is no EfficientNet-Lite0 or Lite1 as timm or efficientnet_pytorch names it: {unknown[0]} does not "
            "fit; take the official file"
        )
    return {f"{modules[module]}.{name}": state[key] for key, (module, _, name) in found.items()}
