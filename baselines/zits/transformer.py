"""The structure transformer of ZITS: it restores the edges and lines of a hole, the surest pixels first."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head self-attention. (N, tokens, dim) -> same; `bias` (heads, tokens, tokens) is added to the logits."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.key, self.query, self.value, self.proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        q, k, v = (layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in self.projections())
        logits = q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)
        weights = (logits if bias is None else logits + bias).softmax(3)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))

    def projections(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        """Those of queries, keys and values."""
        return self.query, self.key, self.value


class RelativeBias(nn.Module):
    """One learned value a head and distance j - i of two of `side` tokens in a line: (heads, side, side)."""

    places: Tensor

    def __init__(self, heads: int, side: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, 2 * side - 1))
        i = torch.arange(side)
        self.register_buffer("places", i[None] - i[:, None] + side - 1, persistent=False)

    def forward(self) -> Tensor:
        return self.weight[:, self.places]


class AxialBlock(nn.Module):
    """Attention along columns plus attention along rows, both of the same input (section 3.2). (N, side², dim) -> same.

    The names are the authors': `row` attends along the vertical axis.
    """

    def __init__(self, dim: int, heads: int, side: int):
        super().__init__()
        self.side = side
        self.rln1, self.cln1, self.ln2 = (nn.LayerNorm(dim, eps=1e-4) for _ in range(3))
        self.attn_row, self.attn_col = Attention(dim, heads), Attention(dim, heads)
        self.ff = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.row_rel_pos_bias, self.col_rel_pos_bias = RelativeBias(heads, side), RelativeBias(heads, side)

    def forward(self, x: Tensor) -> Tensor:
        grid = x.unflatten(1, (self.side, self.side))  # (N, rows, columns, dim)
        columns = self.rln1(grid).transpose(1, 2).flatten(0, 1)
        rows = self.cln1(grid).flatten(0, 1)
        vertical = self.attn_row(columns, self.row_rel_pos_bias()).unflatten(0, (len(x), -1)).transpose(1, 2)
        horizontal = self.attn_col(rows, self.col_rel_pos_bias()).unflatten(0, (len(x), -1))
        x = (grid + vertical + horizontal).flatten(1, 2)
        return x + self.ff(self.ln2(x))


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class FullBlock(nn.Module):
    """Attention over all tokens. (N, tokens, dim) -> same."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), QuickGELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class StructureTransformer(nn.Module):
    """Transformer Structure Restoration (section 3.2): axial and full attention in turn, on an eighth of the size.

    Image (N, 3, side, side) in [-1, 1], edges and lines (N, 1, side, side) in [0, 1] and the mask of what is not known
    of them -> logits of edges and of lines, each (N, 1, side, side).
    """

    def __init__(self, side: int, dim: int, layers: int, heads: int):
        super().__init__()
        tokens = side // 8
        self.conv1 = nn.Conv2d(6, dim // 4, 7)
        self.conv2 = nn.Conv2d(dim // 4, dim // 2, 4, 2, 1)
        self.conv3 = nn.Conv2d(dim // 2, dim, 4, 2, 1)
        self.conv4 = nn.Conv2d(dim, dim, 4, 2, 1)
        self.pos_emb = nn.Parameter(0.02 * torch.randn(1, tokens**2, dim))
        self.blocks = nn.Sequential(
            *(FullBlock(dim, heads) if i % 2 else AxialBlock(dim, heads, tokens) for i in range(layers))
        )
        self.ln_f = nn.LayerNorm(dim)
        self.convt1 = nn.ConvTranspose2d(dim, dim, 4, 2, 1)
        self.convt2 = nn.ConvTranspose2d(dim, dim // 2, 4, 2, 1)
        self.convt3 = nn.ConvTranspose2d(dim // 2, dim // 4, 4, 2, 1)
        self.convt4 = nn.Conv2d(dim // 4, 2, 7)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, edge: Tensor, line: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([torch.cat([image, edge, line], dim=1) * (1 - mask), mask], dim=1)
        x = F.relu(self.conv1(F.pad(x, (3,) * 4, mode="reflect")))
        for convolution in (self.conv2, self.conv3, self.conv4):
            x = F.relu(convolution(x))
        tokens = self.ln_f(self.blocks(x.flatten(2).transpose(1, 2) + self.pos_emb))
        x = tokens.transpose(1, 2).unflatten(2, x.shape[2:])
        for enlarge in (self.convt1, self.convt2, self.convt3):
            x = F.relu(enlarge(x))
        edge, line = self.convt4(F.pad(x, (3,) * 4, mode="reflect")).chunk(2, dim=1)
        return edge, line

    def restored(self, image: Tensor, edge: Tensor, line: Tensor, mask: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Edges (0 or 1) and lines in [0, 1] of the whole picture: in each step the surest part of the hole is kept.

        The picture stays blank in the whole hole, whatever is already known of its structure.
        """
        image, edge, line = (x * (1 - mask) for x in (image, edge, line))
        for step in range(1, steps + 1):
            edge_logits, line_logits = self(image, edge, line, mask)
            edge_chance, line_chance = edge_logits.sigmoid(), (4 * (line_logits + 0.05)).sigmoid()
            edge = (edge + edge_chance * mask >= 0.25).to(edge)
            line = line + line_chance * mask
            sure = _confidence(edge_chance) + _confidence(line_chance)
            mask = _without_surest(mask, sure, step / steps)
            edge, line = edge * (1 - mask), line * (1 - mask)
        return edge, line


def _confidence(chance: Tensor) -> Tensor:
    """How sure it is that a pixel is drawn or empty; chances from 1/4 on count as drawn."""
    return torch.maximum(1 - chance, chance + 0.5)


def _without_surest(mask: Tensor, sure: Tensor, share: float) -> Tensor:
    """The mask (N, 1, H, W) without that share of its pixels, those with the highest `sure`."""
    order = sure.masked_fill(mask == 0, -torch.inf).flatten(1).argsort(dim=1, descending=True, stable=True)
    count = (mask.flatten(1).sum(1, keepdim=True, dtype=torch.float64) * share).floor()
    stays = (torch.arange(order.shape[1], device=mask.device) >= count).to(mask)
    return mask * torch.zeros_like(stays).scatter(1, order, stays).reshape(mask.shape)
