"""IR-SE: the residual network with squeeze-and-excitation of face recognition (Deng et al., 2019), and its trunk.

Sources: ArcFace (arXiv 1801.07698) and the checkpoint `model_ir_se50.pth`; layer names are the checkpoint's.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)
UNITS = (3, 4, 14, 3)  # IR-SE50


class SqueezeExcitation(nn.Module):
    """Channel gates from the global average (Hu et al., 2018), without biases."""

    def __init__(self, width: int, reduction: int = 16):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(width, width // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(width // reduction, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc2(self.fc1(self.pool(x)).relu()).sigmoid()


class Bottleneck(nn.Module):
    """Improved residual unit: norm, convolution, PReLU, strided convolution, norm (and gates) plus the shortcut.

    `gated=False` is the unit of the plain IR networks.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, gated: bool = True):
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)  # takes every stride-th pixel
        if inputs != outputs:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            *([SqueezeExcitation(outputs)] if gated else []),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)


class Trunk(nn.Module):
    """The convolutional part of IR-SE: `input_layer` and `body`, which halves the size once a group of units."""

    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, units: Sequence[int] = UNITS):
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        body: list[nn.Module] = []
        self.ends: list[int] = []  # the last unit of each group
        inputs = widths[0]
        for outputs, count in zip(widths, units, strict=True):
            for stride in (2, *[1] * (count - 1)):
                body.append(Bottleneck(inputs, outputs, stride))
                inputs = outputs
            self.ends.append(len(body) - 1)
        self.body = nn.Sequential(*body)

    def features(self, images: Tensor) -> list[Tensor]:
        """The four groups' maps, at 1/2, 1/4, 1/8 and 1/16 of the size of `images` (N, channels, H, W)."""
        x = self.input_layer(images)
        maps = []
        for number, unit in enumerate(self.body):
            x = unit(x)
            if number in self.ends:
                maps.append(x)
        return maps


class IRSE(Trunk):
    """The whole recogniser. Faces (N, 3, size, size) in [-1, 1] -> embeddings (N, dim) of length 1."""

    def __init__(
        self, size: int = 112, dim: int = 512, widths: Sequence[int] = WIDTHS, units: Sequence[int] = UNITS,
        dropout: float = 0.6,
    ):  # fmt: skip
        super().__init__(3, widths, units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(widths[-1]),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(widths[-1] * (size // 16) ** 2, dim),
            nn.BatchNorm1d(dim),
        )

    def raw(self, faces: Tensor) -> Tensor:
        """Embeddings before their length is made 1."""
        return self.output_layer(self.body(self.input_layer(faces)))

    def forward(self, faces: Tensor) -> Tensor:
        raw = self.raw(faces)
        return raw / raw.norm(dim=1, keepdim=True)
