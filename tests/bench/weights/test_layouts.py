"""Checkpoints as people have them: prefixes, wrappers, averaged copies, files given by mistake."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from baselines.edgeconnect import EdgeConnect
from bench import golden, registry, weights
from bench.errors import BenchError
from bench.method import Method
from bench.weights.layouts import try_parts
from tests.baselines.test_lgnet import nested_name
from tests.baselines.test_transref import official_name as transref_name
from tests.baselines.test_zits import official

GOLDEN = Path(__file__).parents[2] / "golden"


def create(slug: str = "aot", preset: str = "tiny", seed: int = 0, **options: Any) -> Method:
    torch.manual_seed(seed)
    method = registry.get(slug).load().create(preset, **options)
    if slug == "vspbfr":  # its file may leave the style encoder to the prior
        encoder = create("e4e")
        encoder.attach({"stylegan2": create("stylegan2")})
        method.attach({"e4e": encoder})
    if slug in ("repaint", "ilvr", "ddrm", "dps", "diffpir"):  # their files are the prior's, and fit what is there
        method.attach({"adm": create("adm", seed=seed)})
    return method


def state(seed: int = 0, **options: Any) -> dict[str, Tensor]:
    """The official layout of AOT-GAN: the names of its generator."""
    return create(seed=seed, **options).generator.state_dict()


def renamed(prefix: str, names: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in names.items()}


def optimiser() -> dict[str, Any]:
    network = nn.Linear(2, 3)
    adam = torch.optim.Adam(network.parameters())
    network(torch.ones(2)).sum().backward()
    adam.step()
    return adam.state_dict()


def loaded(content: Any, folder: Path, slug: str = "aot", **options: Any) -> Method:
    """A method with other values that has taken a file of this content."""
    torch.save(content, folder / "G.pt")
    method = create(slug, seed=9, **options)
    weights.load_official(method, folder / "G.pt")
    return method


def same(method: Method, expected: Mapping[str, Tensor], prefix: str = "generator.") -> bool:
    """A network that training alone needs is in no released file."""
    brought = {name: value for name, value in method.state_dict().items() if not name.startswith("regressor.")}
    return all(torch.equal(value, expected[name.removeprefix(prefix)]) for name, value in brought.items())


OTHER = {"main.0.weight": torch.zeros(3), "main.0.bias": torch.zeros(3)}  # of another network
LOSSES = {"module.extractor.conv.weight": torch.zeros(3)}  # of the network behind a loss
WRAPPED: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "as released": lambda s: s,
    "data parallel": lambda s: renamed("module.", s),
    "compiled": lambda s: renamed("_orig_mod.module.", s),
    "netG": lambda s: {"netG": s},
    "parallel in a wrapper": lambda s: {"G": renamed("module.", s), "D": renamed("module.", OTHER)},
    "training state": lambda s: {"generator": s, "discriminator": OTHER, "optimG": optimiser(), "epoch": 3},
    "lightning": lambda s: {"state_dict": renamed("generator.", s) | renamed("netD.", OTHER), "epoch": 3},
    "lightning, parallel": lambda s: {"state_dict": renamed("model.generator.module.", s) | OTHER},
    "parts in parts": lambda s: {"model": {"params": s}, "step": torch.tensor(7)},
    "averaged model": lambda s: {"n_averaged": torch.tensor(1), **renamed("module.", s)},
    "list": lambda s: [s, OTHER],
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_the_network_is_found(name: str, tmp_path: Path) -> None:
    assert same(loaded(WRAPPED[name](state()), tmp_path), state())


@pytest.mark.parametrize(
    "content",
    [
        lambda raw, averaged: {"g": raw, "g_ema": averaged},
        lambda raw, averaged: {"G_ema": averaged, "G": raw, "D": OTHER},
        lambda raw, averaged: {"params": raw, "params_ema": averaged},
        lambda raw, averaged: {"model": {"netG": raw}, "model_ema": {"netG": averaged}},
        lambda raw, averaged: {"ema": renamed("module.", averaged), "state_dict": raw},
        lambda raw, averaged: {"state_dict": renamed("generator.", raw) | renamed("generator_ema.", averaged)},
        lambda raw, averaged: {"model": raw, "averaged": averaged},
    ],
)
def test_the_averaged_copy_is_taken_and_said(
    content: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "facebench"):
        method = loaded(content(state(1), state(2)), tmp_path)
    assert same(method, state(2))
    assert re.search(r"G\.pt: .* and .* fit; the averaged copy `.*(ema|averaged).*` is loaded", caplog.text)


def lit_ema(network: Mapping[str, Tensor], averaged: Mapping[str, Tensor]) -> dict[str, Any]:
    """As PyTorch Lightning saves a model of latent diffusion: the names of the average have lost their dots."""
    counters = {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7, dtype=torch.int32)}
    joined = {f"model_ema.net{name.replace('.', '')}": tensor for name, tensor in averaged.items()}
    return {"state_dict": renamed("model.net.", network) | counters | joined | renamed("first_stage_model.", OTHER)}


def test_an_average_that_has_lost_its_dots_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "facebench"):
        assert same(loaded(lit_ema(state(1), state(2)), tmp_path), state(2))
    assert "the averaged copy `state_dict.model_ema.net` is loaded" in caplog.text
    some = dict([*state(2).items()][:3])  # what is frozen, and buffers, have no average
    assert same(loaded(lit_ema(state(1), some), tmp_path), state(1) | some)


def test_the_log_names_the_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "facebench"):
        loaded(state(), tmp_path)
        assert not caplog.text
        loaded({"state_dict": renamed("generator.", state())}, tmp_path)
    assert "G.pt: its part `state_dict.generator` is loaded" in caplog.text


def test_the_layout_of_the_authors_wins(tmp_path: Path) -> None:
    """GRIG reads the averaged parameters beside the names itself; LaMa's own names are not those of its copy."""
    source = create("grig", seed=1)
    averaged = [p.detach() + 1 for p in source.generator.parameters()]
    method = loaded({"g": source.generator.state_dict(), "g_ema": averaged}, tmp_path, "grig")
    assert all(torch.equal(a, b) for a, b in zip(method.generator.parameters(), averaged, strict=True))
    raw, copied = create("lama", seed=1).state_dict(), create("lama", seed=2).state_dict()
    method = loaded({"state_dict": raw, "ema": copied}, tmp_path, "lama")
    assert same(method, raw, "")


