"""ControlNet: its conditions as the library takes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.controlnet import ControlNet, InpaintControlNet, LabelControlNet
from bench.batch import Batch, Noise
from bench.errors import BenchError
from tests import pipelines
from tests.baselines.test_diffusers import STEPS, _one_thread, batch  # noqa: F401

METHODS = {"sketch": ControlNet, "semantics": LabelControlNet, "": InpaintControlNet}


def loaded(kind: type[ControlNet], name: str = "controlnet", **options: Any) -> ControlNet:
    method = kind.create("paper", steps=STEPS, **options)
    method.load_folder(pipelines.folder(name))
    assert isinstance(method, ControlNet)
    return method


def guided(count: int = 2) -> Batch:
    given = batch(count)
    lines = (given.image[:, :1] > 0.3).float()
    return given.guided(sketch=lines, semantics=(given.image[:, 0] * 9 + 9).byte())


def completed(method: ControlNet, given: Batch) -> Tensor:
    with torch.no_grad():
        return method.complete(given, Noise([7, 8, 9][: len(given)]))


@pytest.mark.parametrize("guide", METHODS)
@pytest.mark.parametrize("name", ["controlnet", "controlnet-9"])
def test_a_completion_is_the_library_s_own_bit_for_bit(guide: str, name: str) -> None:
    method, given = loaded(METHODS[guide], name), guided(1)
    if guide == "sketch":
        control = given.guides["sketch"].repeat(1, 3, 1, 1)
    elif guide:
        from bench.data.guides.semantics import PALETTE

        colours = torch.tensor([*PALETTE]) / 255
        control = colours[given.guides["semantics"].long()].permute(0, 3, 1, 2)
    else:
        control = torch.where(given.mask > 0, -torch.ones(()), (given.image + 1) / 2)
        assert float(control.min()) == -1
    own = pipelines.made(name)(
        prompt=[method.config.prompt], negative_prompt=[method.config.negative_prompt],
        image=(given.masked + 1) / 2, mask_image=given.mask, control_image=control, height=64, width=64,
        strength=1.0, num_inference_steps=STEPS, guidance_scale=7.5, controlnet_conditioning_scale=1.0,
        generator=[torch.Generator().manual_seed(7)], output_type="pt",
    ).images  # fmt: skip
    assert torch.equal(completed(method, given), own * 2 - 1)
    assert not torch.equal(completed(loaded(METHODS[guide], name, scale=0.5), given), own * 2 - 1)


@pytest.mark.parametrize("guide", METHODS)
def test_an_image_is_the_same_alone_and_in_a_batch(guide: str) -> None:
    method, given = loaded(METHODS[guide]), guided()
    assert float((completed(method, given)[:1] - completed(method, given.only(0))).abs().max()) / 2 < 3e-6


@pytest.mark.parametrize("guide", METHODS)
def test_pixels_under_the_hole_change_nothing(guide: str) -> None:
    method, given = loaded(METHODS[guide]), guided()
    other = replace(given, image=torch.where(given.mask > 0, torch.rand_like(given.image), given.image))
    assert torch.equal(completed(method, given), completed(method, other))


def test_pictures_keep_their_size() -> None:
    """The library rounds that of the picture down to a multiple of 8."""
    given = batch(1, 72).guided(sketch=torch.zeros(1, 1, 72, 72))
    assert completed(loaded(ControlNet), given).shape == given.image.shape
    with pytest.raises(BenchError, match="controlnet takes images with sides that are multiples of 8, not 100"):
        completed(loaded(ControlNet), batch(1, 100))


def test_a_controlnet_of_an_inpainting_network_is_refused(tmp_path: Path) -> None:
    """The library makes it, and fails in the call."""
    from diffusers import ControlNetModel

    pipeline = pipelines.made("controlnet-9")
    pipeline.controlnet = ControlNetModel.from_unet(pipeline.unet, conditioning_embedding_out_channels=(8,) * 4)
    pipeline.save_pretrained(tmp_path / "nine")
    method = ControlNet.create("paper")
    with pytest.raises(BenchError, match="controlnet takes 9 channels, not 4"):
        method.load_folder(tmp_path / "nine")


def test_a_folder_without_one_is_refused() -> None:
    with pytest.raises(BenchError, match=r"controlnet has no \.safetensors"):
        ControlNet.create("paper").load_folder(pipelines.folder("sd15"))
