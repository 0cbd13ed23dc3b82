"""ControlNet: Stable Diffusion that is led by a drawing, here while it fills a hole."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from baselines.diffusers import Diffusers, DiffusersConfig
from bench.data.guides.semantics import palette
from bench.errors import BenchError
from bench.method import Batch, Card

SKETCH = Card(
    slug="controlnet",
    name="ControlNet",
    title="Adding Conditional Control to Text-to-Image Diffusion Models",
    authors="Zhang, Rao, Agrawala",
    year=2023,
    venue="ICCV",
    url="https://arxiv.org/abs/2302.05543",
    task="editing",
    from_folder=True,
    needs=("sketch",),
    takes=("text",),
    published={"parameters": "ControlNet 361,279,120, beside those of Stable Diffusion (`diffusers`)"},
    training="none here; the thesis fine-tuned it on FFHQ's training pictures and their sketches, and released nothing",
    convention="lines are white on black in [0, 1]; 1 = hole",
    licence="library: Apache-2.0; weights: OpenRAIL",
    weights="the folder of Stable Diffusion, as of `facebench info diffusers`, with that of the ControlNet in it as "
    "DIR/controlnet: `facebench weights fetch controlnet-scribble` (or -hed, -canny) says how it comes",
    choices={"scale": "1: the library's default is 0.5 for holes, 0.8 for pictures to start from and 1 for none"},
    notes="{method: controlnet, weights: DIR, at: 512}; what is known is pasted, as for every method",
)
LABELS = Card(
    slug="controlnet-labels",
    name="ControlNet (labels)",
    title="Adding Conditional Control to Text-to-Image Diffusion Models",
    authors="Zhang, Rao, Agrawala",
    year=2023,
    venue="ICCV",
    url="https://arxiv.org/abs/2302.05543",
    task="editing",
    from_folder=True,
    needs=("semantics",),
    takes=("text",),
    convention="label maps in face-parsing.PyTorch's colours in [0, 1]; 1 = hole",
    licence="library: Apache-2.0; weights: OpenRAIL",
    weights="as controlnet; a ControlNet for such colours is the user's own: lllyasviel/sd-controlnet-seg knows those "
    "of ADE20K",
)
INPAINT = Card(
    slug="controlnet-inpaint",
    name="ControlNet (inpaint)",
    title="Adding Conditional Control to Text-to-Image Diffusion Models",
    authors="Zhang, Rao, Agrawala",
    year=2023,
    venue="ICCV",
    url="https://arxiv.org/abs/2302.05543",
    from_folder=True,
    takes=("text",),
    convention="the known pixels in [0, 1], and -1 in the hole; 1 = hole",
    licence="library: Apache-2.0; weights: OpenRAIL",
    weights="as controlnet: `facebench weights fetch controlnet-inpaint` says how it comes",
)


class ControlNetConfig(DiffusersConfig):
    """Stable Diffusion, and how much the ControlNet leads it."""

    family: Literal["controlnet"] = "controlnet"  # type: ignore[assignment]
    scale: float = 1.0  # of what the ControlNet adds


class ControlNet(Diffusers):
    """Led by lines, white on black: models for scribbles, HED's edges and Canny's."""

    card = SKETCH
    Config = ControlNetConfig
    config: ControlNetConfig
    presets = {"paper": ControlNetConfig()}

    def load_folder(self, folder: Path) -> None:
        super().load_folder(folder)
        self.more = {"controlnet_conditioning_scale": self.config.scale}
        inputs = self.pipeline.controlnet.config.in_channels
        if inputs != 4:  # it fails in the call
            raise BenchError(
                f"{folder / 'controlnet'} takes {inputs} channels, not 4: make it of a U-Net of 4 channels"
            )

    def controls(self, batch: Batch, mask: Tensor) -> dict[str, Tensor]:
        return {"control_image": self.control(batch, mask).expand(-1, 3, -1, -1)}

    def control(self, batch: Batch, mask: Tensor) -> Tensor:
        """What leads it: (N, 1 or 3, H, W) in [0, 1]."""
        return batch.need("sketch").to(batch.image)


class LabelControlNet(ControlNet):
    """Led by a label map."""

    card = LABELS

    def control(self, batch: Batch, mask: Tensor) -> Tensor:
        return palette(batch.need("semantics")).to(batch.image) / 255


class InpaintControlNet(ControlNet):
    """Led by the known pixels, which its U-Net then need not see."""

    card = INPAINT

    def control(self, batch: Batch, mask: Tensor) -> Tensor:
        return torch.where(mask > 0, -1.0, (batch.masked + 1) / 2)  # no picture can say so: the hole is black there
