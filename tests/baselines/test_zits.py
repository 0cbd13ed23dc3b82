"""ZITS: positions in holes, sampling of the structure, lines, the five stages, the authors' files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.zits import ZITS
from baselines.zits.structure import hole_positions
from baselines.zits.training import StructureStage, TextureStage, cosine, halved
from baselines.zits.wireframe import Backbone, WireframeDetector, drawing, proposals
from bench.errors import BenchError
from bench.method import Batch, Noise


def create(**options: object) -> ZITS:
    torch.manual_seed(0)
    return ZITS.create("tiny", **options)


def batch(height: int = 64, width: int = 64) -> Batch:
    image = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(2, 1, height, width)
    mask[:, :, 20:44, 12:40] = 1
    return Batch(image, mask)


def by_dilation(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rule in words: known pixels grow by 3x3 windows, and 2x2 windows say from where."""
    known, steps, directions = 1 - mask, np.zeros_like(mask), np.zeros((4, *mask.shape))
    anchors = ((1, 1), (1, 0), (0, 1), (0, 0))  # where the pixel itself lies in its window: x, y
    for step in range(1, 1000):
        if known.all():
            break
        for direction, anchor in zip(directions, anchors, strict=True):
            reached = cv2.filter2D(known, -1, np.ones((2, 2)), anchor=anchor, borderType=cv2.BORDER_REFLECT_101) > 0
            direction[reached & (known == 0)] = 1
        grown = (cv2.filter2D(known, -1, np.ones((3, 3)), borderType=cv2.BORDER_REFLECT_101) > 0).astype(float)
        steps[(grown == 1) & (known == 0)] = step
        known = grown
    return steps, directions


def test_positions_are_those_of_repeated_dilation() -> None:
    rng = np.random.default_rng(0)
    mask = (cv2.resize(rng.random((8, 8)), (64, 64)) > 0.45).astype(float)
    mask[:20, :30] = 1  # reaches the border
    steps, directions = by_dilation(mask)
    found, sides = hole_positions(torch.from_numpy(mask)[None, None], 64, 32)
    assert found[0].tolist() == steps.tolist()
    assert steps.max() > 5
    assert sides[0].tolist() == directions.tolist()


def test_positions_reach_over_half_of_the_side_and_stay_in_the_hole() -> None:
    mask = batch(192, 192).mask.double()
    found, sides = hole_positions(mask, 64, 128)
    assert found.shape == (2, 192, 192)
    assert int(found.max()) == 4 * 5  # 9 rows of the small mask hold some of the hole; a step counts 128 / 32
    outside = mask[:, 0] == 0
    assert found[outside].abs().sum() == 0
    assert sides.movedim(1, 3)[outside].abs().sum() == 0
    assert hole_positions(torch.ones(1, 1, 64, 64), 64, 128)[0].unique().tolist() == [127]


