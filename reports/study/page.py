"""The page of one person: one file that opens from disk, asks nothing of any network, and names no method."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from reports import html

TASKS = {
    "ranking": "Choose the pictures in order, from the best to the worst: which looks most natural and real?",
    "2afc": "Choose the better picture: which looks more natural and real?",
    "best": "Choose the best picture: which looks most natural and real?",
}
SECONDS = {"ranking": 25, "2afc": 8, "best": 10}  # of a question, as told before the start
CONSENT = (
    "Taking part is voluntary. You may stop at any time, without giving a reason: close the page and send nothing.",
    "This page sends nothing anywhere. It saves which pictures you choose, and the number of the page; no name, no "
    "address, no times. Your votes leave this device only when you send the file yourself, and are used for research: "
    "they "
    "are counted together with those of others, and may be published.",
)


def study_page(page: dict[str, Any], consent: str = "") -> str:
    """The HTML of one person's page.

    `page`: study, person, kind; questions, each with `shown` and `beside` (layers of pictures, by number) and `text`;
    pictures, lossless WebP in Base64. `consent`: what people agree to, paragraphs with empty lines between; default
    `CONSENT`.
    """
    script, sheet = html.text(__package__, "page.js"), html.text(__package__, "page.css")
    count, kind = len(page["questions"]), page["kind"]
    pair = "<kbd>←</kbd> <kbd>→</kbd> or "
    most = max((len(question["shown"]) for question in page["questions"]), default=0)
    made = html.template(__package__, "page.html").render(
        head=html.head(f"Which picture is better? · {page['person']}", script, sheet, "data:"),
        script=script,
        person=page["person"],
        count=count,
        minutes=math.ceil(count * SECONDS[kind] / 60),
        task=TASKS[kind],
        keys=Markup(f"{pair if most == 2 else ''}<kbd>1</kbd> to <kbd>{most}</kbd> choose,"),
        consent=[part.strip() for part in consent.split("\n\n") if part.strip()] or CONSENT,
        data=page,
    )
    return html.clean(made)
