"""What a method is: networks that complete images, and the stages that train them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.batch import Batch, Noise
from bench.card import Card
from bench.errors import BenchError
from bench.golden import Golden
from bench.nn.sizes import Sizes
from bench.sources import Source

__all__ = ["Batch", "Card", "Config", "Golden", "Method", "Noise", "Sizes", "Source", "Stage", "Update"]


class Config(BaseModel):
    """The options of a method: typed, one documented line a field, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def files(self) -> list[Path]:
        """Files or folders, named by options, whose content decides the result."""
        return []

    def read(self, weights: Path) -> list[Path]:
        """The files of a folder of weights that are read with these options: they decide the result, others do not."""
        return [weights]

    def sizes(self, features: Source | None = None) -> Sizes:
        """The images that are completed with these options; with `features`, those that it trains on as well."""
        return Sizes()

    def guided_by(self) -> tuple[str, ...]:
        """Guides without which these options complete nothing, beside those of the card: conditions must show them."""
        return ()

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        """What takes the place of a published network when an image is completed with these guides, in a sentence each.

        It names the stand-in's weights by their hash.
        """
        return []


AnyConfig = Config  # Method.Config hides the name inside the class


class Update(Protocol):
    """Given by the training loop: one optimiser step on a loss."""

    def __call__(self, optimiser: str, loss: Tensor, /) -> None:
        """Back-propagate `loss` into the parameters of that optimiser alone, step it, follow with its EMA."""


class Stage(nn.Module):
    """One training phase of a method. The stage owns the mathematics, the loop everything else.

    Networks that only training needs (discriminators) are sub-modules of the stage; the method itself is
    held without registration, so each is saved once.
    """

    method: Method
    name: str = "train"
    share: float = 1.0  # of the method's training budget
    iterations: int = 0  # as published
    steps: int = 0  # of this run, where there is one: its share of the budget
    batch_size: int = 8  # as published
    masks: str = "irregular"  # training draw of `masks.training`
    degradation: str = ""  # recipe of `bench.data.degradation`, for stages that train on `Batch.degraded`
    guides: tuple[str, ...] = ()  # what it trains with beside image and mask (`bench.data.guides`)
    mirrored: bool = True  # half of the images are mirrored, with their guides
    ema: Mapping[str, float] = {}  # optimiser -> decay of the moving average of the parameters that it trains

    def __init__(self, method: Method):
        super().__init__()
        object.__setattr__(self, "method", method)  # not registered: it is no sub-module

    def optimisers(self) -> dict[str, Optimizer]:
        """The optimisers by name, over the parameters that this stage trains."""
        raise NotImplementedError

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        """Change the training images as the paper does; the harness flips horizontally before."""
        return images

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        """One iteration: forward passes and alternating updates. Returns the losses to log."""
        raise NotImplementedError


class Method(nn.Module):
    """A method: a card, a configuration with presets, its networks, its stages.

    A subclass sets `card`, `Config` and `presets`, and writes `__init__(config)`, `complete` and, when it can be
    trained, `stages`.
    """

    card: ClassVar[Card]
    Config: ClassVar[type[AnyConfig]] = AnyConfig
    presets: ClassVar[Mapping[str, AnyConfig]] = {"paper": AnyConfig()}
    prior_presets: ClassVar[Mapping[str, Mapping[str, str]]] = {}  # preset -> prior -> its preset, where names differ
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # ablation, as the paper prints it -> options that differ
    golden: ClassVar[Mapping[str, Golden]] = {}  # golden file -> how to run it
    complete_weights: ClassVar[bool] = False  # official checkpoints hold the required priors too

    def __init__(self, config: AnyConfig):
        super().__init__()
        self.config = config

    @classmethod
    def configure(
        cls, preset: str = "paper", variant: str | None = None, options: Mapping[str, Any] | None = None
    ) -> AnyConfig:
        """The values of a preset, changed as an ablation says, then by single options."""
        slug, changed = cls.card.slug, dict(options or {})
        if preset not in cls.presets:
            raise BenchError(f"{slug} has no preset {preset!r}: choose from {', '.join(cls.presets)}")
        if variant is not None and variant not in cls.variants:
            raise BenchError(f"{slug} has no variant {variant!r}: choose from {', '.join(cls.variants) or 'none'}")
        ablation = cls.variants[variant] if variant else {}
        try:
            return cls.Config.model_validate(cls.presets[preset].model_dump() | dict(ablation) | changed)
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(str(part) for part in problem["loc"])
            reason = "unknown option" if problem["type"] == "extra_forbidden" else problem["msg"]
            allowed = ", ".join(cls.Config.model_fields) or "none"
            raise BenchError(f"method {slug}: options.{key}: {reason}; its options are: {allowed}") from error

    @classmethod
    def create(cls, preset: str = "paper", variant: str | None = None, /, **options: Any) -> Method:
        """A method with the values of a preset, some of them changed."""
        return cls(cls.configure(preset, variant, options))

    @classmethod
    def trainable(cls) -> bool:
        """Whether the method has stages to train."""
        return cls.stages is not Method.stages

    def networks(self) -> dict[str, nn.Module]:
        """The networks that a completion runs, by the names on the card."""
        return dict(self.named_children())

    def attach(self, priors: Mapping[str, Method]) -> None:
        """Take the priors that the card requires, by slug; called once, before training, loading or completing.

        A prior that becomes a sub-module is saved with the method.
        """
        if priors:
            raise BenchError(f"{self.card.slug} requires {', '.join(priors)}, but takes no priors")

    def stages(self, features: Source = "official") -> list[Stage]:
        """The training stages in the paper's order; none for a method that is not trained.

        `features`: "official" (VGG, LPIPS and backbone weights of the paper) or "embedded", the project's own
        training network in their place; `bench.sources.of_backbone` of it is that of a projected discriminator.
        """
        return []

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """Completed images (N, 3, H, W) in [-1, 1], before the harness pastes the known pixels back."""
        raise NotImplementedError

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The completion after each step, for a method that completes an image in steps; none for the others.

        The last one is what `complete` gives. Reports show how the image comes about.
        """
        return []

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the authors' checkpoint (their names and layout)."""
        raise BenchError(f"{self.card.slug}: the authors released no checkpoint that can be loaded")

    def load_folder(self, folder: Path) -> None:
        """Take the networks of a folder, where the card says `from_folder`."""
        raise NotImplementedError

    def remarks(self) -> list[str]:
        """What a reader must know of what it has completed until now, a sentence each."""
        return []
