"""Captions: of text files, of synthetic faces, and as a data set's companions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data import captions, dataset, synthfaces
from bench.data import folder as files
from bench.data.guides.guide import Files
from bench.data.guides.text import prepare_captions, sentences
from bench.errors import BenchError
from bench.nn.text import WORDS, known


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"She smiles.\nShe has long hair.\n", "She smiles."),
        (b"\xef\xbb\xbf\r\n  A  man,\tyoung \r\n", "A man, young"),
        ("Eine Frau lächelt".encode(), "Eine Frau lächelt"),
    ],
)
def test_the_first_line_that_says_something(content: bytes, expected: str) -> None:
    assert captions.decode(content, "0.txt") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0.txt says nothing"),
        (b" \n\n\t", "0.txt says nothing"),
        (b"\x1b[31mred", "0.txt says nothing that can be printed"),
        (b"\xff\xfe\x00", "0.txt is no UTF-8 text"),
        (b"a" * 1001, "0.txt: its first line has more than 1,000 bytes"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        captions.decode(content, "0.txt")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_caption_or_one_message(content: bytes) -> None:
    try:
        found = captions.decode(content, "0.txt")
    except BenchError as error:
        assert str(error).startswith("0.txt")
    else:
        assert found.isprintable() and found == " ".join(found.split())


def described(**values: float) -> str:
    return captions.describe([values.get(name, 0.3) for name in synthfaces.ATTRIBUTES])


def test_sentences_about_synthetic_faces() -> None:
    plain = dict.fromkeys(synthfaces.ATTRIBUTES, 0.0) | {"age": 0.5, "smile": 0.2}
    assert described(**plain) == "A woman with short hair."
    assert described(**plain | {"age": 0.9, "male": 1, "smile": 0.8, "mouth_open": 0.7, "bald": 1, "hat": 1}) == (
        "An old man who laughs with a bald head and a hat."
    )
    assert described(**plain | {"age": 0.1, "smile": 0, "long_hair": 1, "blond_hair": 1, "bangs": 1, "glasses": 1}) == (
        "A young woman who looks unhappy with long blond hair, bangs and glasses."
    )


@given(st.lists(st.floats(0, 1), min_size=len(synthfaces.ATTRIBUTES), max_size=len(synthfaces.ATTRIBUTES)))
def test_every_face_has_a_sentence_whose_words_are_known(values: list[float]) -> None:
    sentence = captions.describe(values)
    assert captions.decode(sentence.encode(), "") == sentence
    assert known(sentence) and not set(known(sentence)) - set(WORDS)


def test_every_known_word_is_said_of_some_face() -> None:
    faces = synthfaces.render(range(600), 16, 5)
    said = {word for values in faces.attributes.tolist() for word in known(captions.describe(values))}
    assert said == set(WORDS)


def test_a_folder_is_read_once_and_matched_by_name(tmp_path: Path) -> None:
    texts, cache = tmp_path / "texts", tmp_path / "cache"
    (texts / "a").mkdir(parents=True)
    for i, name in enumerate(["a/1", "2", "3"]):
        (texts / f"{name}.txt").write_text(f"Face {i}\nmore", "utf-8")
    found = prepare_captions(Files(texts, 32, cache))
    assert found.ids == ["2.txt", "3.txt", "a/1.txt"]
    faces = dataset.prepare_synthfaces(4, 32, 0, cache)
    assert sentences(faces, [3]) == (captions.describe(faces.known("attributes", [3])[0].tolist()),)
    (texts / "2.txt").write_text("another", "utf-8")
    again = prepare_captions(Files(texts, 32, cache))
    assert again.fingerprint != found.fingerprint
    assert again._arrays["text"].tolist() == [b"another", b"Face 2", b"Face 0"]
    (texts / "3.txt").write_bytes(b"")
    with pytest.raises(BenchError, match=r"3\.txt says nothing"):
        prepare_captions(Files(texts, 32, cache))
    with pytest.raises(BenchError, match="has no captions: put text files"):
        prepare_captions(Files(cache / "listings", 32, cache))
    with pytest.raises(BenchError, match="does not exist: give the folder that holds the captions"):
        prepare_captions(Files(tmp_path / "nowhere", 32, cache))
    assert np.dtype("S1000") == found._arrays["text"].dtype


def test_a_text_that_changes_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "1.txt").write_text("She smiles.", "utf-8")
    monkeypatch.setattr(files, "hash_files", lambda source, *rest: dict.fromkeys(source.names, "hash of other bytes"))
    with pytest.raises(BenchError, match=r"texts/1\.txt changed while .*run the same command again"):
        prepare_captions(Files(tmp_path / "texts", 8, tmp_path / "cache"))
