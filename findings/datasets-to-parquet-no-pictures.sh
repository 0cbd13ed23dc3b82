#!/usr/bin/env bash
# `Dataset.to_parquet` of a folder of pictures writes where they lay on this machine, and not the pictures: all bytes are
# null. With the bytes put in (datasets.table.embed_table_storage) paths become file names without folders, so those of
# two classes are the same.
# Versions: datasets 5.2.0, pyarrow 26.0.1, Pillow 13.0.0, Python 3.11.
# Seen: bytes None and an absolute path; then 4 pictures with the names 0.png, 1.png, 0.png, 1.png.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q datasets==5.2.0 pyarrow==26.0.1 pillow==13.0.0
cd "$folder"
HF_HOME="$folder/home" HF_HUB_OFFLINE=1 venv/bin/python - <<'PYTHON'
from pathlib import Path

import datasets
import pyarrow.parquet as pq
from datasets.table import embed_table_storage
from PIL import Image

datasets.disable_progress_bars()
for name in ("a/0", "a/1", "b/0", "b/1"):
    Path("pictures", name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(f"pictures/{name}.png")
read = datasets.load_dataset("imagefolder", data_dir="pictures", split="train")
read.to_parquet("plain.parquet")
first = pq.read_table("plain.parquet")["image"].to_pylist()[0]
print(first)
assert first["bytes"] is None and Path(first["path"]).is_absolute(), "the behaviour has changed"
read.with_format("arrow").map(embed_table_storage, batched=True).to_parquet("embedded.parquet")
rows = pq.read_table("embedded.parquet")["image"].to_pylist()
print([row["path"] for row in rows])
assert all(row["bytes"] for row in rows), "the behaviour has changed"
assert [row["path"] for row in rows] == ["0.png", "1.png", "0.png", "1.png"], "the behaviour has changed"
PYTHON
