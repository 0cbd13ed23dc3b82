"""Parameters and multiply-accumulates of a network, counted while it runs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_flop_count

VERSION = 2
"""Of what the numbers of a profile mean: raised when equal methods get others. 2: guides, memory and formulas."""


def count_parameters(module: nn.Module, learnable: bool = False) -> int:
    """Parameters of a module, each once; only those that a gradient reaches where `learnable`."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not learnable)


def count_macs(run: Callable[[Any], Any], network: nn.Module) -> float:
    """Multiply-accumulates of convolutions and matrix products in `run(network)`.

    The network is copied to the meta device, so nothing is computed; `run` makes its inputs there, for example
    `lambda net: net(torch.empty(1, 3, 256, 256))`.
    """
    there: dict[int, Tensor] = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in network.parameters()}
    there |= {id(b): b.to("meta") for b in network.buffers()}
    meta = copy.deepcopy(network, there).float().eval()  # no value is copied
    counter = FlopCounterMode(display=False, custom_mapping=_unknown())
    with torch.no_grad(), torch.device("meta"), counter:
        run(meta)
    return counter.get_total_flops() / 2


@dataclass(frozen=True)
class Operations:
    """Multiply-accumulates by kind.

    `fir`: convolutions whose kernel is one fixed filter shared by all channels (StyleGAN2's resampling); published
    counts leave them out. `fft`: half of the 5 n log2 n real operations that a complex transform of n points is
    taken to need, half of that again for real input or output. `calls`: of the network that they were counted in.
    """

    convolution: float = 0.0
    matrix: float = 0.0
    attention: float = 0.0
    fft: float = 0.0
    fir: float = 0.0
    calls: int = 0

    @property
    def total(self) -> float:
        """All kinds together."""
        return self.convolution + self.matrix + self.attention + self.fft + self.fir

    def __add__(self, other: Operations) -> Operations:
        return Operations(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Operations) -> Operations:
        return Operations(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


def count_operations(run: Callable[[], Any], networks: Mapping[str, nn.Module] | None = None) -> dict[str, Operations]:
    """The multiply-accumulates of everything that `run()` computes, also of functional calls.

    Returns them as a whole, under "", and for each of the `networks` by name: what runs while it is called. A network
    that is never called as a whole, only its parts, is left out.
    """
    counted: dict[str, list[Operations]] = {name: [] for name in networks or {}}
    hooks, started = [], {}
    with torch.no_grad(), _step_by_step(), _Counter() as counter:
        for name, network in (networks or {}).items():

            def enter(*_: Any, name: str = name) -> None:
                started[name] = counter.operations()

            def leave(*_: Any, name: str = name) -> None:
                counted[name].append(replace(counter.operations() - started[name], calls=1))

            hooks += [network.register_forward_pre_hook(enter), network.register_forward_hook(leave)]
        try:
            run()
        finally:
            for hook in hooks:
                hook.remove()
        whole = counter.operations()
    return {"": whole} | {name: sum(calls, Operations()) for name, calls in counted.items() if calls}


@contextmanager
def _step_by_step() -> Iterator[None]:
    """Attention layers in evaluation otherwise run as one operation, which torch's counter does not know."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Anywhere(nullcontext[None]):
    """In the place of torch's tracker of modules, which takes no leaf of the graph into a network."""

    parents = ("Global",)


class _Counter(FlopCounterMode):
    """torch's counter, with all that it does not know, and FIR filters apart."""

    def __init__(self) -> None:
        self.fir = 0.0
        aten = torch.ops.aten
        formulas: dict[Any, Any] = dict.fromkeys((aten.convolution, aten._convolution), self._convolution())
        formulas |= {aten.convolution_backward: self._convolution_backward()}
        formulas |= dict.fromkeys((aten._fft_r2c, aten._fft_c2r, aten._fft_c2c), _transform)
        super().__init__(display=False, custom_mapping=formulas | _unknown())
        self.mod_tracker = _Anywhere()  # type: ignore[assignment]

    def operations(self) -> Operations:
        """What has been counted until now."""
        macs = dict.fromkeys(("convolution", "fft", "attention", "matrix"), 0.0)
        for operation, flops in self.get_flop_counts().get("Global", {}).items():
            name = str(operation).replace("deform_conv2d", "convolution")
            kind = next((kind for kind in macs if kind in name), "matrix")
            macs[kind] += flops / 2
        return Operations(macs["convolution"], macs["matrix"], macs["attention"], macs["fft"], self.fir)

    def _convolution(self) -> Callable[..., float]:
        @_on_tensors
        def flops(x: Tensor, weight: Tensor, *rest: Any, out_val: Tensor, **_: Any) -> float:
            return self._passes(1, x, weight, out_val, rest[4])

        return flops

    def _convolution_backward(self) -> Callable[..., float]:
        """Each gradient costs what the convolution does; torch's own count of that of grouped weights is too high.

        See pytorch/pytorch#183405.
        """

        @_on_tensors
        def flops(gradient: Tensor, x: Tensor, weight: Tensor, *rest: Any, **_: Any) -> float:
            return self._passes(sum(rest[-1][:2]), x, weight, gradient, rest[4])

        return flops

    def _passes(self, times: int, x: Tensor, weight: Tensor, y: Tensor, transposed: bool) -> float:
        found = times * conv_flop_count(list(x.shape), list(weight.shape), list(y.shape), transposed=transposed)
        if weight.stride(0) == 0 and len(weight) > 1:  # one kernel, expanded over the channels
            self.fir += found / 2
            return 0
        return found


def _unknown() -> dict[Any, Callable[..., float]]:
    """Formulas of what torch's counter does not know.

    That is attention on a CPU before torch 2.15; deformable convolution, of which where to read is not charged; and
    products of vectors, sums of products, distances, bilinear and recurrent layers, of the last their pass forward.
    """
    from torchvision.ops import deform_conv2d  # noqa: F401  registers the operation

    Shape = Sequence[int]

    def attention(query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any) -> float:
        return sdpa_flop_count(query, key, value)

    def deformable(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> float:
        return 2.0 * math.prod(out_shape) * math.prod(weight[1:])

    def vectors(first: Shape, *_: Any, **__: Any) -> float:
        return 2.0 * math.prod(first)

    def added_vector(_: Shape, matrix: Shape, *__: Any, **___: Any) -> float:
        return 2.0 * math.prod(matrix)

    def added_products(_: Shape, first: Shape, second: Shape, *__: Any, **___: Any) -> float:
        return 2.0 * math.prod(first) * second[-1]

    def distances(first: Shape, *_: Any, out_shape: Shape, **__: Any) -> float:
        return 2.0 * math.prod(out_shape) * first[-1]

    def trilinear(*given: Any, **_: Any) -> float:
        shapes = []  # with the axes of length 1 along which each is expanded
        for shape, added in zip(given[:3], given[3:6], strict=True):
            sides = iter(shape)
            shapes.append([1 if axis in added else next(sides) for axis in range(len(shape) + len(added))])
        return 2.0 * math.prod(map(max, *shapes))

    def recurrent(x: Shape, *weights: Any, **_: Any) -> float:
        """The inputs of all steps, which weights of several layers stand in one list and those of one do not."""
        several = weights[0] if isinstance(weights[0], list) else weights[:2]
        return 2.0 * math.prod(x[:-1]) * sum(math.prod(weight) for weight in several if len(weight) == 2)

    aten = torch.ops.aten
    return {
        aten._scaled_dot_product_flash_attention_for_cpu: attention,
        torch.ops.torchvision.deform_conv2d: deformable,
        **dict.fromkeys((aten.mv, aten.dot, aten.vdot), vectors),
        aten.addmv: added_vector,
        aten.addbmm: added_products,
        **dict.fromkeys((aten._euclidean_dist, aten._cdist_forward), distances),
        aten._trilinear: trilinear,
        **dict.fromkeys((aten.mkldnn_rnn_layer, aten._cudnn_rnn), recurrent),
    }


def _on_tensors(formula: Callable[..., float]) -> Callable[..., float]:
    """Ask torch's counter for tensors instead of shapes."""
    formula._get_raw = True  # type: ignore[attr-defined]
    return formula


@_on_tensors
def _transform(x: Tensor, dims: list[int], *_: Any, out_val: Tensor, **__: Any) -> float:
    real = not (x.is_complex() and out_val.is_complex())
    larger = x if x.numel() >= out_val.numel() else out_val
    points = math.prod(larger.shape[d] for d in dims)
    return (2.5 if real else 5.0) * larger.numel() * math.log2(max(points, 2))
