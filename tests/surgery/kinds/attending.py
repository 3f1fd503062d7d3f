"""Modules as people write them: attention, words, sequences, gates and recurrence."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TiedWords(nn.Module):
    """A language model whose table of words is also its last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.up, self.down = nn.Linear(6, 10), nn.Linear(10, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, words: Tensor) -> Tensor:
        x = self.table(words)
        return self.head(x + self.down(F.silu(self.up(x))))


class Efficient(nn.Module):
    """ECA: a convolution that slides along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.slide, self.mid = nn.Conv2d(3, 8, 1), nn.Conv1d(1, 1, 3, padding=1), nn.Conv2d(8, 6, 1)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        gate = self.slide(x.mean((2, 3)).unsqueeze(1)).squeeze(1).sigmoid()
        return self.last(F.relu(self.mid(x * gate[:, :, None, None])))


class Separate(nn.Module):
    """Attention with a matrix for each of queries, keys and values, and LayerScale."""

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.num_heads = heads
        self.stem, self.norm = nn.Linear(3, width), nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.proj, self.gamma = nn.Linear(width, width), nn.Parameter(torch.rand(width))
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(2).transpose(1, 2))
        batch, length, _ = x.shape
        y = self.norm(x)
        q, k, v = (
            layer(y).view(batch, length, self.num_heads, -1).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        weights = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
        mixed = (weights.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, -1)
        return self.head((x + self.gamma * self.proj(mixed)).mean(1))


class GroupedQueries(nn.Module):
    """Four heads of queries share two of keys and values, which are repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = 4, 2, 3
        self.stem = nn.Linear(3, 7)
        self.q, self.k, self.v = nn.Linear(7, 12), nn.Linear(7, 6), nn.Linear(7, 6)
        self.out, self.head = nn.Linear(12, 7), nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(2).transpose(1, 2))
        batch, length, _ = x.shape
        q = self.q(x).view(batch, length, self.n_heads, self.head_dim).transpose(1, 2)
        k = self.k(x).view(batch, length, self.n_kv_heads, self.head_dim).transpose(1, 2)
        v = self.v(x).view(batch, length, self.n_kv_heads, self.head_dim).transpose(1, 2)
        k, v = (t.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1) for t in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, -1)
        return self.head((x + self.out(mixed)).mean(1))


class Rotary(nn.Module):
    """Queries and keys turned by halves, with a buffer of angles."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.head_dim = 2, 4
        self.stem, self.qkv, self.out, self.head = nn.Linear(3, 6), nn.Linear(6, 24), nn.Linear(8, 6), nn.Linear(6, 2)
        angles = torch.arange(64.0)[:, None] / 100 ** (torch.arange(2.0) / 2)
        self.register_buffer("cos", torch.cat([angles, angles], -1).cos())
        self.register_buffer("sin", torch.cat([angles, angles], -1).sin())

    def turned(self, x: Tensor) -> Tensor:
        one, other = x.chunk(2, dim=-1)
        return x * self.get_buffer("cos") + torch.cat([-other, one], -1) * self.get_buffer("sin")

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(2).transpose(1, 2))
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(self.turned(q), self.turned(k), v)
        return self.head((x + self.out(mixed.transpose(1, 2).flatten(2))).mean(1))


class HeadByHead(nn.Module):
    """Heads that a loop cuts out by numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.width = 2, 4
        self.stem, self.values, self.mlp = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(2).transpose(1, 2))
        values = self.values(x)
        parts = [values[..., i * self.width : (i + 1) * self.width].relu() for i in range(self.heads)]
        return self.head(self.mlp(torch.cat(parts, -1)).relu().mean(1))