def test_each_round_keeps_the_surest_pixels() -> None:
    network, given, seen = create().transformer.eval(), batch(), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    drawn = torch.rand(2, 2, 64, 64)
    edge, line = (drawn[:, :1] > 0.5).float(), drawn[:, 1:]
    with torch.no_grad():
        restored = network.restored(given.image, edge, line, given.mask, 5)
    hole, left = int(given.mask[0].sum()), []
    for image, _, _, mask in seen:
        assert torch.equal(image, given.masked)  # blank in the whole hole to the end
        left.append(int(mask[0].sum()))
    expected = [hole]
    for step in range(1, 5):
        expected.append(expected[-1] - int(step / 5 * expected[-1]))
    assert left == expected
    assert set(restored[0].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(restored[1] * (1 - given.mask), line * (1 - given.mask))
    assert restored[1][given.mask == 1].min() > 0


def test_structure_starts_without_influence() -> None:
    """Each feature and code has a factor that is 0 before training."""
    method, given = create(start=0.0).eval(), batch()
    structure = torch.rand(2, 1, 64, 64), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(method.paint(given, structure), method.paint(given, None))
        for name, parameter in method.encoder.named_parameters():
            if name.startswith("alpha"):
                parameter.fill_(0.1)
        assert not torch.equal(method.paint(given, structure), method.paint(given, None))


def test_edges_see_known_pixels_alone() -> None:
    method, given = create(), batch()
    changed = Batch(torch.where(given.mask > 0, -given.image, given.image), given.mask)
    first, second = (method.drawn(x, 64, 1.0, blind=True)[0] for x in (given, changed))
    assert torch.equal(first, second)
    assert first.sum() > 0
    assert (first * given.mask).sum() == 0


def test_larger_images_are_guided_by_enlarged_structure() -> None:
    method, given, seen = create().eval(), batch(96, 72), []
    method.upsampler.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    with torch.no_grad():
        assert method.complete(given, Noise([0, 1])).shape == given.image.shape
        assert seen == [(4, 1, 128, 128)]  # edges and lines of two images
        with pytest.raises(BenchError, match="ZITS takes images with sides that are multiples of 8 from 64 on"):
            method.complete(batch(56, 64), Noise([0, 1]))


def field() -> Tensor:
    """Maps of a vertical line from (60, 40) to (60, 80), which the pixel (55, 60) sees."""
    maps = torch.zeros(9, 128, 128)
    maps[3:5], maps[5], maps[6] = -20, 10, -10
    maps[7:9] = -20  # offsets -0.5: junctions lie at their index
    angle = torch.tensor(4.0).atan() / (torch.pi / 2)  # the ends lie 4 times as far along the line as across
    maps[1, 60, 55] = maps[2, 60, 55] = angle.logit()
    maps[3, 60, 55] = 20  # distance 1, which is 5 pixels
    for y in (40, 80):
        maps[5, y, 60], maps[6, y, 60] = -10, 10
    return maps


def test_pixels_that_point_at_two_junctions_propose_a_line() -> None:
    (line,) = proposals(field()).tolist()
    assert sorted([line[:2], line[2:]]) == [
        [pytest.approx(60), pytest.approx(40)],
        [pytest.approx(60), pytest.approx(80)],
    ]
    without = field()
    without[5], without[6] = 10, -10
    assert proposals(without).shape == (0, 4)


def test_a_line_is_kept_where_the_network_is_sure() -> None:
    detector, features = WireframeDetector(), torch.zeros(128, 128, 128)
    torch.nn.init.constant_(detector.fc2[4].bias, 100.0)
    assert detector.lines(field(), features).shape == (1, 4)
    torch.nn.init.constant_(detector.fc2[4].bias, -100.0)
    assert detector.lines(field(), features).shape == (0, 4)


def test_lines_are_drawn_smoothly_inside_the_picture() -> None:
    lines = torch.tensor([[0.5, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 0.9]])
    canvas = drawing(lines, 64)
    assert canvas[:, 32].eq(1).all()
    assert 0 < canvas[1, 1] <= 1
    assert canvas.max() == 1
    assert drawing(torch.zeros(0, 4), 64).sum() == 0


def test_each_stage_trains_its_networks() -> None:
    method, trained = create().train(), []
    stages = method.stages("embedded")
    assert stages[3].discriminator is stages[4].discriminator
    for stage in stages:
        optimisers, before = stage.optimisers(), {k: v.clone() for k, v in method.state_dict().items()}

        def update(name: str, loss: Tensor, optimisers=optimisers) -> None:
            parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
            loss.backward(inputs=parameters, retain_graph=name == "generator")
            optimisers[name].step()
            optimisers[name].zero_grad()

        stage.step(batch(), update, Noise.shared(0, 2))
        trained.append({k.split(".")[0] for k, v in method.state_dict().items() if not torch.equal(v, before[k])})
    assert trained == [{"transformer"}, {"transformer"}, {"upsampler"}, {"generator"}, {"generator", "encoder"}]


def test_prediction_replaces_true_structure() -> None:
    method, given, seen = create(predicted=(10, 20)).train(), batch(), []
    method.transformer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    *_, stage = method.stages("embedded")
    assert isinstance(stage, TextureStage)
    edge, line = stage.structure(given, Noise.shared(0, 2))
    assert torch.equal(edge, method.drawn(given, 64, method.config.sigma)[0])
    assert line.sum() == 0
    assert not seen
    stage.done += 20
    stage.structure(given, Noise.shared(0, 2))
    assert 1 <= len(seen) <= 5
    sides = {stage.resized(batch(96, 96), Noise.shared(seed, 2)).mask.shape[3] for seed in range(40)}
    assert sides == {64, 72, 80, 88, 96}


def test_only_the_last_stage_sees_large_pictures_in_smaller_batches() -> None:
    large = ZITS.configure("512")
    method, seen = create(batch_size=large.batch_size, texture_batch_size=large.texture_batch_size).train(), []
    assert [stage.batch_size for stage in method.stages("embedded")] == [32, 32, 32, 32, 18]
    method.generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[2:]))
    base = method.stages("embedded")[3]
    base.step(batch(96, 96), lambda name, loss: None, Noise.shared(0, 2))
    assert seen == [(64, 64)]  # LaMa's first training is at the size of the structure