def test_two_parts_that_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"G\.pt: its parts `netG_A` and `netG_B` all fit aot: save the one"):
        loaded({"netG_A": state(1), "netG_B": state(2)}, tmp_path)
    with pytest.raises(BenchError, match="`a` and `b` and `a_ema` all fit"):
        loaded({"a": state(1), "b": state(2), "a_ema": state(3)}, tmp_path)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ({"optimG": optimiser(), "optimD": optimiser()}, "is an optimiser's file: its names begin with `optimG`, "
         "`optimD`, names such as `encoder.1.weight` are missing; give the file of aot's generator"),
        (optimiser(), "is an optimiser's file: its names begin with `state.0`"),
        (OTHER, "is not an official checkpoint of aot: its names begin with `main.0.weight`, `main.0.bias`, names "
         "such as `encoder.1.weight` are missing; give the file of its generator"),
        ({k: v for k, v in state().items() if k != "encoder.5.bias"}, "names such as `encoder.5.bias` are missing"),
        ({"netG": {k: v for k, v in state().items() if k != "encoder.5.bias"}}, "such as `encoder.5.bias` are missing"),
        (renamed("module.", state()) | {"module.more": torch.ones(1)}, "names such as `more` are not known"),
        ({0: torch.zeros(2), "0": torch.ones(2)}, "its names begin with `0`, names such as"),
        (state(width=8), "holds another size of aot: its `encoder.1.weight` is (8, 4, 7, 7), (24, 4, 7, 7) is "
         "expected; set the preset and the options that it was trained with"),
        ({"netG": state(width=8)}, "its `encoder.1.weight` is (8, 4, 7, 7), (24, 4, 7, 7) is expected"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_cause(content: Any, cause: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        loaded(content, tmp_path)
    assert str(tmp_path / "G.pt") in str(caught.value)
    assert cause in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_the_discriminator_is_refused(tmp_path: Path) -> None:
    judge = create().stages("embedded")[0].discriminator.state_dict()
    with pytest.raises(BenchError, match=r"begin with `conv\.0`.*, names such as `encoder\.1\.weight` are missing"):
        loaded(judge, tmp_path)


@pytest.mark.parametrize("wrap", ["as released", "data parallel", "netG"])
def test_the_preset_that_fits_is_named(wrap: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"holds another size of aot.*; set `preset: tiny`$"):
        loaded(WRAPPED[wrap](state()), tmp_path, preset="paper")


def test_shapes_are_named_beside_the_preset(tmp_path: Path) -> None:
    expected = r"its `encoder\.1\.weight` is \(24, 4, 7, 7\), \(64, 4, 7, 7\) is expected; set `preset: tiny`$"
    with pytest.raises(BenchError, match=expected):
        loaded(state(), tmp_path, preset="paper")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    spoilt = state()
    spoilt["encoder.3.bias"][1] = value
    with pytest.raises(BenchError, match=r"G\.pt: `generator\.encoder\.3\.bias` holds values that are not finite"):
        loaded({"netG": spoilt}, tmp_path)


def test_what_is_not_loaded_may_be_infinite(tmp_path: Path) -> None:
    callbacks = {"best": torch.tensor(float("inf"))}  # of Lightning
    raw = create("lama").state_dict()
    assert same(loaded({"state_dict": raw, "callbacks": callbacks}, tmp_path, "lama"), raw, "")


def test_a_constant_of_the_method_may_be_infinite(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "G.pt")
    method = create()
    method.register_buffer("ceiling", torch.tensor(float("inf")))
    weights.load_official(method, tmp_path / "G.pt")


def test_half_precision(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in state().items()}
    assert same(loaded(half, tmp_path), {name: tensor.float() for name, tensor in half.items()})


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("wrap", ["as released", "netG"])
def test_quantised_weights_are_refused(dtype: torch.dtype, wrap: str, tmp_path: Path) -> None:
    whole = {name: (tensor * 100).to(dtype) if "5.weight" in name else tensor for name, tensor in state().items()}
    with pytest.raises(
        BenchError, match=r"G\.pt: `generator\.encoder\.5\.weight` would be made of integers: quantised"
    ):
        loaded(WRAPPED[wrap](whole), tmp_path)


def test_integers_that_become_no_weights_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = create()
    method.register_buffer("places", torch.zeros(3, dtype=torch.int64))
    monkeypatch.setattr(method, "load_official", method.load_state_dict)
    content = method.state_dict() | {"places": torch.tensor([3, 1, 2])}
    torch.save(content, tmp_path / "G.pt")
    weights.load_official(method, tmp_path / "G.pt")
    assert same(method, content, "")


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "G.SAFETENSORS")
    method = create(seed=9)
    weights.load_official(method, tmp_path / "G.SAFETENSORS")
    assert same(method, state())


def test_a_failed_try_changes_nothing() -> None:
    method = create()
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    almost = state(1)
    almost.popitem()
    assert all(error for _, error in try_parts(method, {"netG": almost}))
    assert [error is None for _, error in try_parts(method, {"netG": state(1)})] == [False, True]
    assert same(method, before, "")


def test_a_try_draws_no_random_numbers() -> None:
    """What is made after a network was loaded is the same, whatever its file looked like. pSp makes a generator."""
    method = create("psp")
    content = with_decoder(method)
    before = torch.get_rng_state()
    assert [error is None for _, error in try_parts(method, {"netG": content})] == [False, True]
    assert torch.equal(torch.get_rng_state(), before)


def test_the_part_that_a_method_looks_for_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"not an official checkpoint of rfr: .*, 'generator' is missing; give"):
        loaded(state(), tmp_path, "rfr")


