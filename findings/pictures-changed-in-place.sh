#!/usr/bin/env bash
# A picture that is opened from a file and then changed in place is stored as it was in its file. Pillow keeps the
# name of the file in a picture whatever is done to it in place (`paste`, `thumbnail`, ImageDraw), and writers of data
# sets take a name for the content: datasets (any format) writes the path instead of the pixels, litdata (JPEG) the
# bytes of the file. So faces whose hole is pasted over in grey come back with the face in the hole: a method that is
# given them sees the answer, and what was made smaller has its old size. `Dataset.map` does it, too. Only what
# returns a new picture (`resize`, `convert`, `copy`) is safe.
# Where to see it: datasets/features/image.py, `encode_pil_image`; litdata/streaming/serializers.py,
# `JPEGSerializer.serialize`.
# Versions: datasets 5.2.0, litdata 0.2.76, pyarrow 26.0.1, Pillow 13.0.0, torch 2.14.1 (CPU), torchvision 0.29.1,
# NumPy 2.4.6, Python 3.11.
# Seen: of a hole in grey, 128, nothing is left after either; the pixels are those of the file. A thumbnail of 32 px
# is 64 px again. After `copy`, the hole is grey.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile datasets==5.2.0 litdata==0.2.76 pyarrow==26.0.1 pillow==13.0.0 torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cd "$folder"
cat >run.py <<'PYTHON'
import datasets
import litdata
import numpy as np
from PIL import Image

HOLE = (16, 16, 48, 48)


def blinded(picture):
    picture.paste((128, 128, 128), HOLE)
    return picture


def hole(picture):
    pixels = np.asarray(picture)
    pixels = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels
    return pixels[20:44, 20:44].astype(int)  # without the rim, where JPEG blurs


def sample(index):
    picture = Image.open("face.jpg")
    return {"changed": blinded(picture), "copied": blinded(picture.copy())}


if __name__ == "__main__":
    rows, columns = np.mgrid[:64, :64] * 4
    Image.fromarray(np.stack([rows, columns, 255 - rows], -1).astype(np.uint8)).save("face.jpg", quality=95)
    original = hole(Image.open("face.jpg"))
    assert (hole(sample(0)["changed"]) == 128).all()

    stored = {}
    pictures = [sample(0)]
    stored["datasets, from_list"] = datasets.Dataset.from_list(pictures)[0]
    files = datasets.Dataset.from_dict({"image": ["face.jpg"]}).cast_column("image", datasets.Image())
    both = files.map(lambda row: {"changed": blinded(row["image"]), "copied": blinded(row["image"].copy())})
    stored["datasets, map"] = both[0]
    litdata.optimize(fn=sample, inputs=[0], output_dir="lit", chunk_bytes="1MB", num_workers=1)
    stored["litdata"] = litdata.StreamingDataset("lit")[0]
    found = {}
    for name, row in stored.items():
        changed, copied = (hole(row[key]) for key in ("changed", "copied"))
        found[name] = np.array_equal(changed, original), abs(copied - 128).max() <= 2
        print(f"{name}: changed in place, the hole has the file's pixels: {found[name][0]};", end=" ")
        print(f"of a copy, it is grey: {found[name][1]}")

    small = Image.open("face.jpg")
    small.thumbnail((32, 32))
    size = datasets.Dataset.from_dict({"image": [small]})[0]["image"].size
    print(f"datasets: a thumbnail of {small.size} comes back as {size}")
    assert all(pair == (True, True) for pair in found.values()) and size == (64, 64), "the behaviour has changed"
PYTHON
venv/bin/python run.py 2>warnings.txt | grep -E "^(datasets|litdata)"
