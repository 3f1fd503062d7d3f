"""Networks that generate, and representations that are learned without labels."""

from __future__ import annotations

import copy

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional

from tests.support.modules.images import IMAGES, LABELS, loaders


class Gan(pl.LightningModule):
    """Two networks, two optimisers, optimised by hand."""

    def __init__(self, latent_dim: int = 8, lr: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(latent_dim, 16), nn.ReLU(), nn.Linear(16, 64))
        self.discriminator = nn.Sequential(nn.Linear(64, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def forward(self, z):
        return self.generator(z)

    def training_step(self, batch, batch_idx):
        real = batch[0].flatten(1)
        of_generator, of_discriminator = self.optimizers()
        z = torch.randn(len(real), self.hparams.latent_dim, device=self.device)
        if batch_idx % 3 == 2:
            self.toggle_optimizer(of_generator)
            loss = functional.softplus(-self.discriminator(self(z))).mean()
            of_generator.zero_grad()
            self.manual_backward(loss)
            of_generator.step()
            self.untoggle_optimizer(of_generator)
            self.log("g_loss", loss, prog_bar=True)
            return
        self.toggle_optimizer(of_discriminator)
        fake = self(z).detach()
        loss = (
            functional.softplus(-self.discriminator(real)).mean() + functional.softplus(self.discriminator(fake)).mean()
        )
        of_discriminator.zero_grad()
        self.manual_backward(loss)
        of_discriminator.step()
        self.untoggle_optimizer(of_discriminator)
        self.log("d_loss", loss, prog_bar=True)

    def validation_step(self, batch, batch_idx):
        real = batch[0].flatten(1)
        fake = self(torch.randn(len(real), self.hparams.latent_dim, device=self.device))
        self.log("val_distance", (real.mean(0) - fake.mean(0)).norm())

    def configure_optimizers(self):
        first = torch.optim.Adam(self.generator.parameters(), lr=self.hparams.lr, betas=(0.5, 0.9))
        second = torch.optim.Adam(self.discriminator.parameters(), lr=self.hparams.lr, betas=(0.5, 0.9))
        return [first, second], []


class AutoEncoder(pl.LightningModule):
    """Takes two networks."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def training_step(self, batch, batch_idx):
        x = batch[0].flatten(1)
        loss = functional.mse_loss(self.decoder(self.encoder(batch[0])), x)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", functional.mse_loss(self.decoder(self.encoder(batch[0])), batch[0].flatten(1)))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def autoencoder(network, width: int = 16):
    """The recipe for a module of several networks: make the others here."""
    return AutoEncoder(network, nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 64)))


class Contrastive(pl.LightningModule):
    """Two views of an image are told from those of all others."""

    def __init__(self, hidden_dim: int = 8, lr: float = 1e-2, temperature: float = 0.2, max_epochs: int = 10):
        super().__init__()
        self.save_hyperparameters()
        self.convnet = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
        self.projection = nn.Sequential(nn.ReLU(), nn.Linear(8, hidden_dim))

    def info_nce(self, batch, mode):
        images = torch.cat([batch[0] + 0.1 * torch.randn_like(batch[0]) for _ in range(2)])
        features = functional.normalize(self.projection(self.convnet(images)), dim=1)
        similar = features @ features.T / self.hparams.temperature
        similar = similar.masked_fill(torch.eye(len(images), dtype=torch.bool, device=self.device), float("-inf"))
        target = torch.arange(len(images), device=self.device).roll(len(images) // 2)
        self.log(f"{mode}_acc_top1", (similar.argmax(1) == target).float().mean())
        return functional.cross_entropy(similar, target)

    def training_step(self, batch, batch_idx):
        return self.info_nce(batch, "train")

    def validation_step(self, batch, batch_idx):
        self.info_nce(batch, "val")

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr, weight_decay=1e-4)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.hparams.max_epochs, eta_min=1e-4)
        return [optimizer], [cosine]


class Byol(pl.LightningModule):
    """A slowly moving copy of the network gives the targets."""

    def __init__(self, online: nn.Module, predictor_width: int = 8, tau: float = 0.9):
        super().__init__()
        self.online, self.tau = online, tau
        self.target = copy.deepcopy(online).requires_grad_(False)
        self.predictor = nn.Sequential(nn.LazyLinear(predictor_width), nn.ReLU(), nn.Linear(predictor_width, 4))

    def loss(self, images):
        first, second = (images + 0.1 * torch.randn_like(images) for _ in range(2))
        wanted = functional.normalize(self.target(second), dim=1)
        return (functional.normalize(self.predictor(self.online(first)), dim=1) - wanted).square().sum(1).mean()

    def training_step(self, batch, batch_idx):
        return self.loss(batch[0])

    def on_train_batch_end(self, outputs, batch, batch_idx):
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
                slow.lerp_(fast, 1 - self.tau)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch[0]))

    def configure_optimizers(self):
        trained = [*self.online.parameters(), *self.predictor.parameters()]
        return torch.optim.SGD(trained, lr=0.05, momentum=0.9)


class Distiller(pl.LightningModule):
    """A trained teacher that stays, and a student."""

    def __init__(self, teacher: nn.Module, student: nn.Module, alpha: float = 0.5):
        super().__init__()
        self.teacher, self.student, self.alpha = teacher.eval().requires_grad_(False), student, alpha

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self.student(x)
        with torch.no_grad():
            soft = self.teacher(x).softmax(-1)
        return self.alpha * functional.cross_entropy(logits, soft) + (1 - self.alpha) * functional.cross_entropy(
            logits, y
        )

    def validation_step(self, batch, batch_idx):
        self.log("val_acc", (self.student(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.student.parameters(), lr=1e-2)


def teacher():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


class OwnAverage(pl.LightningModule):
    """Builds its network and a copy of it, which no attribute alone can replace."""

    def __init__(self, lr=0.1):
        super().__init__()
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
        self.averaged, self.lr = copy.deepcopy(self.model).requires_grad_(False), lr

    def training_step(self, batch, batch_idx):
        return functional.cross_entropy(self.model(batch[0]), batch[1])

    def on_train_batch_end(self, outputs, batch, batch_idx):
        with torch.no_grad():
            for slow, fast in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 0.1)

    def validation_step(self, batch, batch_idx):
        self.log("val_acc", (self.averaged(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.model.parameters(), lr=self.lr)


def averaged(network, lr=0.1):
    """The recipe: put both in."""
    module = OwnAverage(lr)
    module.model, module.averaged = network, copy.deepcopy(network).requires_grad_(False)
    return module


class Deferred(OwnAverage):
    """Builds the network when a training begins."""

    def on_fit_start(self):
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
        self.averaged = copy.deepcopy(self.model).requires_grad_(False)


def images():
    return loaders(IMAGES, LABELS)
