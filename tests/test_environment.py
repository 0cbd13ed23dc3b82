"""The environment that the requirements resolved to."""

from __future__ import annotations

from importlib.metadata import version

from packaging.version import Version


def test_torch_is_at_least_the_floor() -> None:
    """facenet-pytorch 2.6 would take torch back to 2.2, whose `weights_only` can execute code."""
    assert Version(version("torch")) >= Version("2.13")


def test_facenet_is_held() -> None:
    assert Version(version("facenet-pytorch")) == Version("2.5.3")
