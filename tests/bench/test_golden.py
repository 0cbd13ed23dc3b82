"""The golden check: passes on right networks, fails on wrong ones, and says how far off they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from baselines.aot import AOTGAN, Discriminator
from bench import cli, golden, registry

FOLDER = Path(__file__).parents[1] / "golden"
CHECKED = [name for name in registry.golden() if (FOLDER / f"{name}.npz").exists()]


@pytest.mark.parametrize("name", CHECKED)
def test_golden_files_pass(name: str) -> None:
    result = golden.check(FOLDER / f"{name}.npz", FOLDER, registry.golden())
    assert result.passed, golden.line(result)


def test_every_golden_file_is_of_a_network_here() -> None:
    files = {path.stem for path in FOLDER.glob("*.npz")}
    networks = {name for name in files if (FOLDER / f"{name}.keys.csv").exists()}
    assert networks <= set(registry.golden())


def changed(path: Path, **outputs: np.ndarray) -> None:
    with np.load(FOLDER / "aot.discriminator.npz") as archive:
        content = {name: archive[name] for name in archive.files}
    np.savez_compressed(path, **(content | outputs))


def test_a_deviation_fails_and_is_printed(tmp_path: Path) -> None:
    with np.load(FOLDER / "aot.discriminator.npz") as archive:
        values = archive["out_logits_eval"]
    changed(tmp_path / "aot.discriminator.npz", out_logits_eval=values + 1e-4 * values.std())
    arguments = ["verify", "golden", str(tmp_path), "--keys", str(FOLDER)]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 1
    assert "FAIL" in result.output
    assert "at logits_eval" in result.output


def other_inputs(slug: str, path: Path, seed: int) -> None:
    """A golden file of ours: another seed, and weights filled with another gain."""
    file, (_, known) = golden.File.load(FOLDER / f"{slug}.npz"), registry.golden()[slug]
    rule = {**file.rule, "gain": 0.8 * file.rule["gain"]}
    network = known.build().double().eval()
    known.load(network, golden.checkpoint(golden.key_list(FOLDER, slug), rule))
    with torch.no_grad():
        outputs = {name: value.numpy() for name, value in known.run(network, golden.Inputs(seed)).items()}
    meta = {
        "seed": seed, "rule": rule, "dtype": file.dtype, "params": file.params, "macs": file.macs,
        "stats": {k: [float(f(v)) for f in (np.mean, np.std, np.min, np.max)] for k, v in outputs.items()},
        "shapes": {name: value.shape for name, value in outputs.items()},
    }  # fmt: skip
    stored = {
        f"out_{k}": v[tuple(slice(None, None, golden.STRIDE if n >= 64 else None) for n in v.shape)]
        for k, v in outputs.items()
    }
    np.savez_compressed(path, meta=np.array(json.dumps(meta)), **stored)


@pytest.mark.parametrize("slug", ["aot.discriminator", "hierinv.mapping"])
def test_golden_files_with_other_inputs_pass_and_notice_a_changed_weight(slug: str, tmp_path: Path) -> None:
    path = tmp_path / f"{slug}.npz"
    other_inputs(slug, path, seed=5)
    arguments = ["verify", "golden", str(tmp_path), "--keys", str(FOLDER)]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    recorded, ours = golden.File.load(FOLDER / f"{slug}.npz"), golden.File.load(path)
    assert not any(np.allclose(value, recorded.outputs[name]) for name, value in ours.outputs.items())

    method, known = registry.golden()[slug]

    def load(network: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
        known.load(network, state)
        weight = next(p for name, p in network.named_parameters() if "weight" in name)
        with torch.no_grad():
            weight.view(-1)[0] += 0.1

    result = golden.check(path, FOLDER, {slug: (method, replace(known, load=load))})
    assert not result.passed and not result.error


@pytest.mark.parametrize("slug", ["aot.discriminator", "hierinv.mapping"])
def test_a_renamed_key_fails(slug: str, tmp_path: Path) -> None:
    head, first, *rest = golden.key_list(FOLDER, slug).read_text().splitlines()
    (tmp_path / f"{slug}.keys.csv").write_text("\n".join([head, first.replace("weight", "renamed", 1), *rest]))
    result = golden.check(FOLDER / f"{slug}.npz", tmp_path, registry.golden())
    assert not result.passed
    assert "renamed" in result.error


def test_wrong_counts_fail(tmp_path: Path) -> None:
    with np.load(FOLDER / "aot.discriminator.npz") as archive:
        meta = json.loads(str(archive["meta"]))
    meta["params"]["discriminator"] += 1
    changed(tmp_path / "aot.discriminator.npz", meta=np.array(json.dumps(meta)))
    result = golden.check(tmp_path / "aot.discriminator.npz", FOLDER, registry.golden())
    assert not result.passed
    assert "(recorded: 2,763,778)" in golden.line(result)


def test_a_checkpoint_with_a_key_too_many_fails(tmp_path: Path) -> None:
    keys = (FOLDER / "aot.discriminator.keys.csv").read_text() + "conv.99.weight,3x3,param\n"
    (tmp_path / "aot.discriminator.keys.csv").write_text(keys)
    result = golden.check(FOLDER / "aot.discriminator.npz", tmp_path, registry.golden())
    assert not result.passed
    assert "conv.99.weight" in result.error


def test_unknown_networks_are_not_implemented(tmp_path: Path) -> None:
    changed(tmp_path / "nobody.npz")
    arguments = ["verify", "golden", str(tmp_path), "--keys", str(FOLDER)]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 1
    assert "nobody: not implemented" in result.output
    assert CliRunner().invoke(cli.app, [*arguments, "--implemented"]).exit_code == 0


def test_only_takes_the_parts_of_a_method() -> None:
    names = [path.stem for path in golden.files(FOLDER, ["aot"])]
    assert names == ["aot.discriminator", "aot"] or names == ["aot", "aot.discriminator"]


def test_filling_is_by_name_and_shape_alone() -> None:
    rule = {"gain": 2.0, "unit": r"^free", "const": {"^fixed": 3.0}}
    assert (golden.fill("fixed.x", (2, 2), rule) == 3).all()
    assert golden.fill("a.num_batches_tracked", (), rule) == 0
    assert np.linalg.norm(golden.fill("a.weight_u", (9,), rule)) == pytest.approx(1)
    assert np.abs(golden.fill("a.bias", (1000,), rule)).max() < 1
    assert golden.fill("a.weight", (1000,), rule).mean() == pytest.approx(1, abs=0.02)
    assert golden.fill("conv.weight", (64, 100), rule).std() == pytest.approx(0.2, rel=0.05)
    assert golden.fill("free.weight", (64, 100), rule).std() == pytest.approx(1, rel=0.05)
    assert (golden.fill("a.weight", (3, 3), rule) == golden.fill("a.weight", (3, 3), rule)).all()


def test_aot_releases_load_from_a_file(tmp_path: Path) -> None:
    """The official layout: a plain state dict, saved by torch."""
    from bench import weights

    state = golden.checkpoint(FOLDER / "aot.generator.keys.csv", {"gain": 1.0, "unit": None, "const": {}})
    torch.save(state, tmp_path / "G0000000.pt")
    method = AOTGAN.create()
    method.load_official(weights.read(tmp_path / "G0000000.pt"))
    loaded = method.generator.state_dict()["encoder.1.weight"]
    assert torch.equal(loaded.double(), state["encoder.1.weight"].float().double())
    assert "conv.0.weight_orig" in Discriminator(64).state_dict()
