"""Label agreement."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import weights
from bench.data.dataset import prepare_synthfaces
from bench.data.guides.semantics import maps
from bench.metrics import extractors, measure
from bench.metrics.parsing import agreement
from bench.nn.faceparsing import BiSeNet


def test_it_is_the_mean_over_the_classes_of_the_truth() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randint(0, 5, (4, 8, 8), generator=generator).byte() for _ in range(2))
    masks = torch.zeros(4, 1, 16, 16, dtype=torch.bool)
    masks[:3, :, 2:12, 4:9] = True  # 5 x 3 places: the last ones are hole for a half, and count
    found = agreement({"parsing": ours}, {"parsing": theirs}, masks)
    for i in range(3):
        a, b = ours[i, 1:6, 2:5].flatten().tolist(), theirs[i, 1:6, 2:5].flatten().tolist()
        both = {c: sum(x == y == c for x, y in zip(a, b, strict=True)) for c in set(b)}
        either = {c: sum(c in pair for pair in zip(a, b, strict=True)) for c in set(b)}
        assert float(found[i]) == pytest.approx(sum(both[c] / either[c] for c in both) / len(both))
    assert found[3].isnan()
    assert agreement({"parsing": theirs}, {"parsing": theirs}, None).tolist() == [1, 1, 1, 1]


def test_the_embedded_parser_sees_what_was_drawn(tmp_path: Path) -> None:
    faces = prepare_synthfaces(20, 64, 0, tmp_path)
    seen = extractors.load("embedded")(faces.images(range(20)))["parsing"]
    drawn = maps(faces, range(20))
    assert drawn is not None and seen.shape == (20, 32, 32)
    found = agreement({"parsing": seen}, {"parsing": drawn[:, ::2, ::2]}, None)
    chance = agreement({"parsing": seen.roll(1, 0)}, {"parsing": drawn[:, ::2, ::2]}, None)
    assert found.mean() > 0.55
    assert chance.mean() < 0.35


def test_labels_of_the_official_parser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(BiSeNet().state_dict(), tmp_path / "79999_iter.pth")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "79999_iter.pth")
    first, second = torch.randint(0, 256, (2, 1, 3, 64, 64), dtype=torch.uint8)
    hole = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    assert measure(first, first, hole, "miou@faceparsing").value("miou@faceparsing") == 1
    found = measure(first, second, hole, "miou@faceparsing").row("miou@faceparsing")
    assert 0 <= found["value"] < 1
    assert found["extractor"].startswith("bisenet-512-")