class Encoder(nn.Module):
    """A layer of torch's own transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.stem(x.flatten(2).transpose(1, 2))).mean(1))


class Normed(nn.Module):
    """GroupNorm, and channels last under a LayerNorm, as in ConvNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.group = nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8)
        self.depth, self.layer = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.LayerNorm(8)
        self.up, self.down, self.last = nn.Linear(8, 12), nn.Linear(12, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.group(self.stem(x)))
        y = self.down(F.gelu(self.up(self.layer(self.depth(x).permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
        return self.last(x + y)


class Decoder(nn.Module):
    """Three dimensions: strides down, transposed up, interpolation, and a concatenation of both."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 6, 3, 2, 1)
        self.up, self.side = nn.ConvTranspose3d(6, 5, 2, 2), nn.Conv3d(6, 3, 1)
        self.norm, self.last = nn.InstanceNorm3d(12), nn.Conv3d(12, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.one(x))
        y = F.leaky_relu(self.two(x))
        grown = F.interpolate(self.side(y), size=x.shape[2:], mode="trilinear", align_corners=False)
        return self.last(self.norm(torch.cat([self.up(y), x, grown], 1)))


class Prototypes(nn.Module):
    """Buffers as long as the channels: a mean that is taken off, and a mask of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 5, 1), nn.Conv2d(5, 2, 1)
        self.register_buffer("mean", torch.rand(6))
        self.register_buffer("mask", torch.rand(1, 5, 1, 1))
        self.scale = nn.Parameter(torch.rand(6))

    def forward(self, x: Tensor) -> Tensor:
        x = (self.stem(x) - self.get_buffer("mean")[None, :, None, None]) * self.scale.view(1, -1, 1, 1)
        return self.last(self.body(F.relu(x)) * self.get_buffer("mask"))


class Einsums(nn.Module):
    """Layers that are parameters, used by `torch.einsum` and `@`."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.randn(6, 3))
        self.two = nn.Parameter(torch.randn(6, 5))
        self.bias = nn.Parameter(torch.randn(5))
        self.three = nn.Parameter(torch.randn(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(torch.einsum("bchw,oc->bohw", x, self.one)).flatten(2).transpose(1, 2)
        return torch.tanh(x @ self.two + self.bias).mean(1) @ self.three


class Recurrent2d(nn.Module):
    """A ConvLSTM of three steps: four gates from one convolution, two states that start at zero."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.width = width
        self.gates, self.last = nn.Conv2d(3 + width, 4 * width, 3, padding=1), nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, length = x.shape
        hidden = torch.zeros(batch, self.width, height, length, device=x.device, dtype=x.dtype)
        cell = torch.zeros_like(hidden)
        for step in range(3):
            i, f, o, g = self.gates(torch.cat([x / (step + 1), hidden], 1)).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
        return self.last(hidden)


class Cells(nn.Module):
    """A recurrent cell written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.keep, self.mlp, self.last = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.flatten(2).transpose(1, 2)[:, :4]
        hidden = torch.tanh(self.enter(steps[:, 0]))
        for step in range(1, 4):
            hidden = torch.tanh(self.enter(steps[:, step]) + self.keep(hidden))
        return self.last(F.relu(self.mlp(hidden)))


class Sequences(nn.Module):
    """A GRU between two layers, the first of which is followed by a normalisation and another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.rnn, self.head = (
            nn.Linear(3, 6),
            nn.Linear(6, 5),
            nn.GRU(5, 4, batch_first=True),
            nn.Linear(4, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.two(F.relu(self.one(x.flatten(2).transpose(1, 2)[:, :5]))))[0][:, -1])


class Gated(nn.Module):
    """GLU, FiLM and a highway."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide, self.film = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 10, 1), nn.Linear(3, 10)
        self.carry, self.last = nn.Conv2d(5, 5, 1), nn.Conv2d(5, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = self.film(x.mean((2, 3))).chunk(2, 1)
        y = F.glu(self.wide(F.relu(self.stem(x))), 1)
        y = torch.addcmul(shift[:, :, None, None], y, scale[:, :, None, None])
        gate = torch.sigmoid(self.carry(y))
        return self.last(torch.lerp(y, torch.tanh(y), gate))


class Mixed(nn.Module):
    """Branches weighed by a softmax of architecture parameters, as in DARTS."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.branches = nn.ModuleList([nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 3, padding=1), nn.Identity()])
        self.alpha = nn.Parameter(torch.randn(3))
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.last(
            F.relu(sum(w * branch(x) for w, branch in zip(self.alpha.softmax(0), self.branches, strict=True)))
        )


class Spatial(nn.Module):
    """CBAM: a map of the mean and the largest of all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.map, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(2, 1, 3, padding=1), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        seen = torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1)
        return self.last(x * torch.sigmoid(self.map(seen)))


class Cosine(nn.Module):
    """A classifier by angles."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.code = nn.Linear(3, 8), nn.Linear(8, 6)
        self.classes = nn.Parameter(torch.randn(4, 6))

    def forward(self, x: Tensor) -> Tensor:
        code = self.code(F.relu(self.hidden(x.mean((2, 3)))))
        return 10 * F.linear(F.normalize(code), F.normalize(self.classes))


class Bilinear(nn.Module):
    """A matrix of products of all pairs of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(F.relu(self.one(x))).flatten(2)
        return self.head((y @ y.transpose(1, 2)).flatten(1))


class Positions(nn.Module):
    """Sines and cosines as long as the width, computed in the forward pass, and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.up, self.down, self.head = nn.Linear(3, 6), nn.Linear(6, 9), nn.Linear(9, 6), nn.Linear(6, 2)
        self.token = nn.Parameter(torch.randn(1, 1, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(2).transpose(1, 2))
        width = x.shape[-1]
        rates = torch.exp(torch.arange(0, width, 2, device=x.device, dtype=x.dtype) * (-math.log(100.0) / width))
        angles = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)[:, None] * rates
        x = x + torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        return self.head((x + self.down(F.gelu(self.up(x))))[:, 0])
