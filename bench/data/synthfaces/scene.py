"""What `synthfaces` draws: the random parameters of every picture, from (seed, index) alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from bench.data.synthfaces.noise import splitmix64, unit

IMAGES_PER_IDENTITY = 4
MOODS = ("calm", "smile", "laugh", "sad", "surprised", "angry")

# Linear RGB, from light to dark.
_SKIN = np.array(
    [
        [0.80, 0.56, 0.47],
        [0.72, 0.46, 0.35],
        [0.58, 0.34, 0.22],
        [0.42, 0.225, 0.13],
        [0.24, 0.12, 0.068],
        [0.12, 0.06, 0.036],
    ]
)
# black, dark brown, brown, auburn, dark blond, blond, grey, white
_HAIR = np.array(
    [
        [0.012, 0.010, 0.010], [0.040, 0.023, 0.014], [0.10, 0.055, 0.028], [0.17, 0.052, 0.022],
        [0.26, 0.165, 0.075], [0.50, 0.345, 0.165], [0.28, 0.275, 0.27], [0.62, 0.61, 0.60],
    ]
)  # fmt: skip
# dark brown, brown, hazel, green, blue, grey
_IRIS = np.array(
    [
        [0.035, 0.016, 0.009], [0.10, 0.045, 0.018], [0.15, 0.10, 0.035],
        [0.11, 0.16, 0.075], [0.10, 0.20, 0.36], [0.20, 0.25, 0.28],
    ]
)  # fmt: skip


class Draws:
    """A stream of random numbers for each of N keys; number k of a key depends on (key, k) alone."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = keys
        self.slot = 0

    def uniform(self, low: float | np.ndarray = 0.0, high: float | np.ndarray = 1.0) -> np.ndarray:
        """Draw (N,) float64, uniform in [low, high)."""
        self.slot += 1
        salt = splitmix64(np.array([self.slot], dtype=np.uint64))
        return low + (high - low) * unit(splitmix64(self.keys ^ salt))

    def chance(self, probability: float | np.ndarray) -> np.ndarray:
        """Draw (N,) float64: 1 with the given probability, else 0."""
        return (self.uniform() < probability).astype(np.float64)

    def choice(self, weights: np.ndarray) -> np.ndarray:
        """Draw (N,) indices; weights: (K,) or (N, K), any positive sum."""
        total = np.cumsum(np.broadcast_to(weights, (len(self.keys), np.shape(weights)[-1])), axis=1)
        return (self.uniform()[:, None] * total[:, -1:] >= total).sum(1)

    def bell(self, spread: float) -> np.ndarray:
        """Draw (N,) bell-shaped numbers within [-spread, spread]."""
        return spread * (self.uniform() + self.uniform() + self.uniform() - 1.5) / 1.5


