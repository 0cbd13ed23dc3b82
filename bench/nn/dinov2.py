"""DINOv2's ViT-L/14 (Oquab et al., 2023): timm's network, with Meta's weights and Meta's way to other sizes.

Meta's file has positions for 37 x 37 patches (518 px). Its code brings them to a smaller grid by a bicubic filter that
is not antialiased and whose scale is a tenth of a patch too large; timm's own way gives other features.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import BenchError

ARCHITECTURE = "vit_large_patch14_dinov2"
SIDE, PATCH = 224, 14
OFFSET = 0.1  # of patches, in Meta's interpolate_pos_encoding


def network(state: Mapping[str, Tensor]) -> nn.Module:
    """The network for pictures of `SIDE` pixels, with these weights under Meta's names; it gives the class token.

    Raises RuntimeError where they do not fit.
    """
    try:
        import timm
    except ImportError as error:
        raise BenchError("DINOv2's network needs timm: pip install 'face-inpaint-bench[emotion]'") from error
    model = timm.create_model(ARCHITECTURE, img_size=SIDE, num_classes=0)
    kept = {name: value for name, value in state.items() if name != "mask_token"}
    if "pos_embed" in kept:
        kept["pos_embed"] = positions(kept["pos_embed"], SIDE // PATCH)
    model.load_state_dict(kept)
    return model


def positions(embedding: Tensor, side: int) -> Tensor:
    """Positions (1, 1 + M², D), the class token's first, for side x side patches: (1, 1 + side², D)."""
    first, patches = embedding[:, :1], embedding[:, 1:]
    have = round(patches.shape[1] ** 0.5)
    if have == side:
        return embedding
    grid = patches.reshape(1, have, have, -1).permute(0, 3, 1, 2)
    scale = (side + OFFSET) / have
    grid = F.interpolate(grid.float(), scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([first, grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
