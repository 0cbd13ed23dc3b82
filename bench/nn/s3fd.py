"""S3FD, the single-shot face detector (Zhang et al., ICCV 2017), and how FAN's authors run it.

Sources: arXiv 1708.05237 and the package face-alignment 1.5.0 with its checkpoint `s3fd-619a316812.pth`; layer names
are the checkpoint's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VGG = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # width and number of layers; max pooling behind each group
SCALES = {  # layers in which faces are looked for -> their width, the initial strength of `Norm` where there is one
    "conv3_3": (256, 10.0), "conv4_3": (512, 8.0), "conv5_3": (512, 5.0),
    "fc7": (1024, None), "conv6_2": (512, None), "conv7_2": (256, None),
}  # fmt: skip
STRIDE, ANCHOR = 4, 4  # pixels between the cells of the first scale, doubled by each next; an anchor's side in cells
MEAN = (104.0, 117.0, 123.0)  # of blue, green and red
VARIANCES = 0.1, 0.2  # of the codes of a box: place, size
SCORE, OVERLAP = 0.5, 0.3  # a face scores more, and overlaps with a better one no more


class Norm(nn.Module):
    """Features of length 1 at each place, times a learned strength of each channel."""

    def __init__(self, width: int, strength: float):
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), strength))

    def forward(self, x: Tensor) -> Tensor:
        return x / (x.norm(dim=1, keepdim=True) + 1e-10) * self.weight.view(-1, 1, 1)


class S3FD(nn.Module):
    """The detector: VGG-16 with four more layers, read at six scales with anchors of 16 to 512 pixels."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {}
        self.pooled = []
        inputs = 3
        for group, (width, depth) in enumerate(VGG, start=1):
            for number in range(1, depth + 1):
                layers[f"conv{group}_{number}"] = nn.Conv2d(inputs, width, 3, padding=1)
                inputs = width
            self.pooled.append(f"conv{group}_{depth}")
        layers |= {
            "fc6": nn.Conv2d(512, 1024, 3, padding=3),
            "fc7": nn.Conv2d(1024, 1024, 1),
            "conv6_1": nn.Conv2d(1024, 256, 1),
            "conv6_2": nn.Conv2d(256, 512, 3, 2, 1),
            "conv7_1": nn.Conv2d(512, 128, 1),
            "conv7_2": nn.Conv2d(128, 256, 3, 2, 1),
        }
        self.layers = tuple(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)
        for name, (width, strength) in SCALES.items():
            if strength is not None:
                name = f"{name}_norm"
                self.add_module(name, Norm(width, strength))
            classes = 4 if name == "conv3_3_norm" else 2  # three kinds of background for the many small anchors
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(width, classes, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(width, 4, 3, padding=1))

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For each scale the score of a face (N, h, w) and the codes of its box (N, 4, h, w).

        `x`: BGR images (N, 3, H, W) of 0 to 255 less `MEAN`.
        """
        found = []
        for name in self.layers:
            x = self.get_submodule(name)(x).relu()
            if name in SCALES:
                found.append(self._head(name, x))
            if name in self.pooled:
                x = F.max_pool2d(x, 2)
        return found

    def _head(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        if SCALES[name][1] is not None:
            name = f"{name}_norm"
            x = self.get_submodule(name)(x)
        classes = self.get_submodule(f"{name}_mbox_conf")(x)
        background, face = classes[:, :-1].amax(dim=1), classes[:, -1]
        return (face - background).sigmoid(), self.get_submodule(f"{name}_mbox_loc")(x)  # softmax of two


def detect(network: Callable[[Tensor], Sequence[tuple[Tensor, Tensor]]], image: Tensor) -> Tensor:
    """The faces in a uint8 RGB image (3, H, W), best first: left, top, right, bottom and score (n, 5), float64.

    The package takes candidates from a score of 0.05 and drops those up to 0.5 after the suppression. The result is the
    same: a candidate never suppresses a better one.
    """
    from torchvision.ops import nms

    scales = network(image.flip(0)[None].float() - torch.tensor(MEAN, device=image.device).view(3, 1, 1))
    boxes, scores = [], []
    for number, (score, codes) in enumerate(scales):
        rows, columns = (score[0] > SCORE).nonzero(as_tuple=True)
        scores.append(score[0, rows, columns].cpu().double())
        cells = torch.stack([columns, rows], dim=1).cpu().double() + 0.5
        boxes.append(decode(codes[0, :, rows, columns].T.cpu(), cells, STRIDE << number))
    found, score = torch.cat(boxes), torch.cat(scores)
    # the authors count the last pixel into a box
    kept = nms(found + torch.tensor([0.0, 0.0, 1.0, 1.0]), score, OVERLAP)
    return torch.cat([found, score[:, None]], dim=1)[kept]


def decode(codes: Tensor, cells: Tensor, stride: int) -> Tensor:
    """Boxes (n, 4) in pixels, float64, from their codes (n, 4) and the middles (x, y) of their cells (n, 2)."""
    anchor = ANCHOR * stride
    centres = cells * stride + codes[:, :2] * VARIANCES[0] * float(anchor)
    sizes = anchor * (codes[:, 2:] * VARIANCES[1]).exp().double()
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)
