#!/usr/bin/env bash
# torchvision's KeyPoints do not stay on the picture: landmarks and picture are moved by the same call, and miss each
# other. Flips take a coordinate for the number of a pixel (x becomes W - 1 - x). Resizing, rotating, affine and
# perspective transforms take it for a place on an axis from 0 to W, in which the middle of that pixel is x + 0.5. So
# whichever of the two an annotation means, half of the transforms are wrong for it. A turn by 180 degrees is two flips,
# and gives the same picture, but landmarks one pixel apart; the pixels that a network of 64 px names are 7.5 px off
# when they are brought to 1,024 px. Boxes are right under all of them: a box around a pixel stays around that pixel.
# Where to see it: torchvision/transforms/v2/functional/_geometry.py: `horizontal_flip_keypoints` (canvas_size[1] - 1),
# `resize_keypoints` (mul(ratios)), `_affine_keypoints_with_expand` (center = width * 0.5). KeyPoints came with 0.23, as
# a beta.
# Versions: torchvision 0.29.1 (0.29.2 has the same lines), torch 2.14.1 (CPU), NumPy 2.4.6, Python 3.11.
# Seen, a spot at 64 px, landmark minus spot: flips, crop and pad (0, 0); turn by 180 degrees (1, 1), by 90 (0, 1);
# 256 px (-1.5, -1.5), 1,024 px (-7.5, -7.5), 32 px (0.25, 0.25). Boxes: (0, 0) throughout.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cd "$folder"
cat >run.py <<'PYTHON'
import torch
import torchvision
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import BoundingBoxes, Image, KeyPoints

print("torchvision", torchvision.__version__, "torch", torch.__version__)
X, Y, SIZE = 20.0, 26.0, 64
transforms = {
    "flip": F.horizontal_flip,
    "flip both ways": lambda thing: F.vertical_flip(F.horizontal_flip(thing)),
    "crop": lambda thing: F.crop(thing, 5, 7, 50, 50),
    "pad": lambda thing: F.pad(thing, [3, 4, 5, 6]),
    "turn by 180": lambda thing: F.rotate(thing, 180),
    "turn by 90": lambda thing: F.rotate(thing, 90),
    "resize to 32": lambda thing: F.resize(thing, [32, 32]),
    "resize to 256": lambda thing: F.resize(thing, [256, 256]),
    "resize to 1024": lambda thing: F.resize(thing, [1024, 1024]),
}


def grid(height, width):
    return torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")


def middle(picture):
    """The middle of the spot, in numbers of pixels."""
    weights = torch.as_tensor(picture)[0].double()
    weights = torch.where(weights > 0.1 * weights.max(), weights, 0.0)
    rows, columns = grid(*weights.shape)
    return torch.stack([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


rows, columns = grid(SIZE, SIZE)
spot = Image(torch.exp(-((columns - X) ** 2 + (rows - Y) ** 2) / 18)[None].float())
point = KeyPoints(torch.tensor([[X, Y]]), canvas_size=(SIZE, SIZE))
box = BoundingBoxes(torch.tensor([[X, Y, X + 1, Y + 1]]), format="XYXY", canvas_size=(SIZE, SIZE))
missed = {}
for name, transform in transforms.items():
    place = middle(transform(spot))
    corners = torch.as_tensor(transform(box))[0].double()
    of_box = (corners[:2] + corners[2:]) / 2 - 0.5 - place
    missed[name] = torch.as_tensor(transform(point))[0].double() - place
    print(f"{name}: the landmark misses the spot by ({missed[name][0]:.2f}, {missed[name][1]:.2f}),", end=" ")
    print(f"the box by ({abs(of_box[0]):.2f}, {abs(of_box[1]):.2f})")
    assert of_box.abs().max() < 0.05, "the behaviour has changed"
turned, flipped = transforms["turn by 180"](spot), transforms["flip both ways"](spot)
assert torch.allclose(torch.as_tensor(turned), torch.as_tensor(flipped), atol=1e-6)
expected = {"flip": 0, "flip both ways": 0, "crop": 0, "pad": 0, "turn by 180": 1}
expected |= {"resize to 32": 0.25, "resize to 256": -1.5, "resize to 1024": -7.5}
for name, offset in expected.items():
    assert (missed[name] - offset).abs().max() < 0.05, f"the behaviour has changed: {name}"
PYTHON
venv/bin/python run.py
