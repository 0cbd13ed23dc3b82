#!/usr/bin/env bash
# WebDataset groups the members of a tar by their names up to the first dot: pictures with the keys im.0 and im.1, which
# its own writer takes, come back as one sample `im` that has the fields 0.png and 1.png.
# Versions: webdataset 1.0.2, Python 3.11.
# Seen: two samples written, one read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q webdataset==1.0.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import webdataset

with webdataset.TarWriter("shard.tar") as writer:
    for key in ("im.0", "im.1"):
        writer.write({"__key__": key, "png": b"a picture"})
samples = list(webdataset.WebDataset("shard.tar", shardshuffle=False))
print(len(samples), "sample:", samples[0]["__key__"], [name for name in samples[0] if not name.startswith("__")])
assert len(samples) == 1 and {"0.png", "1.png"} <= samples[0].keys(), "the behaviour has changed"
PYTHON
