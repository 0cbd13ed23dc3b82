"""TransRef: its names and layers, what the published columns count, stochastic depth, sizes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from baselines.transref import TransRef, our_name
from baselines.transref.networks import Attention, Block
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.profile import count_by_thop

GOLDEN = Path(__file__).parents[1] / "golden"


def create(preset: str = "tiny", **options) -> TransRef:
    torch.manual_seed(0)
    return TransRef.create(preset, **options)


def official_name(name: str) -> str:
    """The authors' name of a parameter."""
    found = re.fullmatch(r"Tenc\.stages\.(\d)\.([^.]+?)(_ref)?(\..*)", name)
    return f"Tenc.{found[2]}{int(found[1]) + 1}{found[3] or ''}{found[4]}" if found else name


def test_names_are_those_of_the_authors() -> None:
    names = [key for key, _, _ in golden.read_keys(GOLDEN / "transref.generator.keys.csv")]
    assert [official_name(our_name(name)) for name in names] == names
    with torch.device("meta"):
        ours = create("paper").generator.state_dict()
    assert {our_name(name) for name in names} == set(ours)


def test_checkpoints_are_taken_with_and_without_their_wrapper() -> None:
    state = {official_name(name): value for name, value in create().generator.state_dict().items()}
    for content in (state, {"net": state, "optimize": {}}):
        torch.manual_seed(1)
        target = TransRef.create("tiny")
        target.load_official(content)
        ours = target.generator.state_dict()
        assert all(torch.equal(value, ours[our_name(name)]) for name, value in state.items())


def test_the_published_columns_come_out_by_their_rule() -> None:
    method = create("paper").eval()
    with torch.device("meta"):
        method.to("meta")
        given = torch.empty(1, 6, 256, 256), torch.empty(1, 3, 256, 256)
        assert count_by_thop(lambda: method.generator(*given), method) == (41_973_555, 7_548_888_064)


def test_four_layers_are_never_called() -> None:
    method, called = create().eval(), set()
    network = method.generator
    for name, layer in network.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda *_, name=name: called.add(official_name(name)))
    image = torch.zeros(1, 3, 64, 64)
    method.complete(Batch(image, image[:, :1], {"exemplar": image}), Noise([0]))
    never = {official_name(n) for n, p in network.named_modules() if not list(p.children())} - called
    assert {name.rpartition(".")[0] for name in never} == {
        "Tenc.patch_embed4_ref", "Tenc.mini_patch_embed4", "Tenc.mini_patch_embed4_ref", "convtail.conv_output",
    }  # fmt: skip


def test_attention_reads_keys_and_values_of_a_smaller_map() -> None:
    """By its definition: two heads, a map of 4 x 6 made to 2 x 3."""
    torch.manual_seed(0)
    layer = Attention(8, 2, 2).double()
    x, source = torch.randn(2, 1, 24, 8, dtype=torch.float64)
    smaller = layer.norm(layer.sr(source.transpose(1, 2).reshape(1, 8, 4, 6)).flatten(2).transpose(1, 2))
    q, (k, v) = layer.q(x)[0], layer.kv(smaller)[0].split(8, dim=1)
    heads = [slice(0, 4), slice(4, 8)]
    found = torch.cat([(q[:, h] @ k[:, h].T / 2).softmax(1) @ v[:, h] for h in heads], dim=1)
    torch.testing.assert_close(layer(x, source, torch.Size((4, 6)))[0], layer.proj(found))


def test_stochastic_depth_leaves_out_images_in_training_alone() -> None:
    torch.manual_seed(0)
    block, x = Block(8, 2, 2, 1, drop=0.5), torch.randn(64, 8, 4, 4)
    whole = block.eval()(x)
    kept = block.train().kept(x)
    assert set(kept.flatten().tolist()) == {0.0, 2.0}
    changed = (block(x) - x).flatten(1).abs().amax(1) > 0
    assert 0.5 < changed.float().mean() < 1  # at least one of two halves
    assert torch.equal(block.eval()(x), whole)


def test_rates_of_stochastic_depth_rise() -> None:
    network = create("paper").generator
    rates = [block.drop.p for stage in network.Tenc.stages for block in stage.block]
    assert rates == pytest.approx([0.1 * n / 7 for n in range(8)])
    assert [stage.patch_block[0].drop.p for stage in network.Tenc.stages[:3]] == rates[:6:2]
    assert [block.drop.p for block in network.Tdec.block1] == pytest.approx([0, 0.1 / 15, 0.2 / 15])


def test_images_of_other_sizes_are_refused() -> None:
    given = Batch(torch.zeros(1, 3, 64, 80), torch.zeros(1, 1, 64, 80), {"exemplar": torch.zeros(1, 3, 64, 80)})
    with pytest.raises(BenchError, match="multiples of 32 from 64 on, not 64 x 80"):
        create().complete(given, Noise([0]))
