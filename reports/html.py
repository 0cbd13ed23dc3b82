"""What web pages of this package share: templates, their head with its policy, and names without control characters."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # in names; they steer the terminal that shows the file


def text(package: str, *names: str) -> str:
    """Files of a package, one after another."""
    return "\n".join((resources.files(package) / name).read_text(encoding="utf-8") for name in names)


@cache
def template(package: str, name: str) -> jinja2.Template:
    """A file of a package as a template, which escapes what it is given."""
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    return jinja2.Environment(autoescape=True, **options).from_string(text(package, name))


def clean(page: str) -> str:
    """A page without control characters."""
    return _CONTROLS.sub("\ufffd", page)


def head(title: str, script: str, sheet: str, pictures: str, further: str = "") -> Markup:
    """The beginning of a page's head: its title and style sheet, and a content security policy that allows this script,
    this style sheet, pictures from these sources, and nothing else.

    `further`: sources of scripts that the page's own one asks for.
    """
    policy = _policy(script, sheet, pictures, further)
    return Markup(template(__package__, "head.html").render(title=title, sheet=sheet, policy=policy))


def _policy(script: str, sheet: str, pictures: str, further: str) -> str:
    script, sheet = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (script, sheet))
    scripts = f"'sha256-{script}' {further}".strip()
    sources = f"script-src {scripts}; style-src 'sha256-{sheet}'"
    return f"default-src 'none'; {sources}; img-src {pictures}; base-uri 'none'; form-action 'none'"
