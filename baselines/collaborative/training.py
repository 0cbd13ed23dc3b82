"""Collaborative Diffusion's training: an autoencoder, a denoiser for each guide, and whom to follow where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from baselines.collaborative.autoencoder import divergence
from baselines.collaborative.networks import influence, mixed
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.celebamask import planes
from bench.nn.denoising import BETAS
from bench.nn.diffusion import STEPS, at
from bench.nn.perceptual import PerceptualDistance, mean_l1
from bench.nn.schedule import ScheduledAdam, cosine
from bench.nn.vqgan import Adversary, PatchDiscriminator

if TYPE_CHECKING:
    from baselines.collaborative import Collaborative


DECAY = {"weight_decay": 0.01, "decoupled_weight_decay": True}  # as PyTorch's AdamW has it


class AutoencoderStage(Stage):
    """L1, LPIPS, the divergence of the latents from normal values and, late, a discriminator of patches."""

    method: Collaborative
    name = "autoencoder"

    def __init__(self, method: Collaborative, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.iterations, self.share = c.iterations[0], c.iterations[0] / sum(c.iterations)
        self.batch_size, self.ema = c.autoencoder_batch, {"autoencoder": c.ema} if c.ema else {}
        self.lpips = PerceptualDistance(features)
        self.adversary = Adversary(PatchDiscriminator(), c.adversarial, 1e4, c.start) if c.adversarial else None

    def optimisers(self) -> dict[str, Optimizer]:
        networks: dict[str, nn.Module] = {"autoencoder": self.method.autoencoder}
        if self.adversary:
            networks["discriminator"] = self.adversary.network
        betas = (0.5, 0.9) if self.adversary else (0.9, 0.999)
        return {name: Adam(one.parameters(), self.config.autoencoder_rate, betas) for name, one in networks.items()}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, autoencoder, picture = self.config, self.method.autoencoder, batch.image
        mean, log_variance = autoencoder.encode(picture)
        drawn = autoencoder.decode(mean + (log_variance / 2).exp() * noise.normal(*mean.shape[1:]))
        losses = {"l1": mean_l1(drawn, picture), "lpips": self.lpips(drawn, picture).mean()}
        size = picture[0].numel()  # all are sums over an image, as released
        losses["kl"] = divergence(mean, log_variance).mean() / size
        reconstruction = losses["l1"] + c.perceptual * losses["lpips"]
        total = reconstruction + c.kl * losses["kl"]
        adversary = self.adversary if self.adversary and self.adversary.joins(self.steps) else None
        if adversary:
            last = autoencoder.decoder.conv_out.weight
            losses["fooled"] = adversary.fooled(drawn, size * reconstruction, last) / size
            total = total + losses["fooled"]
        update("autoencoder", total)
        if adversary:
            losses["discriminator"] = adversary.improve(picture, drawn, update)
        return losses


class LatentStage(Stage):
    """Noise in latents, of which the first batch of all tells the deviation; the autoencoder stays."""

    method: Collaborative
    guides: tuple[str, ...] = ("semantics",)
    place: int  # among the stages

    def __init__(self, method: Collaborative):
        super().__init__(method)
        c = self.config = method.config
        self.iterations, self.share = c.iterations[self.place], c.iterations[self.place] / sum(c.iterations)
        self.batch_size, self.ema = c.batch_size, {self.name: c.ema} if c.ema else {}
        self.rate = c.learning_rate

    def networks(self) -> list[nn.Module]:
        """What this stage trains."""
        raise NotImplementedError

    def optimisers(self) -> dict[str, Optimizer]:
        c, parameters = self.config, nn.ModuleList(self.networks()).parameters()
        return {self.name: ScheduledAdam(parameters, self.rate, BETAS, self.steps, cosine(c.left), **DECAY)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method = self.config, self.method
        with torch.no_grad():
            z = self.latents(batch.image, noise)
        k, normal = (noise.uniform() * STEPS).long(), noise.normal(*z.shape[1:])
        x = method.diffusion.noised(z, k, normal)
        told = self.told(batch, x, k, noise).float()
        abar = method.diffusion.abar
        loss = (at(1 / abar if c.predicts == "velocity" else 1 + 0 * abar, k, x) * (told - normal) ** 2).mean()
        update(self.name, loss)
        return {"noise": loss}

    def latents(self, pictures: Tensor, noise: Noise) -> Tensor:
        """What the denoisers see of pictures."""
        autoencoder = self.method.autoencoder
        mean, log_variance = autoencoder.encode(pictures)
        z = mean + (log_variance / 2).exp() * noise.normal(*mean.shape[1:])
        if float(autoencoder.deviation) == 1:
            autoencoder.deviation.copy_((across.mean(z.square().mean()) - across.mean(z.mean()) ** 2).sqrt())
        return z / autoencoder.deviation

    def told(self, batch: Batch, x: Tensor, k: Tensor, noise: Noise) -> Tensor:
        """The noise that the networks of this stage see in x_k."""
        raise NotImplementedError

    def vectors(self, pictures: Tensor, noise: Noise) -> Tensor:
        """Vectors (N, D) of pictures in the place of texts, which are seldom there."""
        return self.method.reader(pictures.device).as_texts(pictures, noise)


class LabelStage(LatentStage):
    """The denoiser that is told a label map, and the layer that reads it."""

    name, place = "labels", 1

    def __init__(self, method: Collaborative):
        super().__init__(method)
        self.rate = self.config.label_rate or self.rate

    def networks(self) -> list[nn.Module]:
        return [self.method.label_denoiser, self.method.label_tokens]

    def told(self, batch: Batch, x: Tensor, k: Tensor, noise: Noise) -> Tensor:
        tokens = self.method.label_tokens(planes(batch.need("semantics")).to(x))
        return self.method.predict(self.method.label_denoiser, x, k, tokens)


class TextStage(LatentStage):
    """The denoiser that is told a text, and the layer that reads it."""

    name, place, guides = "text", 2, ()

    def networks(self) -> list[nn.Module]:
        return [self.method.text_denoiser, self.method.text_tokens]

    def told(self, batch: Batch, x: Tensor, k: Tensor, noise: Noise) -> Tensor:
        tokens = self.method.read(self.vectors(batch.image, noise))
        return self.method.predict(self.method.text_denoiser, x, k, tokens)


class DiffuserStage(LatentStage):
    """Both dynamic diffusers; all else stays."""

    name, place = "diffusers", 3

    def networks(self) -> list[nn.Module]:
        return [self.method.label_diffuser, self.method.text_diffuser]

    def told(self, batch: Batch, x: Tensor, k: Tensor, noise: Noise) -> Tensor:
        method, texts = self.method, self.vectors(batch.image, noise)
        with torch.no_grad():
            labels, text = method.label_tokens(planes(batch.need("semantics")).to(x)), method.read(texts)
            each = [
                method.predict(denoiser, x, k, tokens)
                for denoiser, tokens in ((method.label_denoiser, labels), (method.text_denoiser, text))
            ]
        share = influence(method.label_diffuser(x, k, labels), method.text_diffuser(x, k, text))
        return mixed(share, *each)
