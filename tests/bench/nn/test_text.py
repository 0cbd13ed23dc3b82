"""Texts beside images: the embedded network knows its words, and CLIP is read from OpenAI's file."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from bench import weights
from bench.data import captions, synthfaces
from bench.errors import BenchError
from bench.nn import text
from bench.weights import index

SEED = 4321  # of faces that the network has not seen
SMALL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "patch_size": 32, "width": 64, "layers": 2},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}


@pytest.fixture(scope="module")
def network() -> text.TextImage:
    return text.load("embedded")


@pytest.fixture(scope="module")
def faces(network: text.TextImage) -> tuple[Tensor, list[str]]:
    """Vectors of the pictures of 300 people, and what is said of them."""
    found = synthfaces.render(range(0, 1200, 4), 64, SEED)
    return network.images(found.images), [captions.describe(values) for values in found.attributes.tolist()]


@pytest.mark.parametrize("word", ["bald", "beard", "blond", "glasses", "hat", "laughs", "long", "man", "woman"])
def test_a_word_points_to_the_faces_that_it_fits(
    word: str, network: text.TextImage, faces: tuple[Tensor, list[str]]
) -> None:
    seen, sentences = faces
    towards = network.texts([word]) - network.texts([text.FACE])
    fits = [word in text.known(sentence) for sentence in sentences]
    assert roc_auc_score(fits, (seen @ towards[0]).numpy()) > 0.9


def test_a_sentence_finds_its_face(network: text.TextImage, faces: tuple[Tensor, list[str]]) -> None:
    """Half of all sentences have their face among the best tenth; by chance a tenth would."""
    seen, sentences = faces
    scores = seen @ network.texts(sentences).T
    better = (scores > scores.diag()).float().mean(0)
    assert better.median() < 0.1


def test_vectors_have_length_one_and_ignore_order(network: text.TextImage) -> None:
    first, second = network.texts(["A young man with glasses.", "glasses: MAN, young"])
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first.norm(), torch.tensor(1.0))
    seen = network.images(torch.zeros(2, 3, 96, 96))
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(2))


def test_gradients_reach_the_image_alone(network: text.TextImage) -> None:
    images = torch.zeros(1, 3, 64, 64, requires_grad=True)
    (network.images(images) * network.texts(["hat"])).sum().backward()
    assert images.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.train().training


def test_unknown_words_are_named(network: text.TextImage) -> None:
    with pytest.raises(BenchError, match=r"knows no word of 'a purple dragon'; it knows bald, bangs"):
        network.texts(["A man", "a purple dragon"])
    assert torch.equal(network.texts(["face"]), network.texts(["The face"]))


def test_damaged_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"nothing")
    monkeypatch.setattr(text, "path", lambda: tmp_path / "x")
    with pytest.raises(BenchError, match="install the package again"):
        text.load("embedded")


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A small CLIP whose file is laid out as OpenAI's: a TorchScript program in half precision."""
    import open_clip

    torch.manual_seed(0)
    network = open_clip.CLIP(**SMALL, quick_gelu=True).eval()
    inputs = {"encode_image": torch.rand(1, 3, 64, 64), "encode_text": torch.zeros(1, 77, dtype=torch.long)}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace_module(network, inputs).half(), str(tmp_path / "ViT-B-32.pt"))
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / index.get(name).filename)
    monkeypatch.setattr(text, "VIT_B_32", SMALL)
    return network.float()


def test_clip_is_read_from_the_official_layout(clip: nn.Module) -> None:
    import open_clip

    network, images = text.load("official"), torch.rand(2, 3, 64, 64) * 2 - 1
    colours = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in colours)
    with torch.no_grad():
        expected = clip.encode_image((images / 2 + 0.5 - mean) / deviation, normalize=True)
        torch.testing.assert_close(network.images(images), expected)
        said = ["a face", "a smiling woman"]
        torch.testing.assert_close(network.texts(said), clip.encode_text(open_clip.tokenize(said), normalize=True))
        assert network.images(torch.rand(1, 3, 100, 100)).shape == (1, 16)


def test_clip_says_what_it_lacks(clip: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"visual.proj": torch.zeros(3)}, tmp_path / "ViT-B-32.pt")
    with pytest.raises(BenchError, match=r"ViT-B-32\.pt does not fit CLIP ViT-B/32"):
        text.load("official")
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(BenchError, match=r"pip install 'face-inpaint-bench\[text\]'"):
        text.load("official")
