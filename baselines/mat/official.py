"""The names of the released checkpoints, which those of our networks follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from baselines.mat.first_stage import TransposedConv2d
from bench.errors import BenchError
from bench.nn.stylegan2 import without_constants


def _level(match: re.Match[str]) -> str:
    """A layer of the decoder, which starts at 16 x 16."""
    level, layer = int(match[1]).bit_length() - 6, match[2]  # level 0 is 32 x 32
    if level < 0:
        return {"conv0": "start", "conv1": "dec.conv1", "toRGB": "dec.to_rgb1"}[layer]
    return f"dec.to_rgbs.{level}" if layer == "toRGB" else f"dec.convs.{2 * level + int(layer == 'conv1')}"


Rule = tuple[str, str | Callable[[re.Match[str]], str]]
GENERATOR: tuple[Rule, ...] = (
    (r"^mapping\.fc(\d+)", lambda match: f"mapping.{int(match[1]) + 1}"),
    (r"^synthesis\.(?=enc|to_|dec)", "second_stage."),
    (r"^synthesis\.", ""),
    (r"EncConv_Block_(\d+)x\d+\.conv", r"\1."),
    (r"dec\.Dec_(\d+)x\d+\.(conv0|conv1|toRGB)", _level),
    (r"first_stage\.to_style\.", "first_stage.to_style.fc."),
    (r"down_conv\.", "to_style.conv."),
    (r"downsample\.conv\.conv\.", "downsample.conv."),
    (r"toRGB", "to_rgb"),
    (r"\.affine\.", ".modulation."),
    (r"\.noise_strength$", ".noise.weight"),
)
"""Patterns in released names and what stands in ours, one after the other."""
DISCRIMINATORS: tuple[Rule, ...] = (
    (r"^(Dis|fc\d)_stg1", r"first.\1"),
    (r"^(?=Dis|fc)", "final."),
    (r"Dis\.(\d+)\.conv\.", r"convs.\1."),
    (r"Dis\.(\d+)\.conv1\.", r"convs.\1.conv2."),
    (r"Dis\.(\d+)\.conv0\.", r"convs.\1.conv1."),
    (r"Dis\.(\d+)\.skip\.", r"convs.\1.skip."),
    (r"Dis\.\d+\.", "final_conv."),
    (r"fc(\d)\.", r"final_linear.\1."),
)


def from_released(state: Mapping[str, Tensor], network: nn.Module, rules: tuple[Rule, ...]) -> dict[str, Tensor]:
    """The state dict of a network of ours from a released one. Raises BenchError for a file of another size or width.

    Layers that double the size have their kernels turned: the release convolves with them where we transpose.
    """
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    renamed: dict[str, Tensor] = {}
    for key, value in without_constants(state).items():
        if key.endswith(".attn_mask"):
            continue
        path, layer, leaf = _place(key, network, rules)
        name = f"{path}.{leaf}"
        if name not in shapes or shapes[name].numel() != value.numel():
            raise BenchError(f"mat: the checkpoint's {key!r} does not fit: take the preset of its size")
        doubles = leaf == "weight" and (isinstance(layer, TransposedConv2d) or getattr(layer, "up", False))
        renamed[name] = (value.flip(-2, -1) if doubles else value).reshape(shapes[name])
    return renamed


def _place(key: str, network: nn.Module, rules: tuple[Rule, ...]) -> tuple[str, nn.Module | None, str]:
    """(path of the layer, the layer, parameter): where our layer is made of parts, of the part that has it."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    path, _, leaf = key.rpartition(".")
    try:
        layer = network.get_submodule(path)
    except AttributeError:
        return path, None, leaf
    if leaf in dict(layer.named_parameters(recurse=False)):
        return path, layer, leaf
    for part, inside in layer.named_children():
        if leaf in dict(inside.named_parameters(recurse=False)):
            return f"{path}.{part}", inside, leaf
    return path, layer, leaf
