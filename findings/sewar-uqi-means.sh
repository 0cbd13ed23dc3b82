#!/usr/bin/env bash
# UQI of sewar is far too high: two pictures of independent noise have 0.74, where 0 is right. Its formula is the authors',
# which takes sums over a window, but SciPy's `uniform_filter` gives means. So N times the mean of products stands where
# their sum is meant, the means of both pictures hardly count off, and what is left is how alike they are in brightness.
# Bright pictures are alike, whatever they show.
# Cause: sewar/full_ref.py, `_uqi_single`: `N*GT_P_sum - GT_P_sum_mul`, where GT_P_sum is a mean.
# Versions: sewar 0.4.10, NumPy 2.4.6, SciPy 1.17.1, Python 3.11.
# Seen (by the definition): noise against other noise 0.739 (-0.003), against its own negative 0.485 (-0.990); a picture
# with noise 0.978 (0.462).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile numpy==2.4.6 scipy==1.17.1 sewar==0.4.10
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import sewar
from scipy.ndimage import gaussian_filter


def defined(x, y, side=8):
    """Wang and Bovik 2002: covariance, means and variances in each window, and the mean over all windows."""
    x, y = (np.lib.stride_tricks.sliding_window_view(each.astype(float), (side, side)) for each in (x, y))
    axes = (-2, -1)
    mx, my = x.mean(axes), y.mean(axes)
    covariance = (x * y).mean(axes) - mx * my
    return (4 * covariance * mx * my / ((x.var(axes) + y.var(axes)) * (mx**2 + my**2))).mean()


rng = np.random.default_rng(0)
noise, other = rng.integers(0, 256, (2, 128, 128)).astype(np.uint8)
smooth = gaussian_filter(rng.normal(size=(128, 128)), 3)
smooth = np.clip(128 + 30 * smooth / smooth.std(), 0, 255).astype(np.uint8)
noisy = np.clip(smooth + rng.normal(0, 25, smooth.shape), 0, 255).astype(np.uint8)
pairs = {
    "noise, other noise": (noise, other),
    "noise, its negative": (noise, 255 - noise),
    "a picture, the same with noise": (smooth, noisy),
}
for name, (x, y) in pairs.items():
    found, right = float(sewar.uqi(x, y)), float(defined(x, y))
    print(f"{name}: sewar {found:.3f}, by the definition {right:.3f}")
    assert found - right > 0.3, "the behaviour has changed"
PYTHON
