"""RestoreFormer's training: a dictionary of clean faces, then the attention from degraded faces to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer
from torchvision.ops import roi_align

from baselines.gfpgan.networks import ComponentDiscriminator
from baselines.gfpgan.training import COMPONENTS, LEAST, boxes, component_style
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.arcface18 import Embeddings18
from bench.nn.init import normal_init
from bench.nn.losses import logistic, nonsaturating
from bench.nn.perceptual import PerceptualDistance, gram, unit
from bench.nn.schedule import ScheduledAdam, cosine
from bench.nn.vqgan import Adversary, LateCodes, PatchDiscriminator

if TYPE_CHECKING:
    from baselines.restoreformer import RestoreFormer

BETAS = (0.5, 0.9)


class RestoreFormerStage(Stage):
    """What both stages share: the reconstruction, the codebook, and the discriminator that joins late."""

    method: RestoreFormer
    share = 0.5

    def __init__(self, method: RestoreFormer, name: str, distance: PerceptualDistance, start: float):
        super().__init__(method)
        c = self.config = method.config
        self.name, self.iterations, self.batch_size = name, c.iterations, c.batch_size
        self.ema = {} if c.ema is None else {"network": c.ema}
        self.lpips = distance
        judge = normal_init(PatchDiscriminator(c.discriminator_width))
        self.adversary = Adversary(judge, c.adversarial, 1e4, start)

    def optimisers(self) -> dict[str, Optimizer]:
        parameters = {"network": self.parameter_groups(), "discriminator": self.adversary.parameters()}
        return {name: self.adam(trained, self.config.learning_rate, BETAS) for name, trained in parameters.items()}

    def adam(self, parameters: Iterable[Any], rate: float, betas: tuple[float, float]) -> Adam:
        return ScheduledAdam(parameters, rate, betas, self.steps, cosine(self.config.left))

    def parameter_groups(self) -> list[dict[str, object]]:
        return [{"params": list(self.method.network.parameters())}]

    def reconstruction(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"l1": F.l1_loss(output, target), "lpips": self.lpips(output, target).mean()}


class DictionaryStage(RestoreFormerStage):
    """Stage one: the network gives clean faces back."""

    def __init__(self, method: RestoreFormer, distance: PerceptualDistance):
        super().__init__(method, "dictionary", distance, method.config.starts[0])
        self.codes = LateCodes(self.config.codes, self.config.dim, self.config.estimated)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        network, target = self.method.network, batch.image
        codes, told = self.codes.quantise(network.quantize, network.encode(target)[1], self.steps, noise)
        output = network.decode(codes)
        losses = self.reconstruction(output, target) | told
        reconstruction = losses["l1"] + self.config.lpips * losses["lpips"]
        joins = self.adversary.joins(self.steps)
        if joins:
            losses["generator"] = self.adversary.fooled(output, reconstruction, network.decoder.conv_out.weight)
        update("network", reconstruction + losses["codebook"] + losses.get("generator", 0))
        if joins:
            losses["discriminator"] = self.adversary.improve(target, output, update, 0.5)
        return losses


class RestorationStage(RestoreFormerStage):
    """Stage two: the network restores degraded faces; the codebook is frozen.

    Discriminators of eyes and mouth, and the identity, join together with the discriminator.
    """

    guides = ("landmarks",)

    def __init__(self, method: RestoreFormer, features: Source, distance: PerceptualDistance):
        super().__init__(method, "restoration", distance, method.config.starts[1])
        self.degradation = self.config.degradation
        self.components = nn.ModuleList(ComponentDiscriminator(self.config.component_width) for _ in COMPONENTS)
        self.recogniser = Embeddings18(features)

    def optimisers(self) -> dict[str, Optimizer]:
        rate = self.config.faster * self.config.learning_rate
        return super().optimisers() | {"components": self.adam(self.components.parameters(), rate, (0.9, 0.99))}

    def parameter_groups(self) -> list[dict[str, object]]:
        network = self.method.network
        faster = network.decoder.attention()
        apart = {id(parameter) for parameter in [*faster, *network.quantize.parameters()]}
        others = [parameter for parameter in network.parameters() if id(parameter) not in apart]
        return [{"params": others}, {"params": faster, "lr": self.config.faster * self.config.learning_rate}]

    def cut(self, images: Tensor, landmarks: Tensor) -> list[Tensor]:
        """Left eye, right eye and mouth of each image: (N, 3, eye, eye) twice, (N, 3, mouth, mouth)."""
        c, found = self.config, []
        for name, (first, last) in COMPONENTS.items():
            side, larger = (c.mouth, 1.0) if name == "mouth" else (c.eye, c.enlarge)
            around = boxes(landmarks[:, first:last], larger, LEAST * images.shape[-1])
            found.append(roi_align(images, list(around[:, None]), side, aligned=True))
        return found

    def style(self, output: Tensor, target: Tensor) -> Tensor:
        """Squared differences of Gram matrices of LPIPS's maps, of length 1 at each place; the sum over the maps."""
        with torch.no_grad():
            theirs = [gram(unit(maps)) for maps in self.lpips.maps(target)]
        ours = [gram(unit(maps)) for maps in self.lpips.maps(output)]
        return torch.stack([F.mse_loss(a, b) for a, b in zip(ours, theirs, strict=True)]).sum()

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, network, target = self.config, self.method.network, batch.image
        output, codebook = network(batch.need("degraded"))
        losses = self.reconstruction(output, target) | {"codebook": codebook, "style": self.style(output, target)}
        reconstruction = losses["l1"] + c.lpips * losses["lpips"]
        total = reconstruction + codebook + c.style * losses["style"]
        joins = self.adversary.joins(self.steps)
        if not joins:
            update("network", total)
            return losses
        landmarks = batch.need("landmarks")
        real, fake = self.cut(target, landmarks), self.cut(output, landmarks)
        judged = [network(part) for network, part in zip(self.components, fake, strict=True)]
        known = [network(part) for network, part in zip(self.components, real, strict=True)]
        with torch.no_grad():
            person = self.recogniser(target)
        losses |= {
            "generator": self.adversary.fooled(output, reconstruction, network.decoder.conv_out.weight),
            "component": torch.stack([nonsaturating(logits) for logits, _ in judged]).sum(),
            "component style": torch.stack(
                [component_style(ours, theirs) for (_, ours), (_, theirs) in zip(judged, known, strict=True)]
            ).sum(),
            "identity": F.l1_loss(self.recogniser(output), person),
        }
        total = total + losses["generator"] + c.component * losses["component"]
        total = total + c.component_style * losses["component style"] + c.identity * losses["identity"]
        update("network", total)
        losses["discriminator"] = self.adversary.improve(target, output, update, 0.5)
        judged = [network(part.detach()) for network, part in zip(self.components, fake, strict=True)]
        losses["components"] = torch.stack(
            [logistic(true, false) for (true, _), (false, _) in zip(known, judged, strict=True)]
        ).sum()
        update("components", losses["components"])
        return losses
