"""DivInversion: two passes, several completions of one hole, and stages that train one pass each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.divinv import DivInv
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from methods.hierinv import HierInv


def create(**options: object) -> DivInv:
    torch.manual_seed(0)
    method = DivInv.create("tiny", **options)
    method.attach({"stylegan2": StyleGAN2.create("tiny")})
    return method.eval()


def batch(count: int = 2) -> Batch:
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1, mask)


def test_the_first_image_enters_the_second_pass_beside_what_is_given() -> None:
    method, seen = create(), []
    method.encoder2.input_layer.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    given = batch()
    with torch.no_grad():
        first, second = method.steps(given, Noise([0, 1]))
    assert torch.equal(seen[0][:, :3].clamp(-1, 1), first)
    assert torch.equal(seen[0][:, 3:], torch.cat([given.masked, 1 - given.mask], dim=1))
    assert not torch.equal(first, second)


def test_both_passes_have_the_same_noise_in_all_completions() -> None:
    method, seen = create(), []
    method.decoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[1]))
    with torch.no_grad():
        for seeds in ([0, 1], [2, 3]):
            method.complete(batch(), Noise(seeds))
    assert len(seen) == 4
    assert all(torch.equal(a, b) for maps in seen[1:] for a, b in zip(maps, seen[0], strict=True))
    assert seen[0][-1].shape == (1, 1, 64, 64) and float(seen[0][-1].std()) > 0.9


def test_another_code_gives_another_face_in_both_passes() -> None:
    method = create()
    with torch.no_grad():
        pairs = zip(method.steps(batch(), Noise([0, 1])), method.steps(batch(), Noise([2, 3])), strict=True)
        assert all((a - b).abs().mean() > 1e-5 for a, b in pairs)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("First Stage", "DivInversion - First Stage"), ("Two Stage", "DivInversion - Two Stage")]
)
def test_it_is_the_row_of_hierinv(ours: str, theirs: str) -> None:
    """HierInv's table 2 has DivInversion as an ablation: the same networks, images and losses."""
    torch.manual_seed(0)
    prior, row = StyleGAN2.create("tiny"), HierInv.create("tiny", theirs)
    row.attach({"stylegan2": prior})
    method = DivInv.create("tiny", ours)
    method.attach({"stylegan2": prior})
    method.load_state_dict(row.state_dict())
    with torch.no_grad():
        expected = row.eval().complete(batch(), Noise([0, 1])).clamp(-1, 1)
        assert torch.equal(method.eval().complete(batch(), Noise([0, 1])), expected)
    names = [[(type(stage), stage.name, stage.share) for stage in one.stages("embedded")] for one in (row, method)]
    assert names[0] == names[1]


def test_hierinvs_parts_are_no_options() -> None:
    for option in ({"mixing": "hierarchical"}, {"space": "w+f+"}):
        with pytest.raises(BenchError, match=f"divinv: options.{next(iter(option))}"):
            DivInv.create("tiny", **option)


def test_a_prior_of_another_size_is_refused_in_its_own_name() -> None:
    with pytest.raises(BenchError, match="divinv is set to 32 px and codes of 64, its prior stylegan2 makes 64 px"):
        create(size=32)


@pytest.mark.slow
def test_the_large_golden_file_passes(shared: Path) -> None:
    """It fills 300 million weights in double precision, so its copy is not among the tests' own files."""
    known = {"divinv": ("divinv", DivInv.golden["divinv"])}
    result = golden.check(shared / "golden" / "divinv.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
