"""AdaFace's recogniser (Kim et al., 2022): the improved residual network of 100 layers.

Sources: arXiv 2204.00964 and net.py of the authors' repository; layer names are the checkpoint's. Its units have one
norm more than those of `bench.nn.irse`, and it takes BGR.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from bench.nn.irse import WIDTHS, Bottleneck

IR_101 = (3, 13, 30, 3)  # units of each group


class Unit(Bottleneck):
    """The unit of the plain IR networks with one more norm: in front of its PReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__(inputs, outputs, stride, gated=False)
        self.res_layer.insert(2, nn.BatchNorm2d(outputs))


class AdaFace(nn.Module):
    """Aligned RGB faces (N, 3, 112, 112) in [-1, 1] -> embeddings (N, 512) of length 1."""

    def __init__(self, units: Sequence[int] = IR_101, widths: Sequence[int] = WIDTHS, size: int = 112, dim: int = 512):
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        body: list[nn.Module] = []
        inputs = widths[0]
        for outputs, count in zip(widths, units, strict=True):
            for stride in (2, *[1] * (count - 1)):
                body.append(Unit(inputs, outputs, stride))
                inputs = outputs
        self.body = nn.Sequential(*body)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(widths[-1]),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(widths[-1] * (size // 16) ** 2, dim),
            nn.BatchNorm1d(dim, affine=False),
        )

    def forward(self, faces: Tensor) -> Tensor:
        raw = self.output_layer(self.body(self.input_layer(faces.flip(1))))
        return raw / raw.norm(dim=1, keepdim=True)
