"""DeepFaceEditing: released names and files, where parts lie, what gives geometry and style, what each stage trains."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.deepfaceediting import DeepFaceEditing, drawn, read
from baselines.deepfaceediting.networks import NORMS, AdaIN, GeometryEncoder, PartGenerator, Translator
from baselines.deepfaceediting.parts import PARTS, box, cut, joined
from baselines.deepfaceediting.training import DrawingStage, WholeStage
from bench import golden, weights
from bench.batch import Batch, Noise
from bench.errors import BenchError
from bench.nn.translator import ResidualBlock
from tests.test_methods import batch

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> DeepFaceEditing:
    torch.manual_seed(0)
    return DeepFaceEditing.create("tiny", **options)


def complete(method: DeepFaceEditing, given: Batch) -> Tensor:
    with torch.no_grad():
        return method.eval().complete(given, Noise([0] * len(given)))


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("sketch_encoder", lambda: GeometryEncoder(64, 4, 1, NORMS["instance"])),
        ("image_encoder", lambda: GeometryEncoder(64, 4, 6, NORMS["instance"])),
        ("generator", lambda: PartGenerator(64, 4, 4, 16, 5)),
        ("global_fuse", lambda: Translator(64, 64, 4, 4, NORMS["instance"])),
        ("sketch_generator", lambda: Translator(3, 32, 4, 9, NORMS["instance"])),
    ],
)
def test_the_released_names_fit(name: str, build: Any) -> None:
    with torch.device("meta"):
        names = {key: tuple(value.shape) for key, value in build().state_dict().items()}
    assert names == {k: shape for k, shape, _ in golden.read_keys(KEYS / f"deepfaceediting.{name}.keys.csv")}


def test_the_paper_s_networks_have_five_parts_each() -> None:
    with torch.device("meta"):
        method = DeepFaceEditing.create()
    for networks in (method.sketch_encoders, method.image_encoders, method.generators):
        assert list(networks) == ["bg", "eye1", "eye2", "nose", "mouth"]
    assert sum(method.generators["bg"].sizes) == 18_304
    assert not hasattr(method, "extractor")


def jittor_s(state: dict[str, Tensor]) -> bytes:
    """A file as Jittor pickles it: names and arrays, then a checksum."""
    pickled = pickle.dumps({name: value.numpy() for name, value in state.items()}, protocol=4)
    return pickled + hashlib.sha1(pickled).digest() + b"HCAJSLHD"


@pytest.mark.parametrize("geometry", ["image", "extractor"])
def test_the_authors_files_are_read_from_their_folder(geometry: str, tmp_path: Path) -> None:
    source = create(geometry=geometry)
    for name, file in source.config.released().items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(jittor_s(source.get_submodule(name).state_dict()))
    (tmp_path / "global_fuse.pkl").write_bytes(jittor_s(source.fusion.state_dict()))
    torch.manual_seed(1)
    method = DeepFaceEditing.create("tiny", geometry=geometry, checkpoints=tmp_path)
    assert set(method.config.files()) == {path for path in tmp_path.rglob("*.pkl") if path.name != "global_fuse.pkl"}
    assert len(method.config.files()) == 15 + (geometry == "extractor")
    weights.load_official(method, tmp_path / "global_fuse.pkl")
    assert torch.equal(complete(method, batch()), complete(source, batch()))


def test_files_that_are_others_or_not_there_are_named(tmp_path: Path) -> None:
    source = create()
    with pytest.raises(BenchError, match=r"options: \{checkpoints: DIR\}"):
        source.load_official(source.fusion.state_dict())
    method = create(checkpoints=tmp_path)
    with pytest.raises(BenchError, match=r"sketch_encoder_bg\.pkl"):
        method.load_official(source.fusion.state_dict())
    (tmp_path / "sketch_encoder").mkdir()
    path = tmp_path / "sketch_encoder" / "sketch_encoder_bg.pkl"
    path.write_bytes(jittor_s(source.fusion.state_dict()))
    with pytest.raises(BenchError, match=r"sketch_encoder_bg\.pkl holds another network"):
        method.load_official(source.fusion.state_dict())


class Attack:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "global_fuse.pkl").write_bytes(pickle.dumps({"model.1.weight": Attack()}))
    with pytest.raises(BenchError, match="global_fuse"):
        weights.load_official(create(checkpoints=tmp_path), tmp_path / "global_fuse.pkl")
    assert not (tmp_path / "ran").exists()


def test_parts_lie_where_the_paper_has_them_and_scale_with_the_side() -> None:
    assert {part: box(part, 512) for part in PARTS} == PARTS
    assert box("mouth", 64) == (21, 38, 24)
    for side in (64, 256, 512):
        for part in PARTS:
            left, top, size = box(part, side)
            assert size * 16 % side == 0
            assert max(left, top) + size <= side
            assert cut(torch.empty(1, 3, side, side), part).shape == (1, 3, size, size)


def test_later_parts_hide_earlier_ones_and_the_nose_ends_above_the_mouth() -> None:
    sides = {part: box(part, 512)[2] for part in PARTS}
    features = {part: torch.full((1, 2, side, side), float(i)) for i, (part, side) in enumerate(sides.items())}
    whole = joined(features)
    bg, eye1, eye2, nose, mouth = range(5)
    assert whole[0, 0, 0, 0] == bg
    assert whole[0, 0, 157, 109] == eye1
    assert whole[0, 0, 240, 200] == eye1, "over the nose"
    assert whole[0, 0, 240, 256] == eye2
    assert whole[0, 0, 300, 260] == nose
    assert whole[0, 0, 355, 260] == nose, "over the mouth"
    assert whole[0, 0, 356, 260] == mouth, "without its last 36 rows"
    assert whole[0, 0, 492, 360] == mouth
    assert not features["bg"].any(), "what is given stays as it is"


def test_a_style_s_numbers_are_shifts_then_scales_of_each_norm_in_order() -> None:
    torch.manual_seed(0)
    network, geometry = PartGenerator(2, 1, 1, 2, 2), torch.randn(1, 4, 4, 4)
    numbers = torch.randn(1, 4 * 4 + 2 * 2)
    network.enc_style.forward = lambda part: numbers  # type: ignore[method-assign]
    block, up, *_ = network.model
    first, second = block.conv_block

    def adapted(x: Tensor, start: int) -> Tensor:
        shift, scale = numbers[0, start:].split([x.shape[1], numbers.shape[1] - start - x.shape[1]])
        return F.instance_norm(x) * scale[: x.shape[1], None, None] + shift[:, None, None]

    with torch.no_grad():
        x = geometry + adapted(second(adapted(first(geometry), 0).relu()), 8)
        torch.testing.assert_close(network(geometry, torch.zeros(1, 3, 8, 8)), adapted(up(x), 16).relu())


def test_styles_start_near_a_shift_of_0_and_a_scale_of_1() -> None:
    network = create().generators["eye1"]
    with torch.no_grad():
        network.enc_style.model[-1].weight.zero_()
        geometry, part = torch.randn(1, 64, 4, 4), torch.rand(1, 3, 16, 16)
        shift, scale = network.enc_style(part)[:, -32:].unflatten(1, (2, 16)).unbind(1)
        assert not shift.any()
        assert torch.equal(scale, torch.ones_like(scale))
        x = geometry
        for layer in network.model[:-3]:
            x = layer(x, None) if isinstance(layer, ResidualBlock | AdaIN) else layer(x)
        torch.testing.assert_close(network(geometry, part), x)


def test_style_is_that_of_the_exemplar_where_there_is_one() -> None:
    method, given = create(), batch()
    own = complete(method, given.guided(exemplar=None))
    assert torch.equal(own, complete(method, given.guided(exemplar=given.source)))
    assert not torch.equal(own, complete(method, given))


def test_geometry_is_that_of_the_sketch_where_one_is_shown() -> None:
    method, given = create(), batch()
    whole = replace(given, mask=torch.ones_like(given.mask))
    with torch.no_grad():
        sketched = method.geometry(whole)
        assert all(torch.equal(sketched[p], x) for p, x in read(method.sketch_encoders, drawn(given.sketch)).items())
        seen = read(method.image_encoders, given.source)
        assert all(torch.equal(method.geometry(given.guided(sketch=None))[p], seen[p]) for p in PARTS)
        mixed = method.geometry(given)["bg"]
    covered = F.adaptive_avg_pool2d(given.mask, mixed.shape[2:]).expand_as(mixed)
    assert torch.equal(mixed[covered == 1], sketched["bg"][covered == 1])
    assert torch.equal(mixed[covered == 0], seen["bg"][covered == 0])
    other = complete(method, whole.guided(source=given.source.flip(0)))
    assert torch.equal(complete(method, whole), other), "sketch and exemplar are all it sees"


def test_a_sketch_that_is_extracted_is_joined_with_what_is_shown() -> None:
    method, given = create(geometry="extractor"), batch()
    with torch.no_grad():
        extracted = method.extractor(given.source)
        expected = read(method.sketch_encoders, given.mask * drawn(given.sketch) + (1 - given.mask) * extracted)
        for part, found in method.geometry(given).items():
            torch.testing.assert_close(found, expected[part])
        for part, found in method.geometry(given.guided(sketch=None)).items():
            assert torch.equal(found, read(method.sketch_encoders, extracted)[part])


def test_sketches_are_black_on_white() -> None:
    assert drawn(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).flatten().tolist() == [1, -1, 1, -1, 1, -1]


def stages(method: DeepFaceEditing) -> list[Any]:
    return [stage.train() for stage in method.train().stages("embedded")]


def trained(stage: Any) -> set[int]:
    return {id(p) for o in stage.optimisers().values() for group in o.param_groups for p in group["params"]}


def parameters(network: nn.Module) -> set[int]:
    return {id(p) for p in network.parameters()}


@pytest.mark.parametrize("geometry", ["image", "extractor"])
def test_stages_follow_each_other_and_only_the_last_trains_everything(geometry: str) -> None:
    method = create(geometry=geometry)
    every = stages(method)
    extractor = ["extractor"] if geometry == "extractor" else []
    assert [stage.name for stage in every] == [*extractor, "parts", "fusion", "whole"]
    assert sum(stage.share for stage in every) == pytest.approx(1)
    assert [stage.guides for stage in every] == [("sketch",)] + [() if extractor else ("sketch",)] * (len(every) - 1)
    encoders = parameters(method.sketch_encoders) | parameters(method.image_encoders)
    *_, parts, fusion, whole = (trained(stage) for stage in every)
    assert parts > encoders | parameters(method.generators)
    assert fusion > parameters(method.fusion)
    assert not fusion & (encoders | parameters(method.generators))
    assert whole > encoders | parameters(method.generators) | parameters(method.fusion)
    rates = [next(iter(stage.optimisers().values())).param_groups[0]["lr"] for stage in every]
    assert rates == pytest.approx([1e-3] * (len(every) - 1) + [1e-4])
    assert every[-1].judge is every[-2].judge


@pytest.mark.parametrize("turn", ["sketch", "picture"])
def test_encoders_of_pictures_learn_the_features_of_sketches_alone(turn: str) -> None:
    method = create()
    stage, given, reached = stages(method)[0], batch(2), dict[str, set[int]]()

    def update(name: str, loss: Tensor) -> None:
        every = [p for network in method.children() for p in network.parameters()]
        gradients = torch.autograd.grad(loss, every, allow_unused=True, retain_graph=True)
        reached[name] = {id(p) for p, g in zip(every, gradients, strict=True) if g is not None and g.any()}

    if turn == "picture":
        stage.turns.due()
    stage.step(given, update, Noise.shared(0, 2))
    assert reached["nose reader"] == parameters(method.image_encoders["nose"])
    assert bool(reached["nose"] & parameters(method.sketch_encoders["nose"])) == (turn == "sketch")
    assert reached["nose"] & parameters(method.generators["nose"])
    assert not reached["nose"] & parameters(method.generators["mouth"])


def test_what_is_drawn_is_compared_in_its_own_style_and_found_again_from_another() -> None:
    method = create()
    stage = stages(method)[0]
    assert isinstance(stage, DrawingStage)
    image, sketch = torch.rand(3, 3, 64, 64), torch.rand(3, 3, 64, 64)
    asked: list[tuple[Any, Tensor]] = []

    def draw(geometry: Any, style: Tensor) -> Tensor:
        asked.append((geometry, style))
        return style / 2 if isinstance(geometry, str) else geometry

    losses, discriminator = stage.judged(image, sketch, "given", draw, lambda picture: picture, stage.judges["bg"])
    other = image.roll(1, 0)
    assert [geometry for geometry, _ in asked[:2]] == ["given", "given"]
    assert torch.equal(asked[0][1], image)
    assert torch.equal(asked[1][1], other)
    assert torch.equal(asked[2][0], other / 2), "the geometry of what was drawn"
    assert torch.equal(asked[2][1], image)
    torch.testing.assert_close(losses["pixels"], F.l1_loss(image / 2, image))
    torch.testing.assert_close(losses["cycle"], F.l1_loss(other / 2, image))
    assert discriminator.isfinite()


def test_geometries_are_read_from_sketches_and_pictures_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    method = create()
    *_, stage = stages(method)
    assert isinstance(stage, WholeStage)
    asked: list[Any] = []
    monkeypatch.setattr(stage, "judged", lambda image, sketch, geometry, *_: asked.append(geometry) or ({}, sketch))
    monkeypatch.setattr(stage, "weighted", lambda losses: torch.zeros(()))
    given = batch(2)
    for _ in range(3):
        stage.step(given, lambda name, loss: None, Noise.shared(0, 2))
    lines, seen = read(method.sketch_encoders, drawn(given.sketch)), read(method.image_encoders, given.image)
    for geometry, expected in zip(asked, (lines, seen, lines), strict=True):
        assert torch.equal(geometry["nose"], expected["nose"])
