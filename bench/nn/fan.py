"""FAN, the face alignment network (Bulat and Tzimiropoulos, ICCV 2017): 68 points of a face by stacked hourglasses.

Sources: arXiv 1703.07332 and the package face-alignment 1.5.0 with its checkpoint `2DFAN4-11f355bf06.pth.tar`; layer
names are the checkpoint's. `landmarks` is what the package does for one face: cut it out, look at it and at its mirror
image, take the peaks of the heat maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, DEPTH, STACKS, POINTS = 256, 4, 4, 68
CROP, HEAT = 256, 64  # sides of what the network sees and of its heat maps
RAISED = 0.12  # of the box's height, by which the crop lies above it
ENLARGED = 200 / 195  # the crop's side by the sum of the box's width and height
RUNS = (  # first and last of the points that change places with each other, each run backwards, in a mirror image
    *((0, 16), (17, 26), (27, 27), (28, 28), (29, 29), (30, 30), (31, 35)),  # jaw, brows, nose
    *((45, 42), (47, 46), (39, 36), (41, 40)),  # eyes: in the places of 36 to 47
    *((48, 54), (55, 59), (60, 64), (65, 67)),  # lips
)
