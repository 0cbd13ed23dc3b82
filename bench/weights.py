"""Pretrained files: where they come from, what they weigh, under which licence, and where this machine keeps them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from bench.errors import BenchError


@dataclass(frozen=True)
class File:
    """A pretrained file that somebody published."""

    name: str
    filename: str
    url: str
    size: str
    licence: str
    used_by: str


INDEX = {
    file.name: file
    for file in (
        File("vgg16", "vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth", "528 MB",
             "BSD-3-Clause (torchvision)", "LPIPS (VGG)"),
        File("vgg19", "vgg19-dcbb9e9d.pth", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "548 MB",
             "BSD-3-Clause (torchvision)", "perceptual and style losses"),
        File("alexnet", "alexnet-owt-7be5be79.pth", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
             "233 MB", "BSD-3-Clause (torchvision)", "LPIPS (AlexNet)"),
        File("inception-fid", "pt_inception-2015-12-05-6726825d.pth",
             "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
             "91 MB", "Apache-2.0", "FID, KID, U-IDS, P-IDS"),
        File("efficientnet-lite0", "tf_efficientnet_lite0-0aa007d2.pth",
             "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite0-0aa007d2.pth",
             "18 MB", "Apache-2.0", "the projected discriminator of GRIG and Projected GAN"),
        File("efficientnet-lite1", "tf_efficientnet_lite1-bde8b488.pth",
             "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite1-bde8b488.pth",
             "21 MB", "Apache-2.0", "the projected discriminator of GRIG's thesis"),
        File("ade20k-resnet50", "encoder_epoch_20.pth",
             "http://sceneparsing.csail.mit.edu/model/pytorch/ade20k-resnet50dilated-ppm_deepsup/encoder_epoch_20.pth",
             "95 MB", "BSD-3-Clause", "the perceptual loss of LaMa"),
    )
}  # fmt: skip


def folder() -> Path:
    """Where pretrained files lie: $FACEBENCH_WEIGHTS, else the user's cache folder."""
    if given := os.environ.get("FACEBENCH_WEIGHTS"):
        return Path(given)
    import pooch

    return Path(pooch.os_cache("facebench")) / "weights"


def path(name: str) -> Path:
    """The file of that name; when it is absent, an error that says how to supply it."""
    if name not in INDEX:
        raise BenchError(f"unknown pretrained file {name!r}: known are {', '.join(INDEX)}")
    file = INDEX[name]
    found = folder() / file.filename
    if not found.exists():
        raise BenchError(
            f"the pretrained file {file.filename} ({file.size}, {file.licence}) is not on this machine: download "
            f"{file.url} and put it into {folder()} (or set FACEBENCH_WEIGHTS to the folder that holds it)"
        )
    return found


def load(name: str) -> Mapping[str, Tensor]:
    """The tensors of a pretrained file; nothing in it is executed."""
    return read(path(name))


def read(file: str | Path) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint (.safetensors, or a torch file read with `weights_only`)."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if Path(file).suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BenchError(f"cannot read the checkpoint {file}: {error.strerror or error}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        raise BenchError(f"cannot read the checkpoint {file}: it is damaged, or holds more than tensors") from error
