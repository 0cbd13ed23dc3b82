"""The page of one person, in a real browser: answered half, closed, gone on with, saved."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.study.design import Question
from bench.study.files import Study
from reports.study import study_page, votes
from tests.reports.study import made_up

METHODS = ("Best", "Good", "Bad", "Worst")


def layer(name: str, size: int = 32) -> str:
    """A picture of one colour; of all but the original a hole of it."""
    colour = (200, 180, 160) if name.startswith("(") else (250 - 60 * METHODS.index(name), 20, 10 * len(name))
    picture = Image.new("RGBA", (size, size), (*colour, 255 if name == "(input)" else 0))
    picture.paste((*colour, 255), (8, 8, 24, 24) if not name.startswith("(") else (0, 0, size, size))
    data = io.BytesIO()
    picture.save(data, format="WEBP", lossless=True)
    return base64.b64encode(data.getvalue()).decode()


def content(made: Study, person: str) -> dict[str, Any]:
    names = ["(input)", *METHODS]

    def layers(name: str) -> list[int]:
        return [0] if name.startswith("(") else [0, names.index(name)]

    def question(one: Question) -> dict[str, Any]:
        beside = [{"title": "Given", "layers": [0]}, {"title": "Original", "layers": [0]}]
        return {"shown": [layers(name) for name in one.shown], "beside": beside, "text": "a <b>smile</b>"}

    shown = [question(one) for one in made.questions[person]]
    facts = {"study": made.id, "person": person, "kind": made.kind}
    return facts | {"questions": shown, "pictures": [layer(name) for name in names]}


def page(made: Study, person: str = "01", consent: str = "") -> Path:
    path = made.folder / f"person-{person}.html"
    path.write_text(study_page(content(made, person), consent), encoding="utf-8")
    return path


def best(made: Study, number: int) -> list[int]:
    """The right answer: positions from the best on; of what is no method the last."""
    shown = made.questions["01"][number].shown
    order = sorted(range(len(shown)), key=lambda i: ["(original)", *METHODS, *shown].index(shown[i]))
    return order if made.kind == "ranking" else order[:1]


def answer(tab: Any, made: Study, number: int) -> None:
    """One question, by keys and by clicks in turn."""
    tab.locator(f"#options[data-ready='{number}']").wait_for()
    order = best(made, number)
    for position in order[:-1] if made.kind == "ranking" else order:
        if number % 2:
            tab.keyboard.press(str(position + 1))
        else:
            tab.locator(".choice").nth(position).click()
    if number % 2:
        tab.keyboard.press("Enter")
    else:
        tab.get_by_role("button", name="Next").click()


def begin(tab: Any) -> None:
    assert tab.locator("#begin").is_disabled()
    tab.locator("#agree").check()
    tab.get_by_role("button", name="Start").click()


def saved(tab: Any, button: str) -> tuple[str, dict[str, Any]]:
    with tab.expect_download() as waiting:
        tab.locator(button).click()
    return waiting.value.suggested_filename, json.loads(Path(waiting.value.path()).read_text())


@pytest.mark.parametrize("kind", ["ranking", "2afc", "best"])
def test_a_person_answers_closes_the_page_and_goes_on(kind: str, tmp_path: Path, visit: Callable[..., Any]) -> None:
    made = made_up.study(tmp_path, kind, METHODS, people=2, questions=8)
    path = page(made)
    tab = visit(path)
    begin(tab)
    count = len(made.questions["01"])
    half = count // 2
    for number in range(half):
        answer(tab, made, number)
    tab.locator(f"#options[data-ready='{half}']").wait_for()
    context = tab.context
    tab.close()

    tab = context.new_page()
    faults: list[str] = []
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(path.as_uri())
    tab.locator(f"#options[data-ready='{half}']").wait_for()
    assert tab.locator("#number").inner_text() == f"Question {half + 1} of {count}."
    assert tab.locator("#start").is_hidden()
    for number in range(half, count):
        answer(tab, made, number)
    assert tab.locator("#end").is_visible() and tab.locator("#question").is_hidden()
    name, found = saved(tab, "#save")
    assert name == "votes-01.json"
    assert set(found) == {"format", "study", "person", "answers"}  # and nothing of the person
    assert found["answers"] == [best(made, number) for number in range(count)]
    made_up.write(made, "01", found["answers"])
    person = votes.read(made).people[0]
    assert (person.reason, person.wrong, person.alike) == ("", 0, 1.0)
    assert faults == []


def test_progress_goes_to_a_file_and_to_another_browser(tmp_path: Path, visit: Callable[..., Any]) -> None:
    made = made_up.study(tmp_path, "2afc", METHODS, people=2, questions=8)
    path = page(made)
    tab = visit(path)
    begin(tab)
    for number in range(3):
        answer(tab, made, number)
    _, found = saved(tab, "#keep")
    assert [one is None for one in found["answers"][:4]] == [False] * 3 + [True]
    other = visit(path)  # a browser that knows nothing
    assert other.locator("#start").is_visible()
    other.locator("#load").set_input_files(made_up.write(made, "01", found["answers"], "progress.json"))
    other.locator("#options[data-ready='3']").wait_for()
    assert "Loaded 3 answers" in other.locator("#message").inner_text()
    wrong = {"another person": ("02", found["answers"]), "too few": ("01", found["answers"][:2])}
    wrong |= {"no answer": ("01", [[7], *found["answers"][1:]]), "no list": ("01", {})}  # type: ignore[dict-item]
    for person, answers in wrong.values():
        other.locator("#load").set_input_files(made_up.write(made, person, answers, "wrong.json"))
        other.get_by_text("does not belong to this page").wait_for()
        other.evaluate("say('')")
    assert other.locator("#number").inner_text().startswith("Question 4")


def test_keys_and_clicks_order_and_clear(tmp_path: Path, visit: Callable[..., Any]) -> None:
    made = made_up.study(tmp_path, "ranking", METHODS, people=1, questions=8)
    tab = visit(page(made), viewport={"width": 390, "height": 844})
    begin(tab)
    tab.locator("#options[data-ready='0']").wait_for()
    ranks = tab.locator(".rank")
    tab.keyboard.press("3")
    tab.locator(".choice").nth(0).click()
    assert ranks.all_inner_texts() == ["2", "", "1", ""]
    tab.keyboard.press("Enter")  # not complete
    assert tab.locator("#number").inner_text().startswith("Question 1 ")
    tab.keyboard.press("2")  # the last place is left to one
    assert ranks.all_inner_texts() == ["2", "3", "1", "4"]
    tab.locator(".choice").nth(2).click()  # taken back
    assert ranks.all_inner_texts() == ["1", "2", "", "3"]
    tab.keyboard.press("Backspace")
    assert ranks.all_inner_texts() == [""] * 4
    tab.keyboard.press("z")
    assert tab.locator("#large").is_visible()
    tab.keyboard.press("Escape")
    assert tab.locator("#text").inner_text() == "a <b>smile</b>"
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    for button in tab.locator("button:visible, .button:visible").all():
        box = button.bounding_box()
        assert box["height"] >= 36 and box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_pictures_are_shown_pixel_by_pixel(tmp_path: Path, visit: Callable[..., Any]) -> None:
    made = made_up.study(tmp_path, "2afc", METHODS, people=1, questions=8)
    tab = visit(page(made))
    begin(tab)
    tab.locator("#options[data-ready='0']").wait_for()
    script = """(canvas) => [canvas.width, canvas.height,
        ...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]"""
    width, height, *values = tab.locator(".option canvas").nth(1).evaluate(script)
    found = np.array(values).reshape(height, width, 4)[..., :3]
    expected = np.full((32, 32, 3), (200, 180, 160))
    name = made.questions["01"][0].shown[1]
    expected[8:24, 8:24] = (250 - 60 * METHODS.index(name), 20, 10 * len(name))
    assert (found == expected).all()


def test_the_page_tells_nothing_and_asks_nothing(tmp_path: Path) -> None:
    made = made_up.study(tmp_path, "ranking", METHODS, people=1, questions=8)
    text = page(made, consent="First <i>part</i>.\n\nSecond part.").read_text(encoding="utf-8")
    bare = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)
    assert not [name for name in (*METHODS, "obvious", "repeated", "FFHQ") if name in bare]
    assert not re.search(r"https?://(?!www\.w3\.org)", bare)
    assert "default-src 'none'" in html.unescape(text) and "img-src data:;" in text
    assert "<p>First &lt;i&gt;part&lt;/i&gt;.</p>" in text and "<p>Second part.</p>" in text
    assert "Taking part is voluntary" not in text
    assert "Taking part is voluntary" in page(made).read_text(encoding="utf-8")