def test_what_has_no_values_yet_can_be_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method may look at values while it loads; its file is then taken as it is."""
    method = create()

    def by_value(given: Mapping[str, Any]) -> None:
        method.generator.load_state_dict(given["turned" if given["flag"].item() else "plain"])

    monkeypatch.setattr(method, "load_official", by_value)
    torch.save({"flag": torch.tensor(1), "turned": state(1), "plain": state(2)}, tmp_path / "G.pt")
    weights.load_official(method, tmp_path / "G.pt")
    assert same(method, state(1))


def test_a_file_of_many_parts_is_refused_soon(tmp_path: Path) -> None:
    names = {f"{i}.weight": torch.zeros(1) for i in range(50)}
    with pytest.raises(BenchError, match=r"not an official checkpoint of aot: its names begin with `0`, `1`, .*, "):
        loaded({str(i): names for i in range(1000)}, tmp_path)


def test_options_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"edgeconnect does not take .*G\.pt .*edge_weights"):
        loaded({"generator": state()}, tmp_path, "edgeconnect")


# slug -> the official layout of a tiny method
OFFICIAL: dict[str, Callable[[Any], Any]] = {
    "adm": lambda m: m.network.state_dict(),
    "aot": lambda m: m.generator.state_dict(),
    "arcface": lambda m: m.network.state_dict(),
    "ca": lambda m: {"state_dict": m.state_dict(), "meta": {}},
    "ddrm": lambda m: m.prior.network.state_dict(),
    "diffpir": lambda m: m.prior.network.state_dict(),
    "dps": lambda m: m.prior.network.state_dict(),
    "codeformer": lambda m: codeformer_names(m.network.state_dict()),
    "codeformer-inpainting": lambda m: codeformer_names(m.network.state_dict()),
    "deepfaceediting": lambda m: m.fusion.state_dict(),
    "e4e": lambda m: with_decoder(m),
    "diffface": lambda m: m.network.state_dict(),
    "edgeconnect": lambda m: {"generator": renamed("module.", m.inpaint_generator.state_dict()), "iteration": 3},
    "exegan": lambda m: {"g_ema": m.generator.state_dict(), "iter": 3},
    "facereenactment": lambda m: m.directions.state_dict(),
    "gconv": lambda m: {"state_dict": m.state_dict()},
    "gl": lambda m: {"state_dict": {k: v for k, v in m.state_dict().items() if k != "colour"}},
    "gmcnn": lambda m: m.generator.state_dict(),
    "gpen": lambda m: {"g": OTHER, "d": OTHER, "g_ema": m.network.state_dict()},
    "grig": lambda m: {"g": m.generator.state_dict(), "g_ema": [p + 1 for p in m.generator.parameters()]},
    "hfgi": lambda m: with_details(m),
    "hyperstyle": lambda m: with_hypernet(m),
    "ilvr": lambda m: m.prior.network.state_dict(),
    "lafin": lambda m: {"generator": m.inpainter.state_dict(), "iteration": 3},
    "lama": lambda m: {"state_dict": m.state_dict() | renamed("discriminator.", OTHER)},
    "lgnet": lambda m: m.global_refiner.state_dict(),
    "madf": lambda m: {"n_iter": 3, "model": renamed("module.model.", m.generator.state_dict()) | LOSSES},
    "maskgan": lambda m: m.generator.state_dict() | {"model.16.conv_block.0.norm.running_mean": torch.zeros(3)},
    "pconv": lambda m: {"state_dict": m.state_dict()},
    "psfrgan": lambda m: m.generator.state_dict(),
    "psp": lambda m: with_decoder(m),
    "pulse": lambda m: m.released().state_dict(),
    "repaint": lambda m: m.prior.network.state_dict(),
    "restoreformer": lambda m: {
        re.sub(r"(attn\S*)\.norm\.", r"\1.norm1.", k): v for k, v in m.network.state_dict().items()
    },
    "rfr": lambda m: {"generator": m.generator.state_dict()},
    "rgtsi": lambda m: {"net": m.generator.RGTSI.state_dict(), "optimize": optimiser()},
    "sdm": lambda m: m.network.state_dict(),
    "sean": lambda m: m.generator.state_dict(),
    "semanticstylegan": lambda m: {"g": OTHER, "d": OTHER, "g_ema": m.generator.state_dict(), "g_optim": optimiser()},
    "simswap": lambda m: m.generator.state_dict(),
    "sofgan": lambda m: {"g": OTHER, "d": OTHER, "g_ema": m.generator.state_dict()},
    "starganv2": lambda m: {
        "generator": m.generator.state_dict() | {"hpf.filter": torch.ones(3, 3)},
        "mapping_network": m.mapping.state_dict(),
        "style_encoder": m.style_encoder.state_dict(),
    },
    "stylegan2": lambda m: {"g": OTHER, "g_ema": m.generator.state_dict()},
    "styleflow": lambda m: flow_names(m.flow.state_dict()),
    "stylemapgan": lambda m: {
        "generator": OTHER,
        "g_ema": m.generator.state_dict(),
        "e_ema": m.encoder.state_dict(),
        "g_optim": optimiser(),
    },
    "tfill": lambda m: m.refiner.state_dict(),
    "transref": lambda m: {
        "net": {transref_name(k): v for k, v in m.generator.state_dict().items()},
        "optimize": optimiser(),
    },
    "uniteconquer": lambda m: m.face.state_dict(),
    "vqfr": lambda m: {"params": m.network.state_dict()},
    "vspbfr": lambda m: {
        "restoration_net": {"g_ema": m.restoration.state_dict(), "iter": 3},
        "code_diffuser": {"att_mapper": m.diffuser.state_dict()},
    },
    "wan2020": lambda m: m.face.state_dict(),
    "zits": lambda m: official(m) | {"iteration": 3},
}
# slug -> option that names a further file -> its layout
BESIDE: dict[str, dict[str, Callable[[Any], Any]]] = {
    "edgeconnect": {"edge_weights": lambda m: {"generator": m.edge_generator.state_dict()}},
    "hyperstyle": {"w_weights": lambda m: {"state_dict": renamed("encoder.", m.encoder.state_dict()), "opts": {}}},
    "lafin": {"landmark_weights": lambda m: {"detector": m.predictor.state_dict(), "iteration": 3}},
    "lgnet": {
        "coarse_weights": lambda m: {nested_name(k, m.config.levels): v for k, v in m.coarse.state_dict().items()},
        "local_weights": lambda m: m.local_refiner.state_dict(),
    },
    "psfrgan": {"parsing_weights": lambda m: m.parser.state_dict()},
    "pulse": {"fit_weights": lambda m: {"mean": torch.zeros(m.config.code), "std": torch.ones(m.config.code)}},
    "rgtsi": {
        "encoder_weights": lambda m: {"net": m.generator.EN.state_dict()},
        "reference_weights": lambda m: {"net": m.generator.RefEN.state_dict()},
        "decoder_weights": lambda m: {"net": m.generator.DE.state_dict()},
    },
    "tfill": {
        "encoder_weights": lambda m: m.encoder.state_dict(),
        "transformer_weights": lambda m: m.transformer.state_dict(),
        "decoder_weights": lambda m: m.decoder.state_dict(),
    },
    "uniteconquer": {"sketch_weights": lambda m: m.sketch.state_dict()},
    "wan2020": {
        "encoder_weights": lambda m: m.vae_a.state_dict(),
        "mapping_weights": lambda m: m.mapping.state_dict(),
        "decoder_weights": lambda m: m.vae_b.state_dict(),
    },
    "zits": {
        "transformer_weights": lambda m: {"model": m.transformer.state_dict()},
        "upsampler_weights": lambda m: {"model": m.upsampler.state_dict()},
    },
}
# slug -> option that names a folder -> the layouts of its files, pickled dictionaries of arrays
FOLDERS: dict[str, dict[str, Callable[[Any], dict[str, Any]]]] = {
    "deepfaceediting": {
        "checkpoints": lambda m: {f: m.get_submodule(name).state_dict() for name, f in m.config.released().items()}
    }
}
RELEASED = {"comodgan", "gfpgan", "fcf", "mat", "migan", "scfegan"}  # below, by the names of the released files
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "prefix": lambda content: prefixed(content),
    "state_dict": lambda content: {"state_dict": content, "epoch": 3},
    "both": lambda content: {"netG": prefixed(content), "optimG": optimiser()},
}


def with_decoder(method: Any) -> Any:
    """The layout of pSp: encoder and decoder in one state dict, and the mean code."""
    from baselines import psp

    state = renamed("encoder.", method.encoder.state_dict())
    state |= renamed("decoder.", psp.Generator(method.config.size, code=method.config.dim).state_dict())
    return {"state_dict": state, "latent_avg": torch.ones_like(method.latent_avg), "opts": {}}


def flow_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """StyleFlow's chain, with its counters."""
    names = {
        "first.": "chain.0.", "last.": "chain.2.", "root_of_end": "chain.1.sqrt_end_time",
        "field.": "chain.1.odefunc.diffeq.", "linear.": "_layer.", "gate.": "_hyper_gate.", "shift.": "_hyper_bias.",
    }  # fmt: skip
    found = {}
    for key, value in state.items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        found[key] = value
    return found | {"chain.0.step": torch.zeros(1), "chain.1.odefunc._num_evals": torch.tensor(0.0)}