def test_both_stages_of_the_transformer_follow_one_cosine() -> None:
    first, second = cosine(10, 0, 100), cosine(10, 80, 100)
    assert [first(0), first(9), first(10)] == [0.1, 1, 1]
    assert first(80) == second(0)
    assert second(19) == 0.1
    assert cosine(10, 0, 0)(5000) == 1  # no end is known
    assert halved(100, 4)(1) == 0.5
    assert halved(100, 4)(250) == 0.25
    stage = create(structure_rate=1e-3).stages("embedded")[0]
    assert isinstance(stage, StructureStage)
    stage.steps = 80
    (group,) = (optimiser := stage.optimisers()["generator"]).param_groups
    optimiser.step()
    assert group["lr"] == pytest.approx(1e-4)  # the first of 10 iterations of warm-up


def files(method: ZITS, folder: Path) -> dict[str, Path]:
    """The authors' further files, by the options that name them."""
    mask = {"blocks.1.attn.mask": torch.ones(1, 1, 8, 8)}
    torch.save({"model": method.transformer.state_dict() | mask}, folder / "best_transformer_places2.pth")
    torch.save({"model": method.upsampler.state_dict()}, folder / "StructureUpsampling.pth")
    torch.save({"model": WireframeDetector().state_dict() | {"tspan": torch.ones(1)}}, folder / "best_lsm_hawp.pth")
    names = {
        "transformer": "best_transformer_places2",
        "upsampler": "StructureUpsampling",
        "wireframe": "best_lsm_hawp",
    }
    return {f"{option}_weights": folder / f"{name}.pth" for option, name in names.items()}


def official(method: ZITS) -> dict[str, dict[str, Tensor]]:
    """InpaintingModel_best_gen.pth."""
    generator = method.generator.state_dict().items()
    named = {k.replace(".conv1.ffc", ".ffc1.ffc").replace(".conv2.ffc", ".ffc2.ffc"): v for k, v in generator}
    named = {k.replace(".conv1.bn", ".ffc1.bn").replace(".conv2.bn", ".ffc2.bn"): v for k, v in named.items()}
    return {"generator": named, "str_encoder": method.encoder.state_dict()}


def test_official_checkpoints_are_four_files(tmp_path: Path) -> None:
    source = create()
    paths = files(source, tmp_path)
    with pytest.raises(BenchError, match="transformer_weights"):
        create().load_official(official(source))
    torch.manual_seed(1)
    target = ZITS.create("tiny", **paths)
    target.load_official(official(source))
    ours = target.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in source.state_dict().items())
    assert target.config.files() == list(paths.values())
    swapped = ZITS.create("tiny", **paths | {"upsampler_weights": paths["transformer_weights"]})
    with pytest.raises(BenchError, match=r"upsampler_weights: .*another network"):
        swapped.load_official(official(source))


def test_lines_come_from_the_detector_where_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, seen = batch(), []
    assert "no lines" in create().config.stand_ins(())[0]
    assert create().drawn(given, 64, 1.0)[1].sum() == 0
    method = create(wireframe_weights=files(create(), tmp_path)["wireframe_weights"]).train()
    assert method.config.stand_ins(()) == []
    assert not method.wireframe.training
    torch.nn.init.constant_(method.wireframe.fc2[4].bias, 100.0)

    def backbone(self: Backbone, x: Tensor) -> tuple[list[Tensor], Tensor]:
        seen.append(x)
        return [field().expand(len(x), -1, -1, -1)], torch.zeros(len(x), 256, 128, 128)

    monkeypatch.setattr(Backbone, "forward", backbone)
    changed = Batch(torch.where(given.mask > 0, -given.image, given.image), given.mask)
    line = method.drawn(given, 64, 1.0, blind=True)[1]
    method.drawn(changed, 64, 1.0, blind=True)
    assert torch.equal(*seen)
    assert seen[0].shape == (2, 3, 512, 512)
    assert line.shape == (2, 1, 64, 64)
    assert line[:, 0, 21:40, 30].eq(1).all()  # from y = 40 to 80 of 128 at x = 60
    assert line[:, 0, :, :29].sum() == 0
    with pytest.raises(BenchError, match="holds no LSM-HAWP"):
        create(wireframe_weights=tmp_path / "StructureUpsampling.pth")
