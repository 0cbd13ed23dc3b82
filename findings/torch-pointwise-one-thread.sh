#!/usr/bin/env bash
# A 1 x 1 convolution goes to another library on one thread than on two. On a CPU torch gives convolutions to oneDNN, but
# those with a filter of one pixel, stride 1 and fewer than 16 images to MKL's matrix product, if it has one thread. MKL
# takes no AVX-512 on processors of AMD, so there the layers that are half of a MobileNet, an EfficientNet or Inception
# take twice as long. The same picture gets other last digits with two threads, or in a batch of 16. A dilation of 2, which
# changes nothing about a filter of one pixel, sends it to oneDNN always. The rule was made when MKL was the faster one
# (pytorch/pytorch#46675, #52909).
# Versions: torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: one thread, 8 images: _slow_conv2d_forward; two threads, or 16 images, or dilation 2: mkldnn_convolution. On an
# AMD EPYC with AVX-512, 8 x 768 channels, 17 x 17 pixels to 192 channels: 103 GFLOP/s against 232.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import time
import torch
from torch.nn import functional as F
from torch.profiler import profile

weight = torch.randn(192, 768, 1, 1)


def convolved(images: int, threads: int, dilation: int) -> tuple[str, float]:
    """The operator that does the work, and GFLOP/s."""
    x = torch.randn(images, 768, 17, 17).contiguous(memory_format=torch.channels_last)
    torch.set_num_threads(threads)
    with torch.no_grad(), profile() as seen:
        F.conv2d(x, weight, dilation=dilation)
    names = {event.key for event in seen.key_averages()}
    (operator,) = names & {"aten::_slow_conv2d_forward", "aten::mkldnn_convolution"}
    seconds = []
    for _ in range(20):
        begin = time.perf_counter()
        F.conv2d(x, weight, dilation=dilation)
        seconds.append(time.perf_counter() - begin)
    return operator, 2 * x.numel() * 192 / min(seconds) / 1e9


for images, threads, dilation, expected in [
    (8, 1, 1, "aten::_slow_conv2d_forward"),
    (8, 2, 1, "aten::mkldnn_convolution"),
    (16, 1, 1, "aten::mkldnn_convolution"),
    (8, 1, 2, "aten::mkldnn_convolution"),
]:
    operator, speed = convolved(images, threads, dilation)
    print(f"{images} images, {threads} threads, dilation {dilation}: {operator}, {speed:.0f} GFLOP/s")
    assert operator == expected, "the behaviour has changed"
x = torch.randn(8, 768, 17, 17)
torch.set_num_threads(1)
assert torch.allclose(F.conv2d(x, weight), F.conv2d(x, weight, dilation=2), atol=1e-3), "a dilation matters"
PYTHON