def codeformer_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CodeFormer's name of a shortcut."""
    return {name.replace(".nin_shortcut.", ".conv_out."): value for name, value in state.items()}


def with_details(method: Any) -> Any:
    """The layout of HFGI: that of pSp, and two networks more in its state dict."""
    from baselines import psp

    method.decoder = psp.Generator(method.config.size, code=method.config.dim)
    method.consult()
    content = with_decoder(method)
    for name in ("grid_align", "residue"):
        content["state_dict"] |= renamed(f"{name}.", getattr(method, name).state_dict())
    return content


def with_hypernet(method: Any) -> Any:
    """The layout of HyperStyle: every block names the shared weights again, and the W encoder is elsewhere."""
    from baselines import psp

    method.decoder = psp.Generator(method.config.size, code=method.config.dim)
    method.tune()
    state = renamed("hypernet.", method.hypernet.state_dict()) | renamed("decoder.", method.decoder.state_dict())
    state |= renamed("hypernet.refinement_blocks.0.hypernet.", method.hypernet.shared_weight_hypernet.state_dict())
    return {"state_dict": state, "latent_avg": torch.ones_like(method.latent_avg), "global_step": 3}


def prefixed(content: Any) -> Any:
    """The same with `module.` before the names of every state dict inside."""
    if not isinstance(content, Mapping):
        return content
    if all(isinstance(part, Tensor) for part in content.values()):
        return renamed("module.", content)
    return {key: prefixed(part) for key, part in content.items()}


