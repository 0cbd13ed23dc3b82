#!/usr/bin/env bash
# torch's own counter of operations says that attention costs nothing on a CPU. What `scaled_dot_product_attention` runs
# there is an operation of its own, for which FlopCounterMode has no formula before torch 2.15, and what it does not know it
# counts as 0, without a word. With the same layer step by step (SDPBackend.MATH), or on a GPU, the count is right; so the
# cost of a transformer depends on the device on which it was counted (pytorch/pytorch#195460).
# Versions: torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: attention of 4 heads, 256 tokens, 32 channels: 0 operations, step by step 33,554,432; a layer of a transformer of
# 256 channels loses 40 % of what it costs at 1,024 tokens.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def counted(run, step_by_step):
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH if step_by_step else SDPBackend.FLASH_ATTENTION), counter:
        run()
    return counter.get_total_flops()


x = torch.randn(1, 4, 256, 32)
layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True)  # in training mode, without dropout
layer.dropout.p = layer.dropout1.p = layer.dropout2.p = layer.self_attn.dropout = 0.0
tokens = torch.randn(1, 1024, 256)

alone = [counted(lambda: F.scaled_dot_product_attention(x, x, x), step) for step in (False, True)]
whole = [counted(lambda: layer(tokens), step) for step in (False, True)]
print(f"attention: {alone[0]:,} operations, step by step {alone[1]:,}")
print(f"a transformer's layer: {whole[0]:,}, step by step {whole[1]:,}: {1 - whole[0] / whole[1]:.0%} are lost")
assert alone == [0, 2 * 2 * 4 * 256 * 256 * 32], "the behaviour has changed"
assert whole[1] - whole[0] == 2 * 2 * 1024 * 1024 * 256, "the behaviour has changed"
PYTHON
