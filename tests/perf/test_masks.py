"""Masks a second on one core at 256 pixels, beside straightforward implementations of the published algorithms.

Run with `pytest tests/perf/test_masks.py -n 0 --benchmark-only`.

`straightforward` draws whole masks as the papers' text says (NumPy's global generator, Pillow or OpenCV lines) until
one lies in the bucket. Where that takes longer than `PATIENCE` masks on average (EXE-GAN, LaMa and MMEditing over
90 %), the benchmark leaves it out: rejection never ends there in practice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import count

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pytest_benchmark.fixture import BenchmarkFixture

import masks
from masks import Bucket
from tests.perf import before

SIZE = 256
PATIENCE = 500
BUCKETS = ["50-60", "60-70", "90-100"]


def comodgan() -> np.ndarray:
    """CoModGAN's free-form mask."""
    draw = np.random
    valid = np.ones((SIZE, SIZE), np.uint8)
    for most, limit in ((10, SIZE // 2), (5, SIZE)):
        for _ in range(draw.randint(most)):
            w, h = draw.randint(limit), draw.randint(limit)
            x = draw.randint(-(w // 2), SIZE - w + w // 2)
            y = draw.randint(-(h // 2), SIZE - h + h // 2)
            valid[max(y, 0) : min(y + h, SIZE), max(x, 0) : min(x + w, SIZE)] = 0
    picture = Image.new("L", (SIZE, SIZE), 0)
    radius = math.sqrt(2 * SIZE * SIZE) / 8
    for _ in range(draw.randint(20)):
        n = draw.randint(4, 18)
        low = 2 * math.pi / 5 - draw.uniform(0, 2 * math.pi / 15)
        high = 2 * math.pi / 5 + draw.uniform(0, 2 * math.pi / 15)
        angles = []
        for i in range(n):
            angle = draw.uniform(low, high)
            angles.append(2 * math.pi - angle if i % 2 == 0 else angle)
        vertices = [(int(draw.randint(0, SIZE)), int(draw.randint(0, SIZE)))]
        for angle in angles:
            step = np.clip(draw.normal(radius, radius // 2), 0, 2 * radius)
            x = np.clip(vertices[-1][0] + step * math.cos(angle), 0, SIZE)
            y = np.clip(vertices[-1][1] + step * math.sin(angle), 0, SIZE)
            vertices.append((int(x), int(y)))
        pen = ImageDraw.Draw(picture)
        width = int(draw.uniform(12, 48))
        pen.line(vertices, fill=1, width=width)
        for x, y in vertices:
            pen.ellipse((x - width // 2, y - width // 2, x + width // 2, y + width // 2), fill=1)
        draw.random(), draw.random()
    brush = np.asarray(picture, np.uint8)
    if draw.random() > 0.5:
        brush = np.flip(brush, 0)
    if draw.random() > 0.5:
        brush = np.flip(brush, 1)
    return 1 - np.logical_and(valid, 1 - brush).astype(np.uint8)


def exegan() -> np.ndarray:
    """EXE-GAN's strokes and rectangles."""
    draw = np.random
    mask = np.zeros((SIZE, SIZE), np.float32)
    small, large = draw.randint(0, 10), draw.randint(0, 5)
    for boxes, limit in ((large, SIZE // 2), (small, SIZE // 4)):
        for _ in range(boxes):
            h, w = limit + draw.randint(-limit, 0), limit + draw.randint(-limit, 0)
            top, left = draw.randint(0, SIZE - h), draw.randint(0, SIZE - w)
            mask[top : top + h, left : left + w] = 1
    for _ in range(10):
        part = np.zeros((SIZE, SIZE), np.float32)
        n, y, x, width = draw.randint(21), draw.randint(SIZE), draw.randint(SIZE), 0
        for i in range(n):
            angle = draw.randint(361) / 360 * 2 * np.pi
            angle = 2 * np.pi - angle if i % 2 == 0 else angle
            length, width = draw.randint(101), draw.randint(10, 25) // 2 * 2
            new_y = int(np.clip(y + length * np.cos(angle), 0, SIZE - 1))
            new_x = int(np.clip(x + length * np.sin(angle), 0, SIZE - 1))
            cv2.line(part, (y, x), (new_y, new_x), 1.0, width)
            cv2.circle(part, (y, x), width // 2, 2)
            y, x = new_y, new_x
        cv2.circle(part, (y, x), width // 2, 2)
        mask += part
    return (mask > 0).astype(np.uint8)


def lama_wide() -> np.ndarray:
    """LaMa's thick test masks."""
    draw = np.random
    mask = np.zeros((SIZE, SIZE), np.float32)
    if draw.choice(2, p=[1 / 1.3, 0.3 / 1.3]):
        for _ in range(draw.randint(1, 4)):
            w, h = draw.randint(30, 151), draw.randint(30, 151)
            x, y = draw.randint(10, SIZE - 10 - w + 1), draw.randint(10, SIZE - 10 - h + 1)
            mask[y : y + h, x : x + w] = 1
        return mask.astype(np.uint8)
    for i in range(draw.randint(1, 7)):
        x, y = draw.randint(SIZE), draw.randint(SIZE)
        for _ in range(1 + draw.randint(5)):
            angle = 0.01 + draw.randint(4)
            angle = 2 * 3.1415926 - angle if i % 2 == 0 else angle
            length, width = 10 + draw.randint(200), 5 + draw.randint(100)
            new_x = int(np.clip(int(x + length * np.sin(angle)), 0, SIZE))
            new_y = int(np.clip(int(y + length * np.cos(angle)), 0, SIZE))
            cv2.line(mask, (x, y), (new_x, new_y), 1.0, width)
            x, y = new_x, new_y
    return mask.astype(np.uint8)


def irregular() -> np.ndarray:
    """MMEditing's irregular masks."""
    draw = np.random
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for i in range(draw.randint(4, 10)):
        x, y = draw.randint(SIZE), draw.randint(SIZE)
        n = draw.randint(1, 6)
        angles, lengths, widths = draw.randint(0, 6.0, n), draw.randint(20, 128, n), draw.randint(10, 45, n)
        for j in range(n):
            angle = 0.01 + angles[j]
            angle = 2 * math.pi - angle if i % 2 == 0 else angle
            new_x, new_y = int(x + lengths[j] * np.sin(angle)), int(y + lengths[j] * np.cos(angle))
            cv2.line(mask, (y, x), (new_y, new_x), 1, int(widths[j]))
            x, y = new_x, new_y
    return mask


PUBLISHED: dict[str, Callable[[], np.ndarray]] = {
    "freeform": comodgan,
    "exegan": exegan,
    "lama-wide": lama_wide,
    "irregular": irregular,
}
OWN = {"freeform": "comodgan", "exegan": "exegan", "lama-wide": "lama-thick-256", "irregular": "mmediting-irregular"}


def rejected(draw: Callable[[], np.ndarray], low: float, high: float) -> np.ndarray:
    """Draw until the ratio lies in (low, high]."""
    while True:
        mask = draw()
        if low < mask.mean() <= high:
            return mask


@pytest.mark.parametrize("name", PUBLISHED)
def test_straightforward_masks_are_the_published_ones(name: str) -> None:
    np.random.seed(5)
    drawn = rejected(PUBLISHED[name], 0.15, 0.65) if name == "irregular" else PUBLISHED[name]()
    np.testing.assert_array_equal(drawn, masks.published(OWN[name], 5)[0])


def straightforward(name: str, bucket: str) -> Callable[[], np.ndarray]:
    """A draw by rejection; skips the test where it takes longer than `PATIENCE` masks on average."""
    low, high = (int(end) / 100 for end in bucket.split("-"))
    np.random.seed(0)
    ratios = np.array([PUBLISHED[name]().mean() for _ in range(2 * PATIENCE)])
    if ((ratios > low) & (ratios <= high)).sum() < 2:
        pytest.skip(f"fewer than 1 in {PATIENCE} of its masks lie in {bucket}")
    return lambda: rejected(PUBLISHED[name], low, high)


def facebench(name: str, bucket: str) -> Callable[[], np.ndarray]:
    """A draw of this package, another one at each call."""
    number = count()
    return lambda: masks.draw(f"{name}/{bucket}", SIZE, 0, next(number))


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("who", [straightforward, facebench], ids=lambda who: who.__name__)
@pytest.mark.benchmark(timer=time.process_time)  # the core's own time: other work on the machine does not count
def test_masks_a_second(
    benchmark: BenchmarkFixture, who: Callable[[str, str], Callable[[], np.ndarray]], name: str, bucket: str
) -> None:
    benchmark.group = f"{name}/{bucket}"
    draw = who(name, bucket)
    mask = benchmark.pedantic(draw, rounds=60, iterations=1 if who is straightforward else 10, warmup_rounds=1)
    assert mask in Bucket.parse(bucket)


@pytest.mark.slow
@pytest.mark.parametrize(("bucket", "times"), [("50-60", 40), ("60-70", 25), ("90-100", 20)])
def test_times_faster_than_rejection(bucket: str, times: float) -> None:
    """CoModGAN's masks, both sides in turns in one run, by the core's own time.

    500 masks by rejection: how many draws each takes varies so much that fewer would not tell.
    """
    sides = straightforward("freeform", bucket), facebench("freeform", bucket)
    spent = [0.0, 0.0]
    for _ in range(10):
        for side, (draw, n) in enumerate(zip(sides, (50, 100), strict=True)):
            begin = time.process_time()
            for _ in range(n):
                draw()
            spent[side] += (time.process_time() - begin) / n
    assert spent[0] >= times * spent[1]


@pytest.mark.slow
@pytest.mark.parametrize("draw", ['draw("gconv/90-100"', 'training("exegan"'])
def test_strokes_are_drawn_faster_than_before(draw: str) -> None:
    """0.65 to 0.7 of the CPU time of the build before; the same masks."""
    code = (
        "import masks, time\n"
        f"def draw(i): return masks.{draw}, 256, 0, i)\n"
        "for i in range(20): draw(i)\n"
        "start = time.process_time()\n"
        "for i in range(600): draw(i)\n"
        "print(time.process_time() - start)\n"
    )
    assert before.ratio(code, rounds=4) <= 0.8
