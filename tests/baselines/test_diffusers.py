"""Pipelines of the library diffusers behind the contract of the benchmark: tiny ones, saved by the library itself.

Each trap that was seen in the library has a test here: see `baselines/diffusers`.
"""

from __future__ import annotations

import inspect
import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

import facebench
from baselines.controlnet import ControlNet
from baselines.diffusers import Diffusers
from baselines.diffusers import folder as folders
from baselines.diffusers.cells import seen, widened
from baselines.diffusers.families import FAMILIES
from baselines.diffusers.schedulers import SAMPLERS, TRAINED
from bench import identity, jobs, results, suite, weights
from bench.batch import Batch, Noise
from bench.errors import BenchError
from bench.profile import count_operations
from bench.runner.execute import Options, execute
from bench.suite import Entry
from tests import pipelines

STEPS = 2
SEEDS = [7, 8, 9]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder of a tiny pipeline to change."""
    return Path(shutil.copytree(pipelines.folder("sd15-inpaint"), tmp_path / "pipeline"))


def loaded(folder: Path | None = None, preset: str = "sd15-inpaint", **options: Any) -> Diffusers:
    method = Diffusers.create(preset, **{"steps": STEPS} | options)
    method.load_folder(folder or pipelines.folder(preset))
    assert isinstance(method, Diffusers)
    return method


def batch(count: int = 3, size: int = 64) -> Batch:
    """Pictures, and holes whose edges are not those of the network's cells."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(count, 3, 8, 8, generator=generator) * 2 - 1, size, mode="bicubic").clamp(-1, 1)
    mask = torch.zeros(count, 1, size, size)
    mask[:, :, 17:43, 11:50] = 1
    return Batch(image, mask, ids=tuple(f"{i}.png" for i in range(count)))


def completed(method: Diffusers, given: Batch, seeds: list[int] | None = None) -> Tensor:
    with torch.no_grad():
        return method.complete(given, Noise(seeds or SEEDS[: len(given)]))


def tensors(folder: Path, part: str) -> Path:
    (path,) = (folder / part).glob("*.safetensors")
    return path


