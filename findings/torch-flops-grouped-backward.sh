#!/usr/bin/env bash
# torch's own counter of operations counts the backward pass of a convolution in groups too high: the gradient of its
# weights is counted as if there were no groups, so this part is too large by their number. The forward pass and the
# gradient of the input are right. Generators of StyleGAN2's kind (CoModGAN and MAT are such) give each picture filters
# of its own and run a batch as one convolution with a group for each picture. So the cost of a training step, for each
# picture, grows with the batch, though the very same products, run picture by picture, do not. A depthwise
# layer, as MobileNet and ConvNeXt have, is counted with a backward pass that costs about as many times the forward
# pass as the layer has channels, where twice is right.
# Where to see it: torch/utils/flop_counter.py, `conv_backward_flop` is given `_groups` and does not use it: the shapes
# that it swaps no longer say how many groups there are. A change was proposed in
# https://github.com/pytorch/pytorch/pull/183405.
# Versions: torch 2.13.0 (CPU; 2.15.0 too), NumPy 2.4.6, Python 3.11.
# Seen, forward and backward pass of a convolution with modulated filters, in forward passes: 3.0 for a batch of 1, 4.0
# for 2, 10.0 for 8; run picture by picture 3.0 always. A depthwise layer of 96 channels: 98.0, and 3.0 as 96
# convolutions of one channel each.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

print("torch", torch.__version__)


def step(run, *leaves):
    """What a forward and a backward pass cost, in forward passes, and the gradients."""
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    forward, both = FlopCounterMode(display=False), FlopCounterMode(display=False)
    with forward:
        run(*leaves)
    with both:
        run(*leaves).square().sum().backward()
    return both.get_total_flops() / forward.get_total_flops(), [leaf.grad for leaf in leaves]


def modulated(maps, filters):
    """Each picture has filters of its own; the batch is one convolution with as many groups."""
    batch, channels, height, width = maps.shape
    folded = F.conv2d(maps.reshape(1, -1, height, width), filters.flatten(0, 1), padding=1, groups=batch)
    return folded.view(batch, -1, height, width)


def one_by_one(maps, filters):
    return torch.cat([F.conv2d(map[None], filter, padding=1) for map, filter in zip(maps, filters)])


def depthwise(maps, filters):
    return F.conv2d(maps, filters, padding=3, groups=len(filters))


def by_channel(maps, filters):
    return torch.cat([F.conv2d(maps[:, c : c + 1], filters[c : c + 1], padding=3) for c in range(len(filters))], 1)


torch.manual_seed(0)
for batch in (1, 2, 8):
    tensors = torch.randn(batch, 16, 12, 12), torch.randn(batch, 24, 16, 3, 3) / 12
    (folded, grads), (single, same) = step(modulated, *tensors), step(one_by_one, *tensors)
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(grads, same))
    print(f"modulated filters, batch of {batch}: {folded:.1f} forward passes, picture by picture {single:.1f}")
    assert (folded, single) == (2 + batch, 3), "the behaviour has changed"

tensors = torch.randn(2, 96, 14, 14), torch.randn(96, 1, 7, 7) / 7
(grouped, grads), (single, same) = step(depthwise, *tensors), step(by_channel, *tensors)
assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(grads, same))
print(f"depthwise layer of 96 channels: {grouped:.1f} forward passes, channel by channel {single:.1f}")
assert (grouped, single) == (2 + 96, 3), "the behaviour has changed"
PYTHON
