"""The facts of a method, as published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]  # it names folders
Text = Annotated[str, Field(min_length=1)]
Task = Literal["inpainting", "exemplar", "restoration", "editing", "prior"]


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts of a method, as published. Written with literals only."""

    __pydantic_config__: ClassVar[Any] = ConfigDict(strict=True, revalidate_instances="always")  # as others' are read

    slug: Slug  # name in suites and on the command line
    name: Text  # name printed in tables
    title: str  # of the paper or algorithm
    authors: str
    year: int | None
    venue: str
    url: str
    task: Task = "inpainting"
    completes: bool = False  # a prior that completes images too: evaluated where it stands under `methods`
    resolution: int | None = None  # pixels that the paper's model was trained at; None: any
    params: dict[str, int] = field(default_factory=dict)  # network -> parameters of the `paper` preset
    macs: dict[str, float] = field(default_factory=dict)  # network -> multiply-accumulates of one pass at 256 px
    published: dict[str, str] = field(default_factory=dict)  # figures as the paper or a later table prints them
    training: str = ""  # optimiser, batch, iterations, loss weights, in one line
    features: str = ""  # pretrained networks that the published training losses stand on
    backbone: str = ""  # of its projected discriminator: EfficientNet "lite0", unless an option `backbone` says another
    convention: str = ""  # the authors' mask polarity, value range and filling, where they differ from ours
    licence: str = ""  # of the authors' code and weights
    weights: str = ""  # where the authors' checkpoints are, and their layout
    trained_on: dict[str, str] = field(default_factory=dict)  # what they saw: data set -> see `bench.exposure`
    requires: tuple[str, ...] = ()  # priors: slugs of methods
    needs: tuple[str, ...] = ()  # guidance beside image and mask: names of `bench.data.guides`
    takes: tuple[str, ...] = ()  # guidance that it uses where there is some
    learns: tuple[str, ...] = ()  # guidance that its training alone uses
    choices: dict[str, str] = field(default_factory=dict)  # where paper and code differ: option -> what is the default
    from_folder: bool = False  # its networks are those of a folder, the user's weights
    finished: bool = False  # it reads pictures that something else made, which may have seen what is under the holes
    notes: str = ""

    @property
    def evaluated(self) -> bool:
        """Whether its rows under `methods` are completed and scored; other priors are trained only."""
        return self.task != "prior" or self.completes
