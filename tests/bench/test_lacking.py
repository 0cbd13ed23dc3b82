"""What is not on the machine is told before a run, and in its plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import jobs, lacking, registry, suite
from bench.errors import BenchError
from bench.weights import INDEX, folder

CONTENT = {
    "suite": "lacks",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 8, "test": 4}],
    "methods": ["mean", {"method": "aot", "steps": 1}],
    "conditions": ["center/25"],
    "metrics": ["psnr", "lpips@vgg", "niqe"],
}


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path / "weights"))


def test_files_of_losses_and_metrics_are_named_with_what_stands_on_them(tmp_path: Path) -> None:
    told = list(lacking.told(jobs.plan(suite.parse(CONTENT, "x"), tmp_path)))
    assert [line.partition(": the pretrained file ")[0] for line in told] == [
        "the training of AOT-GAN",
        "lpips@vgg",
        "niqe",
    ]
    assert all(str(folder()) in line or "facebench weights fetch" in line for line in told)
    assert ["or train without it" in line for line in told] == [True, False, False]


def test_what_is_not_needed_is_not_told(tmp_path: Path) -> None:
    made = jobs.plan(suite.parse(CONTENT | {"train": {"features": "embedded"}, "metrics": ["psnr"]}, "x"), tmp_path)
    assert list(lacking.told(made)) == []


@pytest.mark.parametrize("slug", ["aot", "pconv"])
def test_the_training_asks_for_the_file_that_is_told(slug: str) -> None:
    loaded = registry.get(slug).load()
    with pytest.raises(BenchError) as caught:
        loaded.create("tiny").stages("official")[0].optimisers()
    assert any(INDEX[name].filename in str(caught.value) for name in lacking.of_losses(slug))


def test_networks_that_recognise_faces_and_backbones_are_named_too() -> None:
    assert lacking.of_losses("psp") == ["alexnet", "arcface-ir-se50"]
    assert lacking.of_losses("exegan") == ["vgg16", "arcface-resnet101"]
    assert lacking.of_losses("projected") == ["vgg16", "efficientnet-lite0"]
