"""StyleFlow: the solver, the likelihood, the way there and back, which codes an edit changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from baselines.styleflow import CLASSES, ROWS, StyleFlow
from baselines.styleflow.networks import Flow, MovingNorm, runge_kutta
from bench import golden
from bench.batch import Noise
from bench.data.attributes import LIGHT, chosen
from tests.baselines.test_facereenactment import prior
from tests.test_methods import batch, noise

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> StyleFlow:
    method = StyleFlow.create("tiny", **options)
    method.attach({"e4e": prior()})
    return method.eval()


def flow(dim: int = 3, steps: int = 16) -> Flow:
    """Small, in double precision, with statistics that are not trivial."""
    torch.manual_seed(0)
    made = Flow(dim, 2, steps).double().eval()
    for norm in (made.first, made.last):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        torch.nn.init.normal_(norm.weight, std=0.2)
        torch.nn.init.normal_(norm.bias)
    return made


def test_the_released_names_fit() -> None:
    rows = golden.read_keys(KEYS / "styleflow.keys.csv")
    with torch.device("meta"):
        method = StyleFlow.create()
        method.load_official({key: torch.empty(shape) for key, shape, _ in rows})


def test_a_step_is_exact_to_the_fourth_order() -> None:
    """dx / dt = x: the first terms of the exponential series."""
    (x,) = runge_kutta(lambda time, state: state, torch.zeros(1, 1), (torch.ones(1, 1, 1),), torch.full((1, 1), 0.5))
    torch.testing.assert_close(x.item(), 1 + 0.5 + 0.5**2 / 2 + 0.5**3 / 6 + 0.5**4 / 24)


def test_back_is_the_way_there() -> None:
    made, codes, attributes = flow(), torch.randn(2, 4, 3).double(), torch.randn(2, 2).double()
    with torch.no_grad():
        torch.testing.assert_close(made.inverse(made(codes, attributes), attributes), codes, atol=1e-4, rtol=1e-4)
        one = made(codes[:1, :1], attributes[:1])
        torch.testing.assert_close(made(codes, attributes)[:1, :1], one)  # rows and images stand alone


def test_the_likelihood_is_that_of_the_determinant() -> None:
    """Of one code of one number, for which any probe of length 1 gives the exact divergence."""
    made, code, attributes = flow(1), torch.tensor([[[0.4]]]).double(), torch.randn(1, 2).double()
    found = made.likelihood(code, attributes, torch.ones(1, 1, 1).double())
    slope = torch.autograd.functional.jacobian(lambda x: made(x, attributes), code).reshape(())
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(made(code, attributes)).sum()
    torch.testing.assert_close(found[0], normal + slope.abs().log(), atol=1e-5, rtol=1e-5)


def test_statistics_are_those_of_before_the_batch() -> None:
    norm, x = MovingNorm(2).train(), 3 + 2 * torch.randn(50, 1, 2)
    first, _ = norm(x)
    torch.testing.assert_close(first, x / (1 + 1e-4) ** 0.5)
    torch.testing.assert_close(norm.running_mean, 0.1 * x.flatten(0, 1).mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * x.flatten(0, 1).var(0))
    norm.eval()
    torch.testing.assert_close(norm.inverse(norm(x)[0]), x)


def test_an_edit_changes_its_rows_alone() -> None:
    assert StyleFlow.create().config.attributes == (*LIGHT, *CLASSES)
    method, given = create(edited=("yaw",)), batch()
    names = method.config.attributes
    own, wanted = (chosen(given.need(guide), names, "this test") / 10 for guide in ("attributes", "wanted"))
    with torch.no_grad():
        codes = method.codes(given.need("source"))
        changed = method.edit(codes, own, wanted) != codes
    assert changed[:, ROWS["yaw"]].any(2).all() and not changed[:, 4:].any()


def test_nothing_changes_where_all_is_as_wanted() -> None:
    method, given = create(edited=("light", "gender", "expression"), steps=32), batch()
    own = chosen(given.need("attributes"), method.config.attributes, "this test") / 10
    with torch.no_grad():
        codes = method.codes(given.need("source"))
        torch.testing.assert_close(method.edit(codes, own, own), codes, atol=1e-3, rtol=1e-3)


def test_the_normal_values_are_made_anew_after_every_edit_but_the_light() -> None:
    method, given, seen = create(edited=("light", "yaw", "pitch")), batch(), []
    forward = method.flow.forward
    method.flow.forward = lambda codes, own: (seen.append(own.clone()), forward(codes, own))[1]  # type: ignore[method-assign]
    with torch.no_grad():
        method.complete(given, noise())
    own, wanted = (chosen(given.need(g), method.config.attributes, "this test") for g in ("attributes", "wanted"))
    assert torch.equal(seen[0], own) and len(seen) == 3
    yaw, pitch = (method.config.attributes.index(name) for name in ("yaw", "pitch"))
    torch.testing.assert_close(seen[2][:, [*range(9), yaw, pitch]], wanted[:, [*range(9), yaw, pitch]])
    torch.testing.assert_close(seen[1][:, pitch], own[:, pitch])


def test_pictures_bring_their_own_attributes() -> None:
    method, given = create(), batch(4)
    stage = method.stages("embedded")[1]
    codes, attributes = stage.examples(given, Noise.shared(0, 4))  # type: ignore[attr-defined]
    own = chosen(given.need("attributes"), method.config.attributes, "this test")
    torch.testing.assert_close(attributes[:2], own[:2])
    with torch.no_grad():
        maps = Noise.shared(0, 4)
        method.drawn(maps)
        seen = method.regressor(method.decode(codes, maps.maps(method.decoder.sides)))
    torch.testing.assert_close(attributes[2:], seen[2:])
