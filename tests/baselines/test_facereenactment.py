"""FaceReenactment: what its parameters mean, which codes move, what it learns from, and the tuned generator."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines.e4e import E4E
from baselines.facereenactment import FaceReenactment
from baselines.facereenactment.networks import Directions
from baselines.facereenactment.training import disentangled
from baselines.stylegan2 import StyleGAN2
from bench.batch import Noise
from bench.data.attributes import NAMES
from bench.errors import BenchError
from tests.test_methods import batch, noise


def prior(**options: Any) -> E4E:
    torch.manual_seed(0)
    made = E4E.create("tiny", **options)
    made.attach({"stylegan2": StyleGAN2.create("tiny")})
    return made.eval()


def create(**options: Any) -> FaceReenactment:
    method = FaceReenactment.create("tiny", **options)
    method.attach({"e4e": prior()})
    return method.eval()


def test_parameters_are_the_papers() -> None:
    assert FaceReenactment.create().config.parameters == (
        "yaw", "pitch", "roll", "jaw", *(f"expression{i}" for i in range(1, 12)),
    )  # fmt: skip


def test_angles_have_their_reach_and_the_others_their_ranges() -> None:
    method = create(expressions=1, ranges=((-1, 3), (0, 2)))
    values = torch.tensor([[40.0, 20, -20, 3, 1], [0, 0, 0, -1, 0]])
    torch.testing.assert_close(method.scaled(values), torch.tensor([[6.0, 6, -6, 6, 0], [0, 0, 0, -6, -6]]))
    method.note(values * 10)  # the option stays
    assert method.highest.tolist() == [0, 0, 0, 3, 2]
    with pytest.raises(BenchError, match="`ranges` has 2 pairs: 3 are needed"):
        create(expressions=2, ranges=((-1, 3), (0, 2)))


def test_ranges_are_those_of_training() -> None:
    method = create()
    assert torch.equal(method.scaled(torch.zeros(1, 6)), torch.tensor([[0.0, 0, 0, -6, -6, -6]]))
    (stage, _), given = method.stages("embedded"), batch(4)
    stage.step(given, lambda name, loss: None, Noise.shared(0, 4))
    jaw = given.need("attributes")[:, NAMES.index("jaw")]
    assert method.highest[3] == jaw.max() and method.lowest[3] == 0


def test_the_first_codes_move_and_the_others_stay() -> None:
    torch.manual_seed(0)
    network, codes = Directions(3, 2, 5), torch.randn(4, 6, 5)
    with torch.no_grad():
        moved = network.shifted(codes, torch.ones(4, 3))
        assert torch.equal(moved[:, 2:], codes[:, 2:])
        expected = (network.linear.weight.sum(1) + network.linear.bias).view(2, 5).expand(4, -1, -1)
        torch.testing.assert_close(moved[:, :2] - codes[:, :2], expected)


def test_the_shift_is_truncated_with_the_code() -> None:
    """The generator is given mean + 0.7 (w + shift - mean), and is tuned with mean + 0.7 (w - mean)."""
    method, given, seen = create(truncated=True, finetune=0), batch(2), []
    source = given.need("source")
    own = method.inverter.codes(source)
    shift = torch.zeros_like(own)
    shift[:, : method.config.rows] = method.directions(method.change(given))
    method.decoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        method.complete(given, noise())
    expected = method.average + 0.7 * (own + shift - method.average)
    torch.testing.assert_close(seen[0], expected[:, : method.decoder.codes])
    torch.testing.assert_close(method.codes(source), method.average + 0.7 * (own - method.average))


@pytest.mark.parametrize(("truncated", "share"), [(True, 0.7), (False, 1.0)])
def test_training_moves_codes_as_completion_does(truncated: bool, share: float) -> None:
    method, seen, shifts = create(truncated=truncated), [], []
    method.decoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    method.directions.register_forward_hook(lambda module, arguments, shift: shifts.append(shift))
    method.stages("embedded")[1].step(batch(2), lambda name, loss: None, Noise.shared(0, 2))
    source, _, moved = (codes[:, : method.config.rows] for codes in seen)
    torch.testing.assert_close(moved - source, share * shifts[0])


def test_every_second_pair_changes_in_one_parameter() -> None:
    change = disentangled(torch.ones(64, 7), Noise.shared(0, 64))
    assert (change[::2] == 1).all()
    assert (change[1::2].sum(1) == 1).all() and (change[1::2].sum(0) > 0).all()


def test_a_generator_tuned_to_the_source_gives_it_again() -> None:
    """Of the same codes; the prior's own weights stay, and another picture changes nothing."""
    method, given = create(finetune=20, finetune_rate=0.02), batch(2)
    given = given.guided(wanted=given.need("attributes"))
    for parameter in method.directions.parameters():
        torch.nn.init.zeros_(parameter)
    before = [p.clone() for p in method.decoder.parameters()]
    source = given.need("source")
    with torch.no_grad():
        tuned = method.complete(given, noise())
        plain = method.decode(method.codes(source))
        torch.testing.assert_close(method.complete(given.only(1), Noise([8])), tuned[1:])
    assert (tuned - source).square().mean() < 0.5 * (plain - source).square().mean()
    assert all(torch.equal(a, b) for a, b in zip(before, method.decoder.parameters(), strict=True))


def test_half_of_the_pairs_start_from_pictures() -> None:
    method, given = create(), batch(4)
    with torch.no_grad():
        codes = method.training_codes(given, Noise.shared(0, 4))
        torch.testing.assert_close(codes[:2], method.codes(given.image[:2]))
        assert torch.equal(codes[2:], method.drawn(Noise.shared(0, 4))[2:])


def test_the_released_matrix_wants_its_ranges() -> None:
    method, given = create(), batch()
    method.load_official(method.directions.state_dict())
    with pytest.raises(BenchError, match=r"copy those of ranges_voxceleb.npy to the suite's `options: \{ranges"):
        method.complete(given, noise())


def test_what_a_face_lacks_is_named() -> None:
    given = batch()
    unknown = given.need("wanted").clone()
    unknown[:, NAMES.index("jaw")] = torch.nan
    with pytest.raises(BenchError, match="facereenactment needs jaw of every face: add these columns to the CSV"):
        create().complete(given.guided(wanted=unknown), noise())


def test_codes_of_another_length_are_refused() -> None:
    with pytest.raises(BenchError, match="edits codes of 32 values, its prior e4e gives 64"):
        create(dim=32)
