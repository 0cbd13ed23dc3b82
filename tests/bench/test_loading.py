"""A method is loaded as a run trained it, with official weights, or untrained; with its priors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from bench import registry
from bench.errors import BenchError
from bench.loading import load
from bench.model import Model
from bench.store import derive_seed
from tests.bench.test_export import call, run

AOT = {"method": "aot", "preset": "tiny"}
REPAINT = {"method": "repaint", "preset": "tiny", "options": {"steps": 3, "jump": 1, "resamplings": 2}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite in which methods stand on trained priors, one without training of its own; another has two models."""
    return run(
        tmp_path_factory.mktemp("loading"),
        size=64,
        data=[{"name": "synthfaces", "train": 4, "test": 2}],
        methods=["telea", {"method": "hierinv", "preset": "tiny"}, REPAINT, AOT, AOT | {"title": "Short", "steps": 1}],
        conditions=["center/25", "irregular/20-30"],
        train={"steps": 3, "batch": 2, "features": "embedded"},
        metrics=["psnr"],
    )


def exported(finished: Path) -> Path:
    folder = finished.parents[1] / "exported"
    if not folder.exists():
        call("export", "images", finished, "--to", folder, "--conditions", "center/25")
    return folder / "synthfaces/center_25"


@pytest.mark.parametrize("title", ["Telea", "HierInv", "RePaint", "AOT-GAN", "Short"])
def test_a_model_of_a_run_gives_the_pictures_of_the_run(finished: Path, title: str) -> None:
    """Bit for bit, so its weights, its priors' and its options are all there."""
    model, there = load(title, run=finished), exported(finished)
    assert model.size == 64
    for image in (there / "originals").iterdir():
        seed = derive_seed(0, "synthfaces", image.stem, "center/25")  # of the run: see `bench.task`
        made = np.asarray(model.complete(image, there / "masks" / image.name, seed=seed))
        assert np.array_equal(made, np.asarray(Image.open(there / title / image.name)))


def test_the_command_completes_with_a_model_of_a_run(finished: Path, tmp_path: Path) -> None:
    there = exported(finished)
    image = next((there / "originals").iterdir())
    made = tmp_path / "made.png"
    call("complete", "Short", image, there / "masks" / image.name, "--run", finished, "--out", made)
    assert np.array_equal(np.asarray(Image.open(made)), np.asarray(Image.open(there / "Short" / image.name)))


def test_several_models_are_told_apart_by_their_folders(finished: Path) -> None:
    with pytest.raises(BenchError, match=r"has 2 models of aot: give the folder of one as run") as told:
        load("aot", run=finished)
    lines = str(told.value).splitlines()[1:]
    assert [line.rpartition(": ")[2] for line in lines] == ["AOT-GAN on synthfaces", "Short on synthfaces"]
    folders = [Path(line.strip().partition(": ")[0]) for line in lines]
    for folder, title in zip(folders, ("AOT-GAN", "Short"), strict=True):
        ours, theirs = load("aot", run=folder).method.state_dict(), load(title, run=finished).method.state_dict()
        kept = load_file(folder / "weights.safetensors")
        assert all(torch.equal(ours[name], theirs[name]) and torch.equal(ours[name], kept[name]) for name in theirs)


def test_a_run_is_refused_with_the_reason(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"has completed nothing with 'lama': its methods are telea, hierinv, repaint"):
        load("lama", run=finished)
    with pytest.raises(BenchError, match=r"run.json is missing: give the folder of a suite"):
        load("aot", run=tmp_path)
    with pytest.raises(BenchError, match="a run says the preset"):
        load("telea", run=finished, preset="paper")
    jobs = finished.parent / "jobs"
    (train,) = jobs.glob("train-hierinv-*")
    with pytest.raises(BenchError, match=r"holds train hierinv \(tiny\) on synthfaces, and nothing of aot"):
        load("aot", run=train)
    (score, *_) = jobs.glob("score-telea-*")
    with pytest.raises(BenchError, match=r"and nothing of telea: give its folder"):
        load("telea", run=score)


def test_another_version_of_the_source_is_told(finished: Path, tmp_path: Path) -> None:
    jobs = shutil.copytree(finished.parent / "jobs", tmp_path / "jobs")
    train = next(jobs.glob("train-aot-*"))
    identity = json.loads((train / "job.json").read_text())
    (train / "job.json").write_text(json.dumps(identity | {"config": identity["config"] | {"gone": 1}}))
    with pytest.raises(BenchError, match="aot no longer has such options: its source has changed since"):
        load("aot", run=train)
    (train / "job.json").write_text(json.dumps(identity | {"config": identity["config"] | {"width": 4}}))
    with pytest.raises(BenchError, match=r"weights.safetensors does not fit aot: its source has changed since"):
        load("aot", run=train)


def test_what_must_be_trained_needs_a_source() -> None:
    with pytest.raises(BenchError, match=r"aot must be trained: give run=.* weights=.* or untrained=True"):
        load("aot")
    with pytest.raises(BenchError, match=r"repaint stands on adm, which must be trained: give run="):
        load("repaint", preset="tiny")
    with pytest.raises(BenchError, match="did you mean aot"):
        load("aott")
    with pytest.raises(BenchError, match="external shows finished pictures"):
        load("external")
    assert load("telea").method.card.slug == "telea"


def test_untrained_methods_have_their_priors_and_are_the_same_again() -> None:
    one, other = (load("hierinv", untrained=True, preset="tiny") for _ in range(2))
    state = other.method.state_dict()
    assert any("stylegan" in type(part).__module__ for part in one.method.modules())
    assert all(torch.equal(value, state[name]) for name, value in one.method.state_dict().items())


def test_a_sampler_takes_a_prior_that_is_given() -> None:
    prior = load("adm", untrained=True, preset="tiny")
    made = load("repaint", preset="tiny", priors={"adm": prior}).method
    assert made.networks()["network"] is prior.method.network


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An official file of StyleGAN2: for the test, in our own layout."""
    for slug in ("stylegan2", "hierinv"):
        cls = registry.get(slug).load()
        monkeypatch.setattr(
            cls, "load_official", lambda self, state: self.load_state_dict(state, strict=False) and None
        )
    path = tmp_path / "official.pt"
    torch.save(load("stylegan2", untrained=True, preset="tiny").method.state_dict(), path)
    return path


def test_priors_that_a_checkpoint_lacks_are_asked_for(checkpoint: Path) -> None:
    with pytest.raises(BenchError, match=r"the checkpoint of hierinv is without stylegan2: .*--prior stylegan2=FILE"):
        load("hierinv", weights=checkpoint, preset="tiny")
    with pytest.raises(BenchError, match="hierinv takes no prior psp: it takes stylegan2"):
        load("hierinv", untrained=True, preset="tiny", priors={"psp": checkpoint})
    prior = load("stylegan2", weights=checkpoint, preset="tiny")
    assert isinstance(prior, Model)
    for given in (checkpoint, prior):
        held = load("hierinv", untrained=True, preset="tiny", priors={"stylegan2": given}).method.state_dict()
        kept = {name.replace("generator.", "decoder."): value for name, value in prior.method.state_dict().items()}
        assert len(kept.keys() & held.keys()) > 20
        assert all(torch.equal(held[name], kept[name]) for name in kept.keys() & held.keys())
