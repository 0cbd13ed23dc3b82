"""The two stages of latent diffusion: an autoencoder, and a denoiser of its latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam, AdamW, Optimizer

from baselines.latent.networks import LATENTS
from baselines.latent.words import reader, token
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.diffusion import STEPS, at
from bench.nn.losses import hinge
from bench.nn.patchgan import PatchGAN
from bench.nn.perceptual import PerceptualDistance, mean_l1

if TYPE_CHECKING:
    from baselines.latent import Latent


class AutoencoderStage(Stage):
    """L1, LPIPS, the divergence of the latents from normal values and, in `paper`, a discriminator of patches."""

    method: Latent
    name = "autoencoder"
    iterations = 500_000
    done: Tensor

    def __init__(self, method: Latent, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.share, self.batch_size = c.autoencoder_share, c.autoencoder_batch
        self.ema = {"autoencoder": c.autoencoder_ema}
        self.lpips = PerceptualDistance(features)
        self.discriminator = PatchGAN(3, 64) if c.adversarial else None
        self.register_buffer("done", torch.zeros((), dtype=torch.long))  # iterations; saved, so that a run can resume

    def optimisers(self) -> dict[str, Optimizer]:
        networks = {"autoencoder": self.method.vae, "discriminator": self.discriminator}
        rate, betas = self.config.autoencoder_rate, (0.5, 0.9) if self.discriminator else (0.9, 0.999)
        return {name: Adam(one.parameters(), rate, betas) for name, one in networks.items() if one}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, vae, picture = self.config, self.method.vae, batch.image
        found = vae.encode(picture).latent_dist
        drawn = vae.decode(found.mean + found.std * noise.normal(*found.mean.shape[1:])).sample
        losses = {"l1": mean_l1(drawn, picture), "lpips": self.lpips(drawn, picture).mean()}
        size = picture[0].numel()  # all are sums over an image in the authors' code
        losses["kl"] = found.kl().mean() / size
        loss = losses["l1"] + c.perceptual * losses["lpips"]
        total = loss + c.kl * losses["kl"]
        if self.discriminator:
            losses["fooled"] = -self.discriminator(drawn)[-1].mean()
            if self.done >= c.adversarial_start:
                weight = balance(size * loss, losses["fooled"], vae.decoder.conv_out.weight) / size
                total = total + c.adversarial * weight * losses["fooled"]
        update("autoencoder", total)
        if self.discriminator:
            real, fake = self.discriminator(picture)[-1], self.discriminator(drawn.detach())[-1]
            losses["discriminator"] = hinge(real, fake) / 2
            update("discriminator", losses["discriminator"])
        self.done += 1
        return losses


def balance(loss: Tensor, other: Tensor, layer: Tensor) -> Tensor:
    """With which weight another loss has the gradient of `loss` in a layer."""
    found = (torch.autograd.grad(one, layer, retain_graph=True)[0] for one in (loss, other))
    ours, theirs = (across.mean(gradient).norm() for gradient in found)
    return (ours / (theirs + 1e-4)).clamp(max=1e4)


class DenoiserStage(Stage):
    """Learns the noise in latents; the autoencoder stays."""

    method: Latent
    name = "denoiser"
    iterations = 500_000
    ready: Tensor

    def __init__(self, method: Latent):
        super().__init__(method)
        c = self.config = method.config
        self.share, self.batch_size, self.masks = 1 - c.autoencoder_share, c.batch_size, c.masks
        self.ema = {"denoiser": c.ema}
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    def optimisers(self) -> dict[str, Optimizer]:
        return {"denoiser": AdamW(self.method.unet.parameters(), self.config.learning_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        method = self.method
        mask, picture = method.hole(batch.mask), batch.image
        with torch.no_grad():
            if not self.ready:
                standardise(method.vae, method.vae.encode(picture).latent_dist.mean)
                self.ready.fill_(True)
            shape = (LATENTS, *(side // self.config.cell for side in picture.shape[2:]))
            z, known = (method.latents(x, noise.normal(*shape)) for x in (picture, picture * (1 - mask)))
            vectors = self.vectors(picture, noise)
        k, normal = (noise.uniform() * STEPS).long(), noise.normal(*shape)
        abar = method.pipeline.scheduler.alphas_cumprod.numpy()
        clean, noisy = at(abar**0.5, k, z), at((1 - abar) ** 0.5, k, z)
        target = normal if self.config.predicts == "noise" else clean * normal - noisy * z
        seen = torch.cat([clean * z + noisy * normal, F.interpolate(mask, z.shape[2:]), known], dim=1)
        loss = F.mse_loss(method.unet(seen, k, encoder_hidden_states=vectors).sample.float(), target)
        update("denoiser", loss)
        return {self.config.predicts: loss}

    def vectors(self, pictures: Tensor, noise: Noise) -> Tensor:
        """Tokens (N, 1, D) of pictures in the place of texts, which are seldom there; of some, zeros."""
        seen = reader(self.config.text, pictures.device).as_texts(pictures, noise)
        return token(seen) * (noise.uniform(1, 1) < self.config.told)


@torch.no_grad()
def standardise(vae: Any, latents: Tensor) -> None:
    """Let an autoencoder have latents of mean 0 and deviation 1 in each channel, where it had these (N, C, h, w).

    What it decodes stays: the convolutions between its latents and its networks take the factors up.
    """
    mean = across.mean(latents.mean((0, 2, 3)))
    deviation = across.mean((latents - mean[:, None, None]).square().mean((0, 2, 3))).sqrt()
    count, into, back = len(mean), vae.quant_conv, vae.post_quant_conv
    into.weight[:count] /= deviation[:, None, None, None]
    into.bias[:count] = (into.bias[:count] - mean) / deviation
    into.bias[count:] -= 2 * deviation.log()
    back.bias += back.weight[:, :, 0, 0] @ mean
    back.weight *= deviation[:, None, None]
