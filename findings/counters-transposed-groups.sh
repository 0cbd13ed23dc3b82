#!/usr/bin/env bash
# Two counters are wrong about transposed convolutions in groups, in opposite ways. Generators with modulated filters
# (StyleGAN2's kind) make maps larger with one transposed convolution for the whole batch that has a group for each
# picture. For calflops a batch of 8 pictures then costs as much as one, and a depthwise layer nothing: the weights of a
# transposed convolution are already those of one group, and it divides them by the groups once more. For torchprofile
# the cost of *each* picture grows with the batch: it guesses from the shapes whether a layer is transposed, and then
# takes the input channels of all groups for each output. (Where as many channels come out as go in, it guesses wrong,
# and the groups are counted right.) Its factor of 4 at a stride of 2 is another thing, it goes by the size of the
# output. Ordinary convolutions in groups are counted right by both.
# Where to see it: calflops/pytorch_ops.py, `_conv_trans_flops_compute`: `filters_per_channel = out_channels // groups`
# (DeepSpeed, from which it is, has mended that: https://github.com/deepspeedai/DeepSpeed/pull/8323);
# torchprofile/handlers.py, `_convolution`.
# Versions: calflops 0.3.2, torchprofile 0.1.0, transformers 5.23.0, torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen, products of a picture in a batch of 1, 2, 8, over those of one product for each weight and input pixel: torch's
# own counter 1, 1, 1; calflops 1, 0.5, 0.125; torchprofile 4, 8, 32. A depthwise layer: 1; 0; 4.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 calflops==0.3.2 transformers==5.23.0
"$folder/venv/bin/pip" install -q --no-compile --no-deps torchprofile==0.1.0  # it runs without torchvision
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
import torch
from calflops import calculate_flops
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchprofile import profile_macs

torch.set_num_threads(1)
print("torch", torch.__version__)


class Larger(nn.Module):
    """Twice the height and width, with filters for each picture."""

    def __init__(self, batch, before, after):
        super().__init__()
        self.filters = nn.Parameter(torch.randn(batch * before, after, 4, 4))

    def forward(self, maps):
        batch, channels, height, width = maps.shape
        folded = maps.reshape(1, batch * channels, height, width)
        made = F.conv_transpose2d(folded, self.filters, stride=2, padding=1, groups=batch)
        return made.view(batch, -1, 2 * height, 2 * width)


def counted(network, maps):
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(maps)
    by_calflops = calculate_flops(
        network, args=[maps], output_as_string=False, print_results=False, print_detailed=False
    )[1]
    return counter.get_total_flops() / 2, by_calflops, profile_macs(network, maps)


names = ("torch", "calflops", "torchprofile")
found = {}
for batch in (1, 2, 8):
    maps = torch.randn(batch, 8, 16, 16)
    true = batch * 8 * 16 * 4 * 4 * 16 * 16  # pictures, channels in and out, filter, pixels
    found[batch] = [round(count / true, 3) for count in counted(Larger(batch, 8, 16).eval(), maps)]
    print(f"modulated filters, batch of {batch}:", dict(zip(names, found[batch])))
depthwise = nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1, groups=8, bias=False).eval()
alone = [count / (8 * 4 * 4 * 16 * 16) for count in counted(depthwise, torch.randn(1, 8, 16, 16))]
print("depthwise:", dict(zip(names, alone)))
assert all(found[batch] == [1, 1 / batch, 4 * batch] for batch in found), "the behaviour has changed"
assert alone == [1, 0, 4], "the behaviour has changed"
PYTHON
