"""SemanticStyleGAN: its parts and their codes, composition by depth, the search, what each update trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.semanticstylegan import SemanticStyleGAN, comparison
from baselines.semanticstylegan.inversion import Inversion, slope
from baselines.semanticstylegan.networks import (
    LAYERS,
    ORDER,
    Discriminator,
    Encoder,
    FixedConv,
    PositionEmbedding,
    shares,
)
from baselines.semanticstylegan.parts import CODES, FACE, PARTS, planes, shape, texture
from baselines.semanticstylegan.training import JointStage, mixed_codes
from bench import golden
from bench.batch import Noise
from bench.data.guides.semantics import CLASSES
from bench.nn.stylegan2 import Width
from bench.nn.stylegan2_blocks import ModulatedConv2d
from masks.generators.semantic import LABELS
from tests.test_methods import batch

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> SemanticStyleGAN:
    torch.manual_seed(0)
    return SemanticStyleGAN.create("tiny", **{"samples": 100, **options})


def test_the_released_names_fit() -> None:
    rows = golden.read_keys(KEYS / "semanticstylegan.generator.keys.csv")
    found = {key: shape for key, shape, kind in rows if kind == "param"}
    with torch.device("meta"):
        method = SemanticStyleGAN.create()
        method.load_official({"g_ema": {key: torch.empty(shape) for key, shape, _ in rows}, "g": {}})
    assert {key: tuple(value.shape) for key, value in method.generator.state_dict().items()} == found


def test_the_networks_have_the_published_parameters() -> None:
    with torch.device("meta"):
        small, large = SemanticStyleGAN.create("256").generator, SemanticStyleGAN.create().generator
        judge = Discriminator(512, Width())
    networks = [small, large.pos_embed, large.local_nets, large.render_net, judge]
    counts = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert counts == [20_208_020, 2_432, 5_243_980, 12_972_698, 51_406_593]


def test_parts_are_1_where_they_are_and_minus_1_elsewhere() -> None:
    labels = torch.tensor([[[LABELS.index("l_eye"), LABELS.index("ear_r"), CLASSES]]], dtype=torch.uint8)
    found = planes(labels)[0, :, 0]
    assert [(column > 0).nonzero()[:, 0].tolist() for column in found.T] == [
        [PARTS.index("eyes")], [PARTS.index("earrings")], [],
    ]  # fmt: skip
    assert set(found.unique().tolist()) == {-1, 1}


def test_each_layer_has_its_code() -> None:
    assert CODES == 28
    assert ORDER[:LAYERS] == [2] * 6 + [3] * 4  # the background knows nothing of the whole face
    assert ORDER[-LAYERS:] == [0, 1] + [26] * 4 + [27] * 4
    generator, codes = create().generator, torch.randn(2, CODES, 64)
    assert torch.equal(generator.expanded(codes), codes[:, ORDER])
    assert torch.equal(generator.expanded(codes[:, 0])[:, 7], codes[:, 0])
    assert generator.expanded(codes[:, ORDER]).shape == (2, 130, 64)


def test_places_are_told_by_waves() -> None:
    layer = PositionEmbedding(8, 14)
    with torch.no_grad():
        layer.weights.copy_(torch.eye(14)[:, :, None, None] / layer.scale)
        found = layer(3)[0, :, 1, 2]  # x = 1, y = 0
    one, two, four = (torch.tensor(float(f)) for f in (1, 2, 4))
    expected = [[1, 0], *[[wave(f), wave(0 * f)] for f in (one, two, four) for wave in (torch.sin, torch.cos)]]
    torch.testing.assert_close(found, torch.tensor(expected).flatten())


def test_a_fixed_convolution_is_a_modulated_one_of_one_style() -> None:
    torch.manual_seed(0)
    fixed, modulated = FixedConv(3, 4, 3, up=True), ModulatedConv2d(3, 4, 3, 5, up=True)
    x, style = torch.randn(2, 3, 8, 8), torch.rand(3) + 0.5
    with torch.no_grad():
        fixed.weight.copy_(modulated.weight[0])
        fixed.modulation.copy_(style.view(1, -1, 1, 1))
        modulated.modulation.weight.zero_()
        modulated.modulation.bias.copy_(style)
        torch.testing.assert_close(fixed(x), modulated(x, torch.zeros(2, 5)))


def test_the_nearest_part_covers_the_others_unless_it_is_transparent() -> None:
    def counted(**depths: float) -> dict[str, float]:
        values = torch.tensor([depths.get(part, -30.0) for part in PARTS]).view(1, -1, 1, 1)
        found, own = shares(values)
        torch.testing.assert_close(own.sum(), torch.tensor(1.0))
        return {
            part: round(float(share), 3) for part, share in zip(PARTS, found.flatten(), strict=True) if share > 0.001
        }

    assert counted(background=0, skin=20, hair=-5) == {"skin": 1}
    assert counted(background=0, skin=10, glasses=18) == {"skin": 1, "glasses": 1}


def test_a_texture_changes_no_depth() -> None:
    generator, codes = create().eval().generator, torch.randn(1, CODES, 64)
    with torch.no_grad():
        plain = generator(codes)
        for number, same in ((texture("hair"), True), (shape("hair"), False)):
            other = codes.clone()
            other[:, number] += 1
            changed = generator(other)
            assert torch.equal(plain.depths, changed.depths) == same
            assert not torch.equal(plain.image, changed.image)
        assert not plain.depths[:, 0].any()


def test_styles_are_mixed_by_parts() -> None:
    class Mapping(torch.nn.Module):
        """z, and how often it was called, as codes."""

        calls = 0

        def forward(self, z: Tensor) -> Tensor:
            self.calls += 1
            return torch.full_like(z, float(self.calls))

    found = mixed_codes(Mapping(), Noise.shared(0, 200), 1, 0.5)[..., 0]
    assert (found[:, :2] == 1).all()  # of the whole face
    kinds = found[:, 2:].unflatten(1, (-1, 2))
    pairs = {tuple(pair) for pair in kinds.flatten(0, 1).tolist()}
    assert pairs == {(1.0, 1.0), (1.0, 2.0), (2.0, 2.0)}
    assert 60 < int((found == 1).all(1).sum()) < 140  # images of one z


def test_the_learning_rate_goes_up_and_down() -> None:
    assert [slope(step, 400) for step in (0, 10, 20, 300)] == pytest.approx([0, 0.5, 1, 1])
    assert slope(350, 400) == pytest.approx(0.5)
    assert slope(399, 400) < 1e-3


def inversion_of(pictures: Tensor, method: SemanticStyleGAN) -> Inversion:
    return Inversion(method.config, comparison("embedded", pictures.device, pictures.dtype), pictures)


def test_pictures_of_the_generator_are_found_again() -> None:
    method = create(steps=30, near=0).eval()
    with torch.no_grad():
        faces = method.generator(method.generator.style(torch.randn(2, 64))[:, None].repeat(1, CODES, 1)).image
    found = inversion_of(faces, method).codes(method.generator, None)
    with torch.no_grad():
        again = method.generator(found).image
    ours, others = (float((again - x).square().mean()) for x in (faces, faces.flip(0)))
    assert ours < 0.5 * others


def test_a_tuned_copy_is_nearer_and_the_generator_as_it_was() -> None:
    method = create(steps=2, tuning_steps=5, tuning_rate=1e-2).eval()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    pictures = batch(2).image
    inversion = inversion_of(pictures, method)
    codes = inversion.codes(method.generator, None)
    tuned = inversion.tuned(method.generator, codes, None)
    with torch.no_grad():
        old, new = (inversion.apart(one(codes).image).mean() for one in (method.generator, tuned))
    assert new < old
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())


def test_the_exemplar_gives_what_the_options_say() -> None:
    ours, theirs = torch.zeros(CODES, 4), torch.ones(CODES, 4)
    found = create().exchanged(ours, theirs)[:, 0]
    assert found.nonzero()[:, 0].tolist() == [texture(part) for part in PARTS]
    found = create(shapes=FACE, textures=("hair",)).exchanged(ours, theirs)[:, 0]
    assert found.nonzero()[:, 0].tolist() == sorted([*map(shape, FACE), texture("hair")])


def test_without_an_exemplar_the_picture_is_drawn_again() -> None:
    method, given = create(steps=3).eval(), batch(1)
    with torch.no_grad():
        plain = method.complete(given.guided(exemplar=None), Noise([0]))
        # searched alone, not beside itself: equal but for the last digits
        assert torch.allclose(plain, method.complete(given.guided(exemplar=given.source), Noise([0])), atol=1e-4)
        assert not torch.equal(plain, method.complete(given, Noise([0])))


def test_only_stand_ins_are_told() -> None:
    assert create().config.stand_ins(())[0].startswith("pictures are compared by embedded-training-")
    assert not SemanticStyleGAN.configure().stand_ins(())


def test_the_updates_of_an_iteration() -> None:
    stage, history = JointStage(create(pixels=0, path_every=4).train(), "embedded"), []
    for i in range(5):
        names: list[str] = []
        stage.step(batch(2), lambda name, loss, names=names: names.append(name), Noise.shared(i, 2))
        history.append("".join(name[0] for name in names))
    assert history == ["ddgg", "dg", "dg", "dg", "dgg"]


def reached(network: torch.nn.Module, loss: Tensor) -> set[str]:
    """The parameters to which a loss has a gradient."""
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}


def test_the_path_penalty_trains_no_mapping() -> None:
    method, seen = create(pixels=0, noise=True).train(), []
    JointStage(method, "embedded").step(batch(4), lambda name, loss: seen.append(loss), Noise.shared(0, 4))
    adversarial, penalty = ({name.split(".")[0] for name in reached(method.generator, loss)} for loss in seen[-2:])
    assert adversarial - penalty == {"style"}
    assert {"local_nets", "render_net"} <= penalty


def test_both_trunks_are_judged_and_penalised() -> None:
    torch.manual_seed(0)
    network = Discriminator(64, Width(1024, 16))
    images, parts = torch.rand(2, 3, 64, 64), torch.rand(2, len(PARTS), 64, 64)
    with torch.no_grad():
        both = network.both(images, parts)
        assert not torch.allclose(both, network.both(images, -parts))
        assert not torch.allclose(both, network.both(-images, parts))
    stage = JointStage(create(gamma=0, segmentation_gamma=0).train(), "embedded")
    weighted: list[Tensor] = []
    stage.regularise(batch(2).image, planes(batch(2).semantics), lambda name, loss: weighted.append(loss))
    assert weighted[0].detach() == 0


def test_the_encoder_reads_textures_from_the_picture_and_all_else_from_the_segmentation() -> None:
    torch.manual_seed(0)
    encoder = Encoder(64, Width(1024, 16), 8)
    images, parts = torch.rand(1, 3, 64, 64), torch.rand(1, len(PARTS), 64, 64)
    with torch.no_grad():
        plain = encoder(images, parts)
        others = [encoder(-images, parts), encoder(images, -parts)]
    changed = [(other != plain).any(2)[0].nonzero()[:, 0].tolist() for other in others]
    textures = [texture(part) for part in PARTS]
    assert changed == [textures, [i for i in range(CODES) if i not in textures]]


def test_where_pixels_count_pictures_are_drawn_again() -> None:
    stage, names = JointStage(create().train(), "embedded"), []
    losses = stage.step(batch(2), lambda name, loss: names.append(name), Noise.shared(0, 2))
    assert names[-2:] == ["generator", "encoder"]
    assert {"pixels", "perceptual", "segmentation"} <= losses.keys()
    assert stage.optimisers().keys() == {"generator", "discriminator", "encoder"}
    assert JointStage(create(pixels=0).train(), "embedded").optimisers().keys() == {"generator", "discriminator"}
