#!/usr/bin/env bash
# spandrel promises models that take and give pictures in [0, 1]. GFP-GAN's and CodeFormer's networks want [-1, 1], get
# what came, and their output in [-1, 1] is cut to [0, 1]; RestoreFormer's is given and taken as it should be. And GFP-GAN
# and CodeFormer take a face of 256 px without a word: it stands in the upper left corner of 512 px, mirrored to the right
# and below, so that the network sees up to four faces.
# Versions: spandrel 0.4.2, spandrel-extra-arches 0.2.0, torch 2.14.1 (CPU), torchvision 0.29.1, Python 3.11.
# Seen, with made-up weights and a picture in [0.25, 0.75]: GFP-GAN and CodeFormer are given 512 px in [0.25, 0.75], and
# their -0.5 comes back as 0.00; RestoreFormer is given 256 px in [-0.50, 0.50], and its -0.5 comes back as 0.25.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q spandrel==0.4.2 spandrel-extra-arches==0.2.0 torch==2.14.1 torchvision==0.29.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from spandrel.architectures.GFPGAN import GFPGANArch
from spandrel.architectures.GFPGAN.__arch.gfpganv1_clean_arch import GFPGANv1Clean
from spandrel.architectures.RestoreFormer import RestoreFormerArch
from spandrel.architectures.RestoreFormer.__arch.restoreformer_arch import RestoreFormer
from spandrel_extra_arches.architectures.CodeFormer import CodeFormerArch
from spandrel_extra_arches.architectures.CodeFormer.__arch.codeformer import CodeFormer

torch.manual_seed(0)
face = torch.rand(1, 3, 256, 256) / 2 + 0.25
for kind, network, right in (
    (GFPGANArch, GFPGANv1Clean, False), (RestoreFormerArch, RestoreFormer, True), (CodeFormerArch, CodeFormer, False)
):
    model = kind().load(network().state_dict())
    seen = []

    def given(x, *rest, **named):
        seen.append(x.clone())
        return torch.full_like(x, -0.5), None  # a dark grey, in [-1, 1]

    model.model.forward = given
    result = model(face)
    low, high = seen[0].min().item(), seen[0].max().item()
    side, grey = seen[0].shape[-1], result.mean().item()
    print(f"{network.__name__}: is given {side} px in [{low:.2f}, {high:.2f}]; its -0.5 comes back as {grey:.2f}")
    if right:
        assert (round(low, 1), round(high, 1), side, round(grey, 2)) == (-0.5, 0.5, 256, 0.25), "the behaviour has changed"
    else:
        mirrored = torch.equal(seen[0][..., :256, :256], face) and torch.equal(seen[0][..., 256, :256], face[..., 254, :])
        assert (round(low, 2), round(high, 2), side, grey) == (0.25, 0.75, 512, 0.0), "the behaviour has changed"
        assert mirrored, "the behaviour has changed"
PYTHON