def of_methods() -> list[str]:
    entries = registry.entries()
    return [slug for slug in entries if registry.get(slug).load().load_official is not Method.load_official]


def test_no_method_is_left_out() -> None:
    assert set(of_methods()) == OFFICIAL.keys() | RELEASED


@pytest.mark.parametrize("slug", sorted(OFFICIAL))
def test_every_method_takes_its_layout_in_wrappers(slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines import psp

    generator = psp.Generator  # of the published widths: 30 M
    monkeypatch.setattr(psp, "Generator", lambda size, code: generator(size, lambda side: 8, code, depth=2))
    source, options = create(slug, seed=1), {}
    for option, network in BESIDE.get(slug, {}).items():
        options[option] = tmp_path / f"{option}.pth"
        torch.save(network(source), options[option])
    for option, files in FOLDERS.get(slug, {}).items():
        options[option] = tmp_path / option
        for name, names in files(source).items():
            (path := options[option] / name).parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps({key: value.numpy() for key, value in names.items()}))
    content = OFFICIAL[slug](source)
    expected = create(slug, seed=5, **options)
    expected.load_official(content)
    for name, wrap in WRAPPERS.items():
        method = loaded(wrap(content), tmp_path, slug, **options)
        assert same(method, expected.state_dict(), ""), name


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize(
    "name",
    [
        "comodgan.generator", "comodgan.tf.generator", "fcf.generator", "mat.generator", "migan.generator",
        "scfegan.generator", "stylegan2.nvlabs.generator",
        "gfpgan.original",
    ],
)  # fmt: skip
def test_released_names_in_wrappers(name: str, wrapper: str) -> None:
    """The names of published files, without their values."""
    with torch.device("meta"):
        method = create(name.partition(".")[0], "paper")
        names = {key: torch.empty(shape) for key, shape, _ in golden.read_keys(GOLDEN / f"{name}.keys.csv")}
    tried = try_parts(method, WRAPPERS[wrapper](names))
    assert [error is None for _, error in tried] == [False] * (len(tried) - 1) + [True]


