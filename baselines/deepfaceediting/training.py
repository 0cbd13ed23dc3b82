"""DeepFaceEditing's training, which is not released: each part alone, then the whole face of what the parts give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.deepfaceediting.parts import PARTS, cut, drawn, read
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.multiscale import Discriminator, VGGLoss, least_squares, matching
from bench.nn.schedule import ScheduledAdam, falling
from bench.nn.stylegan2_training import Lazy

if TYPE_CHECKING:
    from baselines.deepfaceediting import DeepFaceEditing

STAGES = ("extractor", "parts", "fusion", "whole")
Geometry = TypeVar("Geometry")


class DeepFaceEditingStage(Stage):
    """What all stages share."""

    method: DeepFaceEditing
    factor = 1.0  # of the learning rate

    def __init__(self, method: DeepFaceEditing):
        super().__init__(method)
        c = self.config = method.config
        every = {name: n for name, n in zip(STAGES, c.iterations, strict=True) if name in names(method)}
        self.batch_size, self.iterations = c.batch_size, every[self.name]
        self.share = self.iterations / sum(every.values())
        if c.geometry == "image" or self.name == "extractor":
            self.guides = ("sketch",)

    def adam(self, parameters: Iterable[Tensor]) -> Optimizer:
        return ScheduledAdam(parameters, self.factor * self.config.learning_rate, (0.5, 0.999), self.steps, falling())

    def sketches(self, batch: Batch) -> Tensor:
        """Sketches of the pictures, (N, 3, S, S) in [-1, 1], dark on white."""
        if "sketch" in self.guides:
            return drawn(batch.need("sketch"))
        with torch.no_grad():
            return self.method.extractor(batch.image)

    def weighted(self, losses: dict[str, Tensor]) -> Tensor:
        """The sum of losses by their weights in the options."""
        return torch.stack([getattr(self.config, name) * loss for name, loss in losses.items()]).sum()


class ExtractorStage(DeepFaceEditingStage):
    """The sketch extractor, as pix2pixHD: LSGAN, feature matching, VGG."""

    name = "extractor"

    def __init__(self, method: DeepFaceEditing, look: VGGLoss):
        super().__init__(method)
        self.judge, self.look = Discriminator(6, self.config.judge_width), look

    def optimisers(self) -> dict[str, Optimizer]:
        return {
            "extractor": self.adam(self.method.extractor.parameters()),
            "discriminator": self.adam(self.judge.parameters()),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        image, sketch = batch.image, self.sketches(batch)
        output = self.method.extractor(image)
        real, fake = (self.judge(torch.cat([image, one], dim=1)) for one in (sketch, output))
        losses = {
            "adversarial": least_squares(fake, True),
            "matching": matching(fake, real),
            "perceptual": self.look(output, sketch),
            "sketch_pixels": F.l1_loss(output, sketch),
        }
        update("extractor", self.weighted(losses))
        judged = self.judge(torch.cat([image, output.detach()], dim=1))
        losses["discriminator"] = (least_squares(real, True) + least_squares(judged, False)) / 2
        update("discriminator", losses["discriminator"])
        return losses


class DrawingStage(DeepFaceEditingStage):
    """How something is drawn: again in its own style, and in another one's, from which it is found again.

    A geometry is read from a sketch and from a picture in turn.
    """

    def __init__(self, method: DeepFaceEditing, look: VGGLoss):
        super().__init__(method)
        self.look, self.turns = look, Lazy(2)

    def judged(
        self,
        image: Tensor,
        sketch: Tensor,
        geometry: Geometry,
        draw: Callable[[Geometry, Tensor], Tensor],
        read: Callable[[Tensor], Geometry],
        judge: nn.Module,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The losses of what is drawn, by their names in the options, and that of its discriminator.

        `image`, `sketch` (N, 3, s, s): a part of the pictures, or they as a whole. `draw`: of a geometry, in the style
        of an image; `read`: the geometry of an image.
        """
        other = across.part(across.whole(image).roll(1, 0))
        again, swapped = draw(geometry, image), draw(geometry, other)
        found = draw(read(swapped), image)

        def seen(picture: Tensor) -> Any:
            return judge(torch.cat([sketch, picture], dim=1))

        real = seen(image)
        losses = {
            "adversarial": least_squares(seen(swapped), True),
            "matching": matching(seen(again), real),
            "perceptual": self.look(again, image),
            "pixels": F.l1_loss(again, image),
            "cycle": F.l1_loss(found, image),
        }
        fake = seen(swapped.detach())
        return losses, (least_squares(real, True) + least_squares(fake, False)) / 2


