"""How good a face looks, without an original: MUSIQ, MANIQA, CLIP-IQA and TOPIQ for faces, by the package pyiqa.

pyiqa's own loader takes files from the network by itself and may run what they hold. Here its networks are made empty
and filled with the tensors of files that `bench.weights` has found and checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from bench.errors import BenchError


def score(completed: Mapping[str, Tensor], truth: object, masks: Tensor | None) -> Tensor:
    """The quality of the completed images (N,), as the network gives it."""
    return completed["quality"].double()


def network(name: str, state: Mapping[str, Any]) -> nn.Module:
    """One of `NAMES`, as pyiqa 0.1.16 has it by default, with these weights: pictures (N, 3, H, W) in [0, 1] -> (N, 1).

    Raises BenchError where pyiqa or what it needs is not there, and RuntimeError where the weights do not fit.
    """
    try:
        return _MADE[name](state)
    except ImportError as error:
        raise BenchError(
            f"{name} needs pyiqa, and {error}: pip install 'face-inpaint-bench[quality]' (of pkg_resources: "
            "pip install 'setuptools<81')"
        ) from error


def _musiq(state: Mapping[str, Any]) -> nn.Module:
    from pyiqa.archs.musiq_arch import MUSIQ

    return _filled(MUSIQ(pretrained=False), state)


def _maniqa(state: Mapping[str, Any]) -> nn.Module:
    from pyiqa.archs import maniqa_arch

    made = maniqa_arch.timm.create_model
    with _replaced(
        maniqa_arch.timm, "create_model", lambda name, pretrained: made(name)
    ):  # its backbone would be fetched
        return _filled(maniqa_arch.MANIQA(train_dataset="koniq", scale=0.8, pretrained=False), state)


def _clipiqa(state: Mapping[str, Any]) -> nn.Module:
    from pyiqa.archs import clip_model, clipiqa_arch

    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    with _replaced(clipiqa_arch, "load", lambda name, device: clip_model.build_model(tensors).float()):
        return clipiqa_arch.CLIPIQA()


def _topiq(state: Mapping[str, Any]) -> nn.Module:
    """The whole picture is looked at: benchmarks of faces are aligned, and facexlib would fetch detectors."""
    from pyiqa.archs import topiq_arch

    with _replaced(topiq_arch, "FaceRestoreHelper", lambda *_args, **_kwargs: None):
        made = topiq_arch.CFANet(
            model_name="topiq_nr_cgfiqa_res50", use_ref=False, test_img_size=512, align_crop_face=False,
            backbone_pretrain=False, pretrained=False,
        )  # fmt: skip
    return _filled(made, state)


def _filled(made: nn.Module, state: Mapping[str, Any]) -> nn.Module:
    content = state.get("params", state)
    made.load_state_dict({name.removeprefix("module."): value for name, value in content.items()})
    return made


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


_MADE: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    "musiq": _musiq,
    "maniqa": _maniqa,
    "clipiqa": _clipiqa,
    "topiq-face": _topiq,
}
NAMES = tuple(_MADE)