def change(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes one away."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


# the library's own call

FLOW = ["sd3", "z-image"]
AT_64 = ["sd15-inpaint", "sd15", "sdxl-inpaint", *FLOW, "flux-fill", "kandinsky22-inpaint"]


def own(preset: str, method: Diffusers, given: Batch, scheduler: Any = None) -> Tensor:
    """The library's call with the same words, pictures and generators, as its documentation has it."""
    pipeline, words = pipelines.made(preset), method.config
    pipeline.scheduler = scheduler or pipeline.scheduler
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS[: len(given)]]
    texts: dict[str, Any] = {"prompt": [words.prompt] * len(given)}
    if preset != "flux-fill":
        texts["negative_prompt"] = [words.negative_prompt] * len(given)
    if preset == "kandinsky22-inpaint":
        (generator,) = generators
        return pipeline(
            **texts, image=given.masked, mask_image=given.mask.clone(), height=64, width=64, num_inference_steps=STEPS,
            guidance_scale=4.0, generator=generator, output_type="pt",
        ).images  # fmt: skip
    if preset == "qwen-image-edit":
        (generator,) = generators
        pixels = ((given.masked[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        return 2 * pipeline(
            **texts, image=Image.fromarray(pixels), mask_image=given.mask, strength=1.0, num_inference_steps=STEPS,
            true_cfg_scale=4.0, generator=generator, output_type="pt",
        ).images - 1  # fmt: skip
    side = given.image.shape[-1]
    guidance = {"sd3": 7.0, "z-image": 5.0, "flux-fill": 30.0}.get(preset, 7.5)
    return pipeline(
        **texts, image=(given.masked + 1) / 2, mask_image=given.mask, height=side, width=side, strength=1.0,
        num_inference_steps=STEPS, guidance_scale=guidance, generator=generators, output_type="pt",
    ).images * 2 - 1  # fmt: skip


@pytest.mark.parametrize("preset", AT_64)
def test_a_completion_is_the_library_s_own_bit_for_bit(preset: str) -> None:
    method, given = loaded(preset=preset), batch(1)
    assert torch.equal(completed(method, given), own(preset, method, given))


@pytest.mark.slow
def test_a_completion_of_a_large_image_is_the_library_s_own() -> None:
    """This pipeline brings every picture to the area of 1024 x 1024."""
    with pytest.raises(BenchError, match="images of 1024 x 1024"):
        completed(loaded(preset="qwen-image-edit"), batch(1))
    method, given = loaded(preset="qwen-image-edit"), batch(1, 1024)
    first = completed(method, given)
    assert torch.equal(first, own("qwen-image-edit", method, given))
    other = replace(given, image=torch.where(given.mask > 0, torch.rand_like(given.image), given.image))
    assert torch.equal(first, completed(method, other))


def test_the_sampler_is_the_published_one_whatever_the_folder_names(copied: Path) -> None:
    before = completed(loaded(), batch())
    change(copied / "scheduler/scheduler_config.json", _class_name="DDIMScheduler", steps_offset=0, clip_sample=True)
    assert torch.equal(completed(loaded(copied), batch()), before)
    assert not torch.equal(completed(loaded(copied, scheduler="ddim"), batch()), before)


# pictures, masks and noise


def apart(method: Diffusers, given: Batch, seeds: list[int] | None = None) -> Tensor:
    """How far pictures in [0, 1] are from themselves completed alone."""
    seeds = seeds or SEEDS
    alone = torch.cat([completed(method, given.only(i), [seed]) for i, seed in enumerate(seeds)])
    return (completed(method, given, seeds) - alone).abs() / 2


@pytest.mark.parametrize("preset", AT_64)
def test_an_image_is_the_same_alone_and_in_a_batch(preset: str) -> None:
    """Seen: the same bits. The library's own call moves by up to 6.1e-6: linear layers sum in another order for another
    number of rows, and a guidance of 7.5 makes the rounding of a pass 14 times as large."""
    method, given = loaded(preset=preset), batch()
    assert float(apart(method, given).max()) < 3e-6
    given = replace(given, image=given.image.double(), mask=given.mask.double())
    assert float(apart(method.double(), given).max()) < 1e-8


def test_bfloat16_is_within_two_levels_of_itself_in_a_batch() -> None:
    method, given = loaded(precision="bfloat16"), batch()
    assert {parameter.dtype for parameter in method.parameters()} == {torch.bfloat16}
    levels = apart(method, given) * 255
    print(f"bfloat16 alone against in a batch: {levels.mean():.2f} levels of 255, at most {levels.max():.2f}")
    assert levels.mean() < 2
    both = completed(method, given)
    assert both.dtype == torch.float32
    assert float((both - completed(loaded(), given)).abs().max()) > 0


def test_one_stream_for_a_whole_batch_is_enough() -> None:
    """Costs are measured so; the library takes one generator an image and no other number of them."""
    method, given = loaded(), batch(2)
    given = replace(given, image=given.image[[0, 0]])
    with torch.no_grad():
        first, second = (method.complete(given, Noise.shared(0, 2)) for _ in range(2))
    assert torch.equal(first, second)
    assert float((first[0] - first[1]).abs().max()) > 0.01  # each image has numbers of its own


@pytest.mark.parametrize(
    ("preset", "options"),
    [*((preset, {}) for preset in AT_64), ("sd15-inpaint", {"strength": 0.5}), ("sd15", {"strength": 0.5})],
)
def test_pixels_under_the_hole_change_nothing(preset: str, options: dict[str, Any]) -> None:
    """Without a mask among its inputs, or below strength 1, the library starts from them."""
    method, given = loaded(preset=preset, **options), batch()
    other = replace(given, image=torch.where(given.mask > 0, torch.rand_like(given.image), given.image))
    assert torch.equal(completed(method, given), completed(method, other))


def test_a_bright_picture_is_not_taken_for_one_in_another_range() -> None:
    """The library takes a batch without a value below 0 for one in [0, 1]."""
    given = batch(2)
    bright = given.image.clone()
    bright[0] = bright[0].abs()
    given = replace(given, image=bright)
    assert float(given.only(0).masked.min()) >= 0 > float(given.only(1).masked.min())
    method = loaded()
    alone = completed(method, given.only(0), [7])
    torch.testing.assert_close(alone, completed(method, given, [7, 8])[:1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [40, 72])
def test_pictures_keep_their_size(size: int) -> None:
    """The library makes those of its network's own size, 64 here."""
    given = batch(1, size)
    assert completed(loaded(), given).shape == given.image.shape


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 8, not 100 x 100"):
        completed(loaded(), batch(1, 100))


def test_other_seeds_give_other_pictures_and_the_same_the_same() -> None:
    method, given = loaded(), batch(2)
    first = completed(method, given, [1, 2])
    assert torch.equal(first, completed(method, given, [1, 2]))
    other = completed(method, given, [1, 3])
    torch.testing.assert_close(first[:1], other[:1], atol=1e-5, rtol=0)
    assert float((first[1] - other[1]).abs().max()) > 0.01


@pytest.mark.parametrize("preset", ["sd15-inpaint", "kandinsky22-inpaint"])
def test_one_stream_of_numbers_for_all_images_is_taken(preset: str) -> None:
    """As in training and where time is measured; the library refuses it."""
    method = loaded(preset=preset)
    with torch.no_grad():
        done = method.complete(batch(2), Noise.shared(0, 2))
    assert done.shape == (2, 3, 64, 64) and torch.isfinite(done).all()
    assert not torch.equal(done[0], done[1])


@pytest.mark.parametrize("preset", [*AT_64, "controlnet"])
def test_pictures_of_the_latents_are_shown_on_the_way(preset: str) -> None:
    if preset == "controlnet":
        method: Diffusers = ControlNet.create(steps=3)  # type: ignore[assignment]
        method.load_folder(pipelines.folder(preset))
    else:
        method = loaded(preset=preset, steps=3)
    given = batch(2)
    given = given.guided(sketch=(given.image[:, :1] > 0).float())
    with torch.no_grad():
        shown = method.steps(given, Noise(SEEDS[:2]))
    assert len(shown) == (4 if method.config.scheduler == "pndm" else 3)  # as often as it calls its network
    assert torch.equal(shown[-1], completed(method, given))
    assert {one.shape for one in shown} == {given.image.shape}
    assert all(not torch.equal(one, other) for one, other in pairwise(shown))


def test_a_picture_on_the_way_is_what_the_library_decodes() -> None:
    method, given, kept = loaded(steps=9, scheduler="ddim"), batch(2), []
    pipeline = method.pipeline
    with torch.no_grad():
        shown = method.steps(given, Noise(SEEDS[:2]))
        embeds = {"prompt": [method.config.prompt] * 2, "negative_prompt": [method.config.negative_prompt] * 2}
        pipeline(
            **embeds, image=(given.masked + 1) / 2, mask_image=given.mask.clone(), height=64, width=64, strength=1.0,
            num_inference_steps=9, guidance_scale=7.5, output_type="latent",
            generator=[torch.Generator().manual_seed(seed) for seed in SEEDS[:2]],
            callback_on_step_end=lambda _, step, time, tensors: kept.append(tensors["latents"]) or {},
        )  # fmt: skip
        pictures = [method.vae.decode(z / method.vae.config.scaling_factor).sample.clamp(-1, 1) for z in kept]
    assert len(shown) == 6
    for one, i in zip(shown, (1, 2, 4, 5, 7, 8), strict=True):
        torch.testing.assert_close(one, pictures[i], atol=1e-5, rtol=0)


def test_sentences_take_the_place_of_the_prompt() -> None:
    method, given = loaded(), batch(2)
    told = completed(method, given.guided(text=(method.config.prompt, "a beard")))
    plain = completed(method, given)
    torch.testing.assert_close(told[:1], plain[:1], atol=1e-5, rtol=0)
    assert not torch.allclose(told[1:], plain[1:], atol=1e-4)


# what the network sees of a mask


def test_kandinsky_s_holes_grow_by_a_cell() -> None:
    from diffusers.pipelines.kandinsky2_2.pipeline_kandinsky2_2_inpainting import prepare_mask

    mask = (torch.rand(3, 1, 64, 128, generator=torch.Generator().manual_seed(0)) < 0.1).float()
    taken = 1 - prepare_mask(1 - F.interpolate(mask, (8, 16)))
    assert torch.equal(seen(mask, 8, "around"), F.interpolate(taken, (64, 128)))
    assert not torch.equal(seen(mask, 8, "around"), seen(mask, 8, "corner"))


@pytest.mark.parametrize("preset", AT_64)
def test_families_say_what_their_network_sees(preset: str) -> None:
    method = loaded(preset=preset, prompt="a face")
    completed(method, batch(1))
    told = " ".join(method.remarks())
    assert ("lay in cells" in told) == (preset != "flux-fill")
    assert ("sees no mask" in told) == (preset in ("sd15", *FLOW))


def test_it_is_told_what_the_network_saw_of_the_holes() -> None:
    """One pixel of 64, as the library's own resize of a mask to the size of its latents."""
    method, given = loaded(), batch()
    assert not method.remarks()
    for _ in range(2):  # the harness completes some images several times
        completed(method, given)
    seen = F.interpolate(F.interpolate(given.mask, (8, 8)), (64, 64))
    lost = float((given.mask * (1 - seen)).sum() / given.mask.sum())
    assert 0.1 < lost < 0.9
    assert f": {lost:.1%} of the holes' pixels lay in cells that it took for known" in method.remarks()[0]


def test_cells_may_be_hole_as_a_whole() -> None:
    method, given = loaded(cells="maximum"), batch()
    wide = torch.zeros_like(given.mask)
    wide[:, :, 16:48, 8:56] = 1
    assert torch.equal(widened(given.mask, 8), wide)
    assert torch.equal(completed(method, given), completed(loaded(), replace(given, image=given.masked, mask=wide)))
    assert f"{wide.sum() / given.mask.sum():.2f} times the holes" in method.remarks()[0]


def test_rows_say_what_else_their_network_does() -> None:
    short = {"prompt": "a face", "negative_prompt": ""}  # letters are tokens here
    methods = {
        "": loaded(**short),
        "sees no mask": loaded(preset="sd15", **short),
        "strength 0.5: it starts from the grey": loaded(strength=0.5, **short),
        "the end was cut off": loaded(prompt="a sentence of more than 77 tokens " * 3, negative_prompt=""),
    }
    for said, method in methods.items():
        completed(method, batch(1))
        told = " ".join(method.remarks())
        assert {other for other in methods if other in told} == {"", said}


# loading


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_folder_that_lacks_a_tensor_is_refused_by_name(copied: Path, part: str) -> None:
    """The library fills it with whatever lies in memory, and completes."""
    path = tensors(copied, part)
    content = load_file(path)
    name = sorted(content)[3]
    del content[name]
    save_file(content, path, {"format": "pt"})
    with pytest.raises(BenchError, match=f"{part} does not fit .*missing keys {name}, 1 in all"):
        loaded(copied)
    save_file({**content, "stranger": torch.zeros(1), name: torch.zeros(1)}, path, {"format": "pt"})
    with pytest.raises(BenchError, match=f"{part} does not fit"):
        loaded(copied)


@pytest.mark.parametrize("preset", [preset for preset in Diffusers.presets if preset in pipelines.MADE])
def test_every_part_of_every_family_is_read_strictly(preset: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pipelines.folder(preset), tmp_path / "pipeline"))
    family = Diffusers.presets[preset].served
    assert {path.parent.name for path in folder.glob("*/*.safetensors")} == {*family.networks}
    for part in family.networks:
        path = tensors(folder, part)
        content = load_file(path)
        name = sorted(content)[0]
        save_file({key: value for key, value in content.items() if key != name}, path, {"format": "pt"})
        with pytest.raises(BenchError, match=rf"{part} does not fit .*missing keys .*{name.split('.')[-1]}"):
            loaded(folder, preset)
        save_file(content, path, {"format": "pt"})


def test_values_that_are_not_finite_are_refused(copied: Path) -> None:
    path = tensors(copied, "unet")
    content = load_file(path)
    content["conv_in.bias"][0] = torch.nan
    save_file(content, path, {"format": "pt"})
    with pytest.raises(BenchError, match=r"`conv_in.bias` holds values that are not finite"):
        loaded(copied)


def test_damaged_files_are_named(copied: Path) -> None:
    tensors(copied, "vae").write_bytes(b"damaged")
    with pytest.raises(BenchError, match="vae does not fit AutoencoderKL"):
        loaded(copied)


def test_old_names_of_the_text_encoder_and_the_autoencoder_are_taken(copied: Path) -> None:
    before = completed(loaded(), batch())
    path = tensors(copied, "text_encoder")
    content = {f"text_model.{name}": value for name, value in load_file(path).items()}
    content["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(content, path, {"format": "pt"})
    path, old = tensors(copied, "vae"), {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    content = load_file(path)
    for new, name in old.items():
        content = {key.replace(f".{new}.", f".{name}."): value for key, value in content.items()}
    assert content.keys() != load_file(path).keys()
    save_file(content, path, {"format": "pt"})
    assert torch.equal(completed(loaded(copied), batch()), before)


@pytest.mark.parametrize("named", [False, True])
def test_half_precision_files_become_float(copied: Path, named: bool) -> None:
    """All of them; the library leaves the text encoder half, and fails at the first call."""
    for part in ("unet", "vae", "text_encoder"):
        path = tensors(copied, part)
        half = {name: value.half() for name, value in load_file(path).items()}
        path.unlink()
        save_file(half, path.with_suffix(".fp16.safetensors") if named else path, {"format": "pt"})
    change(copied / "text_encoder/config.json", dtype="float16")
    method = loaded(copied)
    assert {parameter.dtype for parameter in method.parameters()} == {torch.float32}
    whole = loaded()
    for name, value in whole.named_parameters():
        assert torch.equal(method.get_parameter(name), value.half().float())
    assert torch.isfinite(completed(method, batch(1))).all()


def test_files_that_may_hold_code_are_not_read(copied: Path) -> None:
    path = tensors(copied, "unet")
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(BenchError, match=r"unet has no .safetensors: diffusion_pytorch_model.bin may hold code"):
        loaded(copied)


def test_parts_are_of_declared_classes_whatever_the_folder_says(copied: Path) -> None:
    """An index may name modules that run, a safety checker that is not there, and readers of the past."""
    before = completed(loaded(), batch())
    old = {
        "safety_checker": ["stable_diffusion", "Checker"],
        "feature_extractor": ["transformers", "CLIPFeatureExtractor"],
    }
    change(copied / "model_index.json", unet=["subprocess", "Popen"], **old)
    change(copied / "unet/config.json", _class_name="Popen")
    assert torch.equal(completed(loaded(copied), batch()), before)


def test_other_pipelines_are_refused_with_those_that_are_served(copied: Path) -> None:
    change(copied / "model_index.json", _class_name="AudioLDMPipeline")
    with pytest.raises(
        BenchError, match=r"AudioLDMPipeline, which is not served; .*sd \(StableDiffusionInpaintPipeline"
    ):
        loaded(copied)


def test_a_hub_name_is_not_fetched() -> None:
    with pytest.raises(BenchError, match=r"hub/name is no folder: weights are the folder of a pipeline"):
        loaded(Path("hub/name"))
    for fetch in (lambda: weights.fetch("sd15-inpaint"), lambda: weights.add("sd15-inpaint", Path("somewhere"))):
        with pytest.raises(BenchError) as told:
            fetch()
        for part in ("4.3 GB", "OpenRAIL-M", "`hf download stable-diffusion-v1-5/stable-diffusion-inpainting"):
            assert part in str(told.value)


@pytest.mark.parametrize("file", ["unet/config.json", "scheduler/scheduler_config.json", "model_index.json"])
def test_a_file_that_is_missing_is_named(copied: Path, file: str) -> None:
    (copied / file).unlink()
    with pytest.raises(BenchError, match=file):
        loaded(copied)


def test_the_noise_that_a_network_was_trained_with_is_not_guessed(copied: Path) -> None:
    change(copied / "scheduler/scheduler_config.json", beta_schedule=None)
    with pytest.raises(BenchError, match=r"scheduler_config.json lacks beta_schedule"):
        loaded(copied)


def test_old_files_of_a_tokenizer_are_read_and_empty_ones_refused(copied: Path) -> None:
    """The library makes a tokenizer of two tokens of an empty folder, and one without a limit of files of the past."""
    before, place = completed(loaded(), batch()), copied / "tokenizer"
    vocabulary = pipelines.clip_tokenizer().get_vocab()
    for path in place.iterdir():
        path.unlink()
    with pytest.raises(BenchError, match=r"tokenizer has no tokenizer.json, nor merges.txt and vocab.json"):
        loaded(copied)
    (place / "vocab.json").write_text(json.dumps(vocabulary))
    (place / "merges.txt").write_text("#version: 0.2\n")
    assert torch.equal(completed(loaded(copied), batch()), before)
    (place / "vocab.json").write_text(json.dumps(vocabulary | {f"more{i}": len(vocabulary) + i for i in range(9)}))
    with pytest.raises(BenchError, match="tokenizer has 199 tokens, its text encoder 190"):
        loaded(copied)


def test_networks_of_other_shapes_are_refused(tmp_path: Path) -> None:
    pipelines.stable_diffusion(5).save_pretrained(tmp_path / "five")
    with pytest.raises(BenchError, match="unet takes 5 channels: StableDiffusionInpaintPipeline gives it 9 or 4"):
        loaded(tmp_path / "five")


def test_nothing_is_printed(copied: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No bars of loading or steps, and no log lines on what is cut off or not used."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", records.append)
    folders.library("CLIPTokenizer")  # makes the loggers
    for name in ("diffusers", "transformers"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [handler])
    capfd.readouterr()
    completed(loaded(copied), batch(1))  # with words that are cut off
    told = capfd.readouterr()
    assert told.out == "" and told.err == "" and not records
    pipelines.clip_tokenizer()("a word" * 90)
    assert records


# schedulers


@pytest.mark.parametrize("sampler", FAMILIES["sd"].samplers)
def test_every_field_of_a_scheduler_is_named(sampler: str) -> None:
    """The library fills those that a file lacks: DDIM then clips latents to [-1, 1]."""
    name, declared = SAMPLERS[sampler]
    assert declared is not None
    taken = set(inspect.signature(folders.library(name).__init__).parameters) - {"self"}
    assert {*declared, *TRAINED, "trained_betas", "prediction_type"} == taken
    told = loaded(scheduler=sampler).pipeline.scheduler.config
    assert all(told[key] == value for key, value in declared.items())  # the pipeline's constructor changes some


@pytest.mark.parametrize(
    ("sampler", "kind", "fields"),
    [
        ("ddim", "DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}),
        ("euler", "EulerDiscreteScheduler", {"steps_offset": 1, "timestep_spacing": "leading"}),
    ],
)
def test_a_sampler_is_the_library_s_own_with_the_published_fields(sampler: str, kind: str, fields: Any) -> None:
    method, given = loaded(scheduler=sampler), batch(1)
    scheduler = folders.library(kind)(**pipelines.NOISE, **fields)
    assert torch.equal(completed(method, given), own("sd15-inpaint", method, given, scheduler))


@pytest.mark.parametrize("preset", [*FLOW, "flux-fill", "kandinsky22-inpaint"])
def test_schedulers_of_a_folder_are_of_one_class(preset: str, tmp_path: Path) -> None:
    """Fields of another class mean other things."""
    folder = Path(shutil.copytree(pipelines.folder(preset), tmp_path / "pipeline"))
    change(folder / "scheduler/scheduler_config.json", _class_name="DDIMScheduler")
    with pytest.raises(BenchError, match=r"scheduler_config.json is of DDIMScheduler, not of"):
        loaded(folder, preset)


def test_steps_that_strength_leaves_none_of_are_refused() -> None:
    with pytest.raises(BenchError, match="leave none"):
        Diffusers.create("sd15-inpaint", steps=4, strength=0.2)


@pytest.mark.parametrize(
    ("preset", "option"),
    [
        ("kandinsky22-inpaint", {"strength": 0.5}),
        ("flux-fill", {"negative_prompt": "x"}),
        ("sd3", {"scheduler": "ddim"}),
    ],
)
def test_options_that_a_pipeline_does_not_take_are_refused(preset: str, option: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match=f"{Diffusers.presets[preset].family} takes"):
        Diffusers.create(preset, **option)


# the benchmark's side


def test_networks_are_sub_modules() -> None:
    method = loaded()
    assert list(method.networks()) == ["vae", "text_encoder", "unet"]
    method.double()
    given = batch(1)
    given = replace(given, image=given.image.double(), mask=given.mask.double())
    assert completed(method, given).dtype == torch.float64


def test_operations_of_every_step_are_counted() -> None:
    """PNDM passes its second time twice: 51 for 50 steps."""
    macs = []
    for steps, scheduler in ((1, "ddim"), (3, "ddim"), (3, "pndm")):
        method = loaded(steps=steps, scheduler=scheduler)
        counted = count_operations(lambda method=method: completed(method, batch(1)), method.networks())
        assert counted[""].attention + counted[""].matrix > 0
        macs.append(counted["unet"].total)
    assert [one / macs[0] for one in macs] == [1, 3, 4]


OFFICIAL = """
import resource, sys, torch
from pathlib import Path
from baselines.controlnet import ControlNet
from baselines.diffusers import Diffusers
from bench.batch import Batch, Noise
from bench.profile import count_parameters
method = Diffusers.create("sd15-inpaint", steps=2, scheduler="ddim")
method.load_folder(Path(sys.argv[1]))
print({name: count_parameters(network) for name, network in method.networks().items()})
mask = torch.zeros(1, 1, 256, 256)
mask[:, :, 64:192, 64:192] = 1
with torch.no_grad():
    done = method.complete(Batch(torch.zeros(1, 3, 256, 256), mask), Noise([0]))
print(done.shape == (1, 3, 256, 256) and bool(torch.isfinite(done).all()))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
def test_official_sizes_load_and_complete_within_20_gigabytes(tmp_path: Path) -> None:
    pipelines.official_size().save_pretrained(tmp_path)
    done = subprocess.run([sys.executable, "-c", OFFICIAL, str(tmp_path)], capture_output=True, text=True, check=True)
    counted, sound, gigabytes = done.stdout.splitlines()
    assert counted == "{'vae': 83653863, 'text_encoder': 123060480, 'unet': 859535364}"
    assert sound == "True"
    assert float(gigabytes) < 20


def test_without_a_folder_it_says_what_to_give() -> None:
    with pytest.raises(BenchError, match="say the folder of a pipeline as weights: DIR"):
        completed(Diffusers.create("paper"), batch(1))
    content = {"suite": "x", "data": [{"name": "synthfaces", "train": 8, "test": 4}], "conditions": ["center/25"]}
    content |= {"metrics": ["psnr"]}
    with pytest.raises(BenchError, match="diffusers has no networks of its own: give a folder"):
        jobs.plan(suite.parse(content | {"size": 64, "methods": ["diffusers"]}, "x"), Path("nowhere"))
    row = {"method": "diffusers", "weights": "DIR"}
    small = suite.smoke(content | {"methods": [row, "mean"], "smoke": {"conditions": ["center/25"]}})
    assert small["methods"] == [{"method": "mean"}, {"method": "telea"}]


def test_without_the_extra_it_is_listed_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, baselines.diffusers; print({'diffusers', 'transformers'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
    path = pipelines.folder("sd15-inpaint")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(BenchError, match=r"pip install 'face-inpaint-bench\[diffusion\]'"):
        loaded(path)


def test_what_is_read_of_a_folder_decides_a_job_and_nothing_else(copied: Path) -> None:
    entry = Entry(method="diffusers", weights=copied)

    def decided() -> str:
        return identity.of_model(entry, Diffusers.presets["paper"], {})["weights"]

    before = decided()
    (copied / "README.md").write_text("words")
    (copied / "unet/diffusion_pytorch_model.bin").write_text("words")
    (copied / "unet/diffusion_pytorch_model.non_ema.safetensors").write_text("words")
    assert decided() == before
    for file in ("scheduler/scheduler_config.json", "vae/config.json", "tokenizer/tokenizer.json"):
        path = copied / file
        path.write_text(path.read_text() + " ")
        assert decided() != before
        before = decided()
    path = tensors(copied, "vae")
    content = load_file(path)
    save_file(content | {"encoder.conv_in.bias": content["encoder.conv_in.bias"] + 1}, path, {"format": "pt"})
    assert decided() != before


def test_a_picture_is_completed_from_python() -> None:
    given = batch(1)
    model = facebench.load(
        "diffusers",
        weights=pipelines.folder("sd15-inpaint"),
        preset="sd15-inpaint",
        options={"steps": STEPS},
        device="cpu",
    )
    picture = model.complete(given.image[0], given.mask[0])
    assert picture.size == (64, 64)
    with pytest.raises(BenchError, match="weights are the folder of a pipeline"):
        facebench.load("diffusers", weights=tensors(pipelines.folder("sd15-inpaint"), "vae"), device="cpu")


def test_a_row_of_a_suite(tmp_path: Path) -> None:
    """Completed at 64 px in a suite of 32, with its remark under its numbers."""
    row = {
        "method": "diffusers", "preset": "sd15-inpaint", "weights": str(pipelines.folder("sd15-inpaint")), "at": 64,
        "options": {"steps": 1},
    }  # fmt: skip
    content = {
        "suite": "small", "size": 32, "data": [{"name": "synthfaces", "train": 8, "test": 3}], "methods": [row],
        "conditions": ["irregular/20-30"], "metrics": ["l1@hole"], "report": {"main": ["l1@hole"], "samples": 0},
    }  # fmt: skip
    made = jobs.plan(suite.parse(content, "small"), tmp_path)
    for job in made.jobs:
        made.job_folder(job.id).mkdir(parents=True, exist_ok=True)
        execute(made, job, Options(device="cpu", workers=0))
    (note,) = results.rows(made, made.scores)["note"].unique()
    assert "of the holes' pixels lay in cells that it took for known" in note
    assert "untrained" not in note and "global random generators" not in note
