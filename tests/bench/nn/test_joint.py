"""One loss for several optimisers: each network receives its own gradient."""

from __future__ import annotations

import torch

from bench.nn.joint import update_jointly


def test_each_optimiser_is_given_its_part_of_the_gradient() -> None:
    torch.manual_seed(0)
    networks = {name: torch.nn.Linear(2, 2) for name in "ab"}
    x, found = torch.rand(3, 2), {}

    def loss() -> torch.Tensor:
        return networks["b"](networks["a"](x)).square().mean()

    def update(name: str, given: torch.Tensor) -> None:
        found[name] = torch.autograd.grad(given, [*networks[name].parameters()])

    update_jointly(loss(), networks, update)
    expected = torch.autograd.grad(loss(), [p for network in networks.values() for p in network.parameters()])
    torch.testing.assert_close((*found["a"], *found["b"]), expected)


def test_parameters_that_the_loss_does_not_reach_are_left() -> None:
    network = torch.nn.ModuleList([torch.nn.Linear(2, 1, bias=False), torch.nn.Linear(2, 1)])
    found = []

    def update(name: str, given: torch.Tensor) -> None:
        found.extend(torch.autograd.grad(given, [*network.parameters()], allow_unused=True))

    update_jointly(network[0](torch.ones(1, 2)).sum(), {"a": network}, update)
    assert found[0].tolist() == [[1, 1]]
    assert found[1:] == [None, None]