def _pick(table: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolate rows of a table at position in [0, 1]."""
    place = position * (len(table) - 1)
    low = np.minimum(place.astype(int), len(table) - 2)
    return table[low] + (table[low + 1] - table[low]) * (place - low)[:, None]


def _colour(draws: Draws, saturation: tuple[float, float], value: tuple[float, float]) -> np.ndarray:
    """Draw (N, 3) linear RGB of any hue."""
    hue, s, v = draws.uniform(0, 6), draws.uniform(*saturation), draws.uniform(*value)
    ramp = np.stack([np.abs(hue - 3) - 1, 2 - np.abs(hue - 2), 2 - np.abs(hue - 4)], 1).clip(0, 1)
    return ((1 - s[:, None] * (1 - ramp)) * v[:, None]) ** 2.2


def identity_of(indices: np.ndarray) -> np.ndarray:
    """The person that picture i shows: i // 4."""
    return indices // IMAGES_PER_IDENTITY


def sample(indices: np.ndarray, seed: int) -> SimpleNamespace:
    """Draw the scenes of N pictures.

    Returns a namespace of float32 tensors: numbers (N, 1, 1, 1), colours (N, 3, 1, 1) in linear RGB.
    x grows to the right, y down, z towards the viewer.
    """
    root = splitmix64(np.array([seed % 2**64], dtype=np.uint64))
    p = _person(Draws(splitmix64(root ^ identity_of(indices).astype(np.uint64)) ^ np.uint64(1)))
    _picture(p, Draws(splitmix64(root ^ indices.astype(np.uint64)) ^ np.uint64(2)))
    return SimpleNamespace(**{name: _tensor(value) for name, value in p.items()})


def _tensor(value: np.ndarray) -> Tensor:
    channels = value.shape[1] if value.ndim > 1 else 1
    return torch.from_numpy(np.ascontiguousarray(value)).float().reshape(len(value), channels, 1, 1)


def _person(d: Draws) -> dict[str, np.ndarray]:
    """What stays the same in all pictures of a person; lengths in halves of the picture's side."""
    p: dict[str, np.ndarray] = {}
    male = p["male"] = d.chance(0.5)
    age = p["age"] = d.uniform() ** 1.6
    tone = p["tone"] = d.uniform() ** 1.5
    p["skin"] = _pick(_SKIN, tone) * (1 + np.stack([d.bell(0.06), d.bell(0.07), d.bell(0.12)], 1))
    p["freckles"] = d.chance(0.25) * (tone < 0.4) * d.uniform(0.3, 1)
    p["blush"] = d.uniform(0.3, 1.0)

    p["rx"] = 0.505 + d.bell(0.04) + 0.012 * male
    p["ry"] = 0.80 + d.bell(0.04)
    p["rz"] = 0.60 + d.bell(0.03)
    p["taper"] = 0.25 - 0.09 * male + d.bell(0.12)
    p["jaw"] = -0.005 + 0.030 * male + d.bell(0.025)
    p["chin"] = 0.05 + 0.02 * male + d.bell(0.03)
    p["cheek"] = 0.045 + d.bell(0.03)
    p["ridge"] = 0.018 + 0.026 * male + d.bell(0.014)

    p["eye_x"] = 0.222 + d.bell(0.025)
    p["eye_w"] = 0.114 + d.bell(0.013)
    p["eye_h"] = 0.055 - 0.007 * male + d.bell(0.012)
    p["eye_tilt"] = d.bell(0.22) - 0.06
    p["iris"] = _IRIS[d.choice(np.stack([0.3 + 2.5 * tone, 0.9 + 0 * tone, *[np.clip(0.6 - tone, 0, 1)] * 4], 1))]
    p["iris"] = p["iris"] * d.uniform(0.75, 1.3)[:, None]
    p["crease"] = d.uniform(0.25, 1.0)
    p["makeup"] = (1 - male) * d.uniform() ** 1.3
    p["lash"] = 0.45 + 0.1 * (1 - male) + 0.45 * p["makeup"]

    p["brow_y"] = -0.148 + d.bell(0.022) + 0.016 * male
    p["brow_t"] = 0.020 + 0.009 * male + d.bell(0.008)
    p["brow_arch"] = 0.035 - 0.012 * male + d.bell(0.022)
    p["brow_in"] = 0.085 + d.bell(0.025)

    p["nose_y"] = 0.285 + d.bell(0.035)
    p["nose_w"] = 0.074 + 0.008 * male + d.bell(0.016) + 0.016 * tone
    p["nose_h"] = 0.165 + 0.02 * male + d.bell(0.04)
    p["nose_bridge"] = 0.40 + d.bell(0.2) - 0.12 * tone
    p["nose_tip"] = 0.035 + d.bell(0.025)

    p["mouth_y"] = 0.505 + d.bell(0.022)
    p["mouth_w"] = 0.180 + d.bell(0.030)
    p["lip_u"] = 0.038 + 0.006 * (1 - male) + d.bell(0.013) + 0.012 * tone
    p["lip_l"] = 0.056 + 0.007 * (1 - male) + d.bell(0.016) + 0.012 * tone
    p["bow"] = d.uniform(0.15, 0.55)
    p["ear"] = 0.155 + d.bell(0.03) + 0.02 * male

    # 0 bald, 1 buzz, 2 short, 3 swept, 4 afro, 5 bob, 6 long straight, 7 long wavy, 8 pulled back, 9 long curly
    women = np.array([0.01, 0.02, 0.05, 0.05, 0.08, 0.20, 0.24, 0.24, 0.11, 0.14])
    men = np.array([0.13, 0.13, 0.34, 0.26, 0.09, 0.03, 0.02, 0.03, 0.01, 0.01])
    style = d.choice(np.where(male[:, None] > 0, men, women))
    is_style = {k: (style == k).astype(np.float64) for k in range(10)}
    p["bald"], p["buzz"], p["afro"] = is_style[0], is_style[1], is_style[4]
    long = p["long"] = ((style >= 5) & (style != 8)).astype(np.float64)
    p["curl"] = np.maximum(np.maximum(is_style[4], is_style[9]), d.chance(0.15) * is_style[2])
    p["wave"] = np.select(
        [style == 7, style == 9, style == 5],
        [d.uniform(0.5, 1), d.uniform(0.7, 1), d.uniform(0, 0.4)],
        d.uniform(0, 0.15),
    )
    p["bangs"] = d.chance(0.3) * np.maximum(long, is_style[2])
    p["length"] = np.select([style == 5], [d.uniform(0.45, 0.72)], d.uniform(0.85, 1.4))
    volume = np.select(
        [style <= 1, style == 2, style == 3, style == 4, style == 8],
        [0.008 + 0 * age, d.uniform(0.05, 0.10), d.uniform(0.07, 0.13), d.uniform(0.16, 0.30), d.uniform(0.035, 0.06)],
        d.uniform(0.06, 0.12),
    )
    p["volume"] = volume + 0.05 * (style == 9)
    p["hairline"] = -0.385 + d.bell(0.05) - 0.05 * male * age * d.uniform()
    p["recede"] = male * (0.02 + 0.12 * age * d.uniform())
    p["part"] = d.uniform(-0.3, 0.3)
    p["sweep"] = d.uniform(-1, 1)
    p["fall"] = np.where(p["bangs"] > 0, 0.1, d.uniform(0.45, 1.0)) * (1 - p["curl"])
    p["frame"] = d.uniform(-0.05, 0.05)
    fair = np.clip(1 - 1.7 * tone, 0, 1)
    grey = np.clip(3 * age - 1.9, 0, 1)
    p["grey"] = d.chance(grey)
    colours = np.stack([0.25 + tone * 2, 0.75 + 0 * tone, 0.2 + 0.8 * fair, 0.5 * fair, 0.7 * fair, 0.8 * fair], 1)
    hue = np.where(p["grey"] > 0, 6 + d.chance(0.4), d.choice(colours)).astype(int)
    p["hair"] = _HAIR[hue] * d.uniform(0.8, 1.35)[:, None] * (1 + np.stack([d.bell(0.1), 0 * tone, d.bell(0.1)], 1))
    p["blond"] = ((hue == 4) | (hue == 5)).astype(np.float64)
    brow = np.where(p["grey"] > 0, 0.6, np.where(hue >= 4, 0.42, 0.75))
    p["brow"] = p["hair"] * brow[:, None]
    p["mole_x"], p["mole_y"] = d.uniform(-0.3, 0.3), d.uniform(0.2, 0.6)
    p["mole"] = d.chance(0.2)
    return p


def _picture(p: dict[str, np.ndarray], d: Draws) -> None:
    """What changes from picture to picture; adds to p."""
    male = p["male"]
    yaw, pitch, roll = np.radians(d.bell(38)), np.radians(d.bell(16) - 2), np.radians(d.bell(13))
    p["yaw"] = yaw
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    # rotation (row major) from the head to the camera: roll * pitch * yaw
    rows = [
        [cr * cy - sr * sp * sy, -sr * cp, cr * sy + sr * sp * cy],
        [sr * cy + cr * sp * sy, cr * cp, sr * sy - cr * sp * cy],
        [-cp * sy, sp, cp * cy],
    ]
    for i in range(3):
        for j in range(3):
            p[f"r{i}{j}"] = rows[i][j]
    scale = p["scale"] = 1.15 + d.bell(0.07)
    # as in aligned data sets, the middle of eyes and mouth stays near one place of the picture
    p["shift_x"] = d.bell(0.06) - scale * (0.24 * rows[0][1] + 0.56 * rows[0][2])
    p["shift_y"] = 0.13 + d.bell(0.05) - scale * (0.24 * rows[1][1] + 0.56 * rows[1][2])

    mood = d.choice(np.array([0.34, 0.26, 0.20, 0.08, 0.06, 0.06]))  # of `MOODS`
    p["mood"] = mood.astype(np.float64)
    laugh, surprised, angry = mood == 2, mood == 4, mood == 5
    p["smile"] = np.select(
        [mood == 1, laugh, mood == 3, angry],
        [d.uniform(0.4, 0.8), d.uniform(0.7, 1), d.uniform(-0.6, -0.3), d.uniform(-0.4, -0.1)],
        d.uniform(0.02, 0.42),
    )
    p["open"] = np.select(
        [laugh, surprised], [d.uniform(0.45, 1), d.uniform(0.4, 1)], d.chance(0.25) * d.uniform(0.1, 0.35)
    )
    p["surprise"] = surprised * d.uniform(0.5, 1.0)
    p["anger"] = angry * d.uniform(0.5, 1.0) + (mood == 3) * -0.5
    lids = 1 - 0.22 * np.clip(p["smile"], 0, 1) + 0.3 * p["surprise"] - 0.15 * angry + d.bell(0.15)
    p["lids"] = np.where(d.uniform() < 0.03, 0.12, lids)
    p["gaze_x"], p["gaze_y"] = d.bell(0.035) - 0.035 * np.sin(yaw), d.bell(0.012)
    p["brow_lift"] = 0.05 * p["surprise"] - 0.012 * p["anger"] + d.bell(0.012)

    p["glasses"] = d.chance(0.26)
    p["sunglasses"] = p["glasses"] * d.chance(0.25)
    p["lens_w"], p["lens_h"] = d.uniform(0.140, 0.172), d.uniform(0.085, 0.135)
    p["lens_round"] = d.uniform(0.35, 1.0)
    p["rim"] = np.where(d.uniform() < 0.5, d.uniform(0.006, 0.010), d.uniform(0.014, 0.024))
    metal = d.chance(0.3)[:, None]
    p["frame_colour"] = np.where(metal > 0, np.array([[0.5, 0.42, 0.28]]), _colour(d, (0, 0.7), (0.05, 0.4)))
    p["tint"] = _colour(d, (0.1, 0.6), (0.05, 0.25))

    p["hat"] = d.chance(0.08)
    p["volume"] = np.where(p["hat"] > 0, np.minimum(p["volume"], 0.04), p["volume"])
    p["hat_brim"] = p["hat"] * d.chance(0.5)
    p["hat_colour"] = _colour(d, (0, 0.8), (0.12, 0.8))
    p["hat_y"] = d.uniform(-0.38, -0.28)
    beard = d.choice(np.array([0.42, 0.24, 0.18, 0.08, 0.08]))  # none, stubble, full, moustache, goatee
    p["stubble"] = male * (beard == 1) * d.uniform(0.35, 0.8)
    p["beard"] = male * (beard == 2) * d.uniform(0.75, 1.0)
    p["moustache"] = male * np.maximum(beard == 3, np.maximum(beard == 2, beard == 4) * 0.9)
    p["goatee"] = male * (beard == 4)
    p["earring"] = (1 - male) * d.chance(0.45)
    p["earring_size"], p["earring_drop"] = d.uniform(0.018, 0.034), d.uniform(0.0, 0.09)
    p["jewel"] = np.where(d.chance(0.5)[:, None] > 0, np.array([[0.75, 0.55, 0.2]]), np.array([[0.7, 0.72, 0.75]]))
    p["necklace"] = (1 - male) * d.chance(0.3)
    lip = np.array([[0.80, 0.40, 0.42]])
    red = np.array([[0.55, 0.035, 0.06]]) * d.uniform(0.6, 1.2)[:, None]
    paint = (p["makeup"] * d.uniform(0, 1))[:, None]
    p["lip"] = p["skin"] * lip * (1 - paint) + red * paint * (0.45 + 0.55 * p["skin"][:, :1])
    p["gloss"] = 0.15 + 0.5 * p["makeup"]

    azimuth, height = d.bell(1.5), d.uniform(0.15, 0.75)
    lx, ly, lz = np.sin(azimuth) * np.cos(height), -np.sin(height), np.cos(azimuth) * np.cos(height)
    p["light_x"], p["light_y"], p["light_z"] = lx, ly, lz
    for j, axis in enumerate("xyz"):  # the same, and half-way to the camera, seen from the head
        p[f"head_light_{axis}"] = rows[0][j] * lx + rows[1][j] * ly + rows[2][j] * lz
        half = rows[0][j] * lx + rows[1][j] * ly + rows[2][j] * (lz + 1)
        p[f"head_half_{axis}"] = half / np.sqrt(2 + 2 * lz)
    warm = d.bell(0.14)
    key = d.uniform(0.95, 1.35)
    p["key"] = np.stack([key * (1 + warm), key, key * (1 - warm)], 1)
    fill, cool = d.uniform(0.20, 0.38), d.bell(0.12)
    p["fill"] = np.stack([fill * (1 - cool), fill, fill * (1 + cool)], 1)
    p["rim_light"] = d.chance(0.4) * d.uniform(0.2, 0.7)
    p["rim_side"] = np.where(d.uniform() < 0.5, -1.0, 1.0)
    p["oil"] = d.uniform(0.4, 1.2)

    p["cloth"] = _colour(d, (0.0, 0.85), (0.12, 0.95))
    p["cloth2"] = _colour(d, (0.0, 0.7), (0.2, 0.98))
    p["pattern"] = d.choice(np.array([0.45, 0.2, 0.15, 0.2])).astype(float)  # plain, stripes, checks, knit
    p["pattern_angle"], p["pattern_step"] = d.uniform(-0.6, 0.6), d.uniform(9, 18)
    p["neckline"] = d.choice(np.array([0.35, 0.3, 0.25, 0.10])).astype(float)  # round, v, collar, turtleneck
    p["neck_w"] = 0.285 + 0.055 * male + d.bell(0.02)
    p["shoulder"] = d.uniform(0.79, 0.89) - 0.03 * male

    p["wall"], p["wall2"], p["wall3"] = (_colour(d, (0.05, 0.75), (0.08, 0.95)) for _ in range(3))
    p["wall_angle"] = d.uniform(0, 6.283)
    p["backdrop"] = d.choice(np.array([0.28, 0.26, 0.24, 0.22])).astype(float)  # studio, bokeh, outdoors, interior
    for k in range(6):
        p[f"disc{k}_x"], p[f"disc{k}_y"], p[f"disc{k}_r"] = (
            d.uniform(-1.1, 1.1),
            d.uniform(-1.1, 0.9),
            d.uniform(0.06, 0.28),
        )
        p[f"disc{k}"] = _colour(d, (0.1, 0.8), (0.4, 1.0))
    p["blur"] = d.uniform(0.02, 0.12)
    p["u0"], p["v0"] = d.uniform(0, 128), d.uniform(0, 128)
