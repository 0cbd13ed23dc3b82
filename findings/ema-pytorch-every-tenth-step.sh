#!/usr/bin/env bash
# The average of weights that the papers on EDM2 define by its width (sigma_rel) is another one in ema-pytorch as soon
# as `update_every` is not 1, and it is 10 in the package's README and 100 by default. The option is there to save
# time; but the factor of each update stays that of a single step, (1 - 1/t)^(gamma + 1), although ten steps have
# passed. So the weights that are to stand for the end of a training are those of its beginning.
# `synthesize_ema_model` combines such averages with the weights of true ones, and no longer gives the width that it
# is asked for.
# Where to see it: ema_pytorch/post_hoc_ema.py, `KarrasEMA.beta` (does not know of update_every) and
# `KarrasEMA.update`.
# Versions: ema-pytorch 0.8.3, torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen: an average over 10,000 steps of a weight that grows evenly from 0 to 1, which is the share of the training
# that was done when the averaged weights were made, on average. By the paper 0.947 for sigma_rel 0.05 and 0.539 for
# 0.28.
# update_every=1: 0.947, 0.539; 10: 0.642, 0.105; 100, the default: 0.151, 0.012.
# Synthesised at 0.15, by the paper 0.820: 0.820 with update_every=1, 0.242 with 10.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 ema-pytorch==0.8.3
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
import inspect

import torch
from ema_pytorch import KarrasEMA, PostHocEMA
from ema_pytorch.post_hoc_ema import sigma_rel_to_gamma

torch.set_num_threads(1)
STEPS = 10_000


class One(torch.nn.Module):
    """A network of one weight, which is the share of the training that is done."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))


def trained(network, average):
    for step in range(1, STEPS + 1):
        with torch.no_grad():
            network.weight.fill_(step / STEPS)
        average.update()
    return average


def paper(width):
    """The mean of t under a density of t^gamma on [0, 1]."""
    gamma = sigma_rel_to_gamma(width)
    return (gamma + 1) / (gamma + 2)


assert inspect.signature(KarrasEMA).parameters["update_every"].default == 100
for every in (1, 10, 100):
    for width in (0.05, 0.28):
        network = One()
        average = trained(network, KarrasEMA(network, sigma_rel=width, update_every=every))
        found = average.ema_model.weight.item()
        print(f"update_every={every}, sigma_rel={width}: {found:.3f}, by the paper {paper(width):.3f}")
        # The exponent of the density that comes out is (gamma + 1) / update_every - 1.
        short = (sigma_rel_to_gamma(width) + 1) / every
        assert abs(found - short / (short + 1)) < 0.01, "the behaviour has changed"

for every, same in ((1, True), (10, False)):
    network = One()
    averages = PostHocEMA(
        network, sigma_rels=(0.05, 0.28), update_every=every, checkpoint_every_num_steps=1000,
        checkpoint_folder=f"every-{every}", checkpoint_dtype=torch.float32,
    )
    found = trained(network, averages).synthesize_ema_model(sigma_rel=0.15).ema_model.weight.item()
    print(f"update_every={every}, synthesised at 0.15: {found:.3f}, by the paper {paper(0.15):.3f}")
    assert (abs(found - paper(0.15)) < 0.01) == same, "the behaviour has changed"
PYTHON
