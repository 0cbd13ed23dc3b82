#!/usr/bin/env bash
# `interpolation_type="log_linear"` of diffusers' EulerDiscreteScheduler sounds like a better way to look up the noise
# between two steps of the training. It is another schedule: levels of noise that are equally far apart in their
# logarithms, from the greatest to the least. The times that go with them are left as they were, so that the network is
# told other noise than its picture has, up to six times as much. No number of steps mends it, nothing is said, and the
# same levels, given as `sigmas`, get their own times and are right; so are the Karras levels and all other schedules
# of this class. The one pipeline that goes well with it, the latent upscaler, makes times of its own.
# Where to see it: diffusers/schedulers/scheduling_euler_discrete.py, `set_timesteps`: the branch "log_linear" makes
# `sigmas` without `_sigma_to_t`, which the branches below it call.
# Versions: diffusers 0.42.1, torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen, step 505 of 1000 of a Stable Diffusion schedule, 100 steps: told 1.64, has 0.69. With the exact network for
# numbers of mean 0.40 and deviation 0.50, by 50, 200 and 800 steps: linear 0.38, 0.38, 0.38 (0.48, 0.49, 0.50);
# log_linear 0.28, 0.28, 0.28 (0.45, 0.46, 0.46); the same levels as `sigmas` 0.38, 0.38, 0.38 (0.49, 0.50, 0.50). That
# it is 0.38 and not 0.40 comes from the schedule, whose last step is not all noise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
cd "$folder"
venv/bin/python - 2>messages.txt <<'PYTHON' || { cat messages.txt; exit 1; }
import importlib.metadata

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler

torch.set_num_threads(1)
MEAN, DEVIATION = 0.4, 0.5
for name in ("diffusers", "torch"):
    print(name, importlib.metadata.version(name))


def scheduler(kind):
    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", interpolation_type=kind
    )


def noise_at(made, t):
    """The noise that a step of the training has, over its picture."""
    levels = ((1 - made.alphas_cumprod) / made.alphas_cumprod).sqrt().log().numpy()
    return float(np.exp(np.interp(float(t), np.arange(len(levels)), levels)))


def sampled(made):
    """Numbers that the exact network for them gives, which believes the step that it is told."""
    x = torch.randn(1, 1, 1, 20_000, generator=torch.Generator().manual_seed(0)) * made.init_noise_sigma
    for t in made.timesteps:
        noise = noise_at(made, t)
        scale = (1 + noise**2) ** -0.5
        seen = made.scale_model_input(x, t) / scale
        clean = MEAN + DEVIATION**2 / (DEVIATION**2 + noise**2) * (seen - MEAN)
        x = made.step((seen - clean) / noise, t, x).prev_sample
    return x.mean().item(), x.std().item()


made = scheduler("log_linear")
made.set_timesteps(100)
place = min(range(100), key=lambda i: abs(made.timesteps[i] - 500))
told, has = noise_at(made, made.timesteps[place]), made.sigmas[place].item()
print(f"step {made.timesteps[place]:.0f}: told {told:.2f}, has {has:.2f}")
assert told > 2 * has, "the behaviour has changed"
worst = max(noise_at(made, t) / s.item() for t, s in zip(made.timesteps, made.sigmas))
print(f"at most {worst:.1f} times what it has")

for steps in (50, 200, 800):
    plain, other, given = scheduler("linear"), scheduler("log_linear"), scheduler("linear")
    plain.set_timesteps(steps)
    other.set_timesteps(steps)
    given.set_timesteps(sigmas=[*other.sigmas[:steps].tolist(), 0.0])
    found = [sampled(each) for each in (plain, other, given)]
    for name, (mean, deviation) in zip(("linear", "log_linear", "as sigmas"), found):
        print(f"{steps} steps, {name}: mean {mean:.2f}, deviation {deviation:.2f}")
    assert abs(found[0][0] - found[2][0]) < 0.01 and found[1][0] < found[0][0] - 0.08, "the behaviour has changed"
PYTHON