class PartsStage(DrawingStage):
    """Each part alone: what draws it of sketches, and an encoder of pictures that must read the same from them."""

    name = "parts"

    def __init__(self, method: DeepFaceEditing, look: VGGLoss):
        super().__init__(method, look)
        self.judges = nn.ModuleDict({part: Discriminator(6, self.config.judge_width) for part in PARTS})
        self.ema = dict.fromkeys([*PARTS, *map(reader, PARTS)], self.config.ema) if self.config.ema else {}

    def optimisers(self) -> dict[str, Optimizer]:
        method, found = self.method, dict[str, Optimizer]()
        for part in PARTS:
            drawing = (method.sketch_encoders[part], method.generators[part])
            found[part] = self.adam([p for network in drawing for p in network.parameters()])
            found[reader(part)] = self.adam(method.image_encoders[part].parameters())
            found[f"{part} discriminator"] = self.adam(self.judges[part].parameters())
        return found

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        method, sketches, from_sketch = self.method, self.sketches(batch), self.turns.due()
        each = []
        for part in PARTS:
            image, sketch, generator = cut(batch.image, part), cut(sketches, part), method.generators[part]
            read = method.image_encoders[part]
            lines, seen = method.sketch_encoders[part](sketch), read(image)

            def draw(geometry: Tensor, style: Tensor, generator: Any = generator) -> Tensor:
                return generator.picture(generator(geometry, style))

            # what pictures look like must not come in with their geometry: these encoders learn from sketches alone
            geometry = lines if from_sketch else seen.detach()
            losses, discriminator = self.judged(image, sketch, geometry, draw, read, self.judges[part])
            features = F.l1_loss(seen, lines.detach())
            update(part, self.weighted(losses))
            update(reader(part), features)
            update(f"{part} discriminator", discriminator)
            each.append(losses | {"features": features, "discriminator": discriminator})
        return {name: torch.stack([losses[name] for losses in each]).mean() for name in each[0]}


def reader(part: str) -> str:
    """The name of the optimiser of what reads a part of pictures."""
    return f"{part} reader"


class FusionStage(DrawingStage):
    """The whole face of parts that stay as they are."""

    name = "fusion"

    def __init__(self, method: DeepFaceEditing, look: VGGLoss, judge: Discriminator):
        super().__init__(method, look)
        self.judge = judge
        self.ema = {"generator": self.config.ema} if self.config.ema else {}

    def trained(self) -> list[nn.Parameter]:
        """The parameters beside the discriminator's."""
        return [*self.method.fusion.parameters()]

    def optimisers(self) -> dict[str, Optimizer]:
        return {"generator": self.adam(self.trained()), "discriminator": self.adam(self.judge.parameters())}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        method, image, sketch = self.method, batch.image, self.sketches(batch)

        def look_at(picture: Tensor) -> dict[str, Tensor]:
            return read(method.image_encoders, picture)

        geometry = read(method.sketch_encoders, sketch) if self.turns.due() else look_at(image)
        losses, discriminator = self.judged(image, sketch, geometry, method.draw, look_at, self.judge)
        update("generator", self.weighted(losses))
        update("discriminator", discriminator)
        return losses | {"discriminator": discriminator}


class WholeStage(FusionStage):
    """The same with everything that draws a face, encoders, too, at a tenth of the rate."""

    name = "whole"

    def __init__(self, method: DeepFaceEditing, look: VGGLoss, judge: Discriminator):
        super().__init__(method, look, judge)
        self.factor = self.config.last_rate

    def trained(self) -> list[nn.Parameter]:
        m = self.method
        return [p for one in (m.sketch_encoders, m.image_encoders, m.generators, m.fusion) for p in one.parameters()]


def names(method: DeepFaceEditing) -> tuple[str, ...]:
    """The stages of a method, in order."""
    return STAGES if method.config.geometry == "extractor" else STAGES[1:]


def stages(method: DeepFaceEditing, features: Source) -> list[Stage]:
    """All stages in order."""
    look, judge = VGGLoss(features), Discriminator(6, method.config.judge_width)
    extractor = [ExtractorStage(method, look)] if method.config.geometry == "extractor" else []
    return [
        *extractor, PartsStage(method, look), FusionStage(method, look, judge), WholeStage(method, look, judge),
    ]  # fmt: skip