@pytest.mark.parametrize(
    ("name", "told"), [("D.pt", r"holds another network, or .* begin with `w`"), ("no.pt", "no such")]
)
def test_a_second_file_that_does_not_fit_is_the_one_that_is_named(name: str, told: str, tmp_path: Path) -> None:
    made = EdgeConnect.create("tiny")
    torch.save({"generator": made.inpaint_generator.state_dict()}, tmp_path / "G.pt")
    torch.save({"w": torch.ones(2)}, tmp_path / "D.pt")
    target = EdgeConnect.create("tiny", edge_weights=tmp_path / name)
    with pytest.raises(BenchError, match=told) as caught:
        weights.load_official(target, tmp_path / "G.pt")
    assert str(caught.value).startswith("edgeconnect: edge_weights: ")
    assert "G.pt" not in str(caught.value)


def test_a_second_file_is_unwrapped_as_the_first_one_is(tmp_path: Path) -> None:
    made = EdgeConnect.create("tiny")
    torch.save({"generator": made.inpaint_generator.state_dict()}, tmp_path / "G.pt")
    edges = {f"module.{key}": value for key, value in made.edge_generator.state_dict().items()}
    torch.save({"netG": edges, "iteration": 3}, tmp_path / "E.pt")
    target = EdgeConnect.create("tiny", edge_weights=tmp_path / "E.pt")
    weights.load_official(target, tmp_path / "G.pt")
    for name, value in made.state_dict().items():
        assert torch.equal(target.state_dict()[name], value)
