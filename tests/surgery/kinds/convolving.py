"""Modules as people write them: sharing, shuffles, several heads, functions on maps and weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Siamese(nn.Module):
    """One trunk for both halves of the input, and a distance."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.trunk(x[..., :4]), self.trunk(x[..., 4:])
        return self.head((left - right).abs().flatten(2).sum(-1))


class Looped(nn.Module):
    """A layer that is called three times, with a normalisation of its own for each call."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.shared = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(3))
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm in self.norms:
            x = x + F.gelu(norm(self.shared(x)))
        return self.last(x)


class Rearranged(nn.Module):
    """Patches and heads by `einops.rearrange`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.qkv = nn.Linear(12, 8), nn.Linear(8, 24, bias=False)
        self.heads, self.out, self.head = 2, nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        from einops import rearrange, reduce

        x = self.stem(rearrange(x, "b c (h p) (w q) -> b (h w) (c p q)", p=2, q=2))
        q, k, v = (rearrange(t, "b n (h d) -> b h n d", h=self.heads) for t in self.qkv(x).chunk(3, dim=-1))
        mixed = torch.einsum("bhij,bhjd->bhid", (torch.einsum("bhid,bhjd->bhij", q, k) / 2).softmax(-1), v)
        return self.head(reduce(x + self.out(rearrange(mixed, "b h n d -> b n (h d)")), "b n c -> b c", "mean"))


class AppendedZeros(nn.Module):
    """The shortcut of option A with zeros that are concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        zeros = torch.zeros(x.shape[0], 4, *x.shape[2:], device=x.device, dtype=x.dtype)
        return self.last(F.relu(self.wide(x) + torch.cat([x, zeros], 1)))


class Shuffled(nn.Module):
    """Grouped convolutions with a channel shuffle between them, as in ShuffleNet 1."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = 2
        self.one, self.two = nn.Conv2d(4, 8, 1, groups=2), nn.Conv2d(8, 8, 1, groups=2)
        self.stem, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(self.stem(x)))
        batch, width, height, length = x.shape
        x = x.view(batch, self.groups, width // self.groups, height, length).transpose(1, 2).reshape(x.shape)
        return self.last(self.two(x))


class SubPixels(nn.Module):
    """Pixels into channels and channels into pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(12, 6, 1), nn.Conv2d(6, 20, 3, padding=1), nn.Conv2d(5, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.three(F.relu(F.pixel_shuffle(self.two(F.relu(self.one(F.pixel_unshuffle(x, 2)))), 2)))


class Unshuffled(nn.Module):
    """Channels that become four times as many inside of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(3, 5, 1), nn.Conv2d(20, 6, 1), nn.Conv2d(6, 2, 1)
        self.fold = nn.PixelUnshuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.two(self.fold(F.relu(self.one(x))))))


class Excited(nn.Module):
    """Squeeze and excite by convolutions, twice, the second one by a convolution along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 3, 1), nn.ReLU(), nn.Conv2d(3, 8, 1), nn.Hardsigmoid()
        )
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardswish(self.norm(self.stem(x)))
        return self.last(x * self.gate(x))


class Pyramid(nn.Module):
    """Top-down sums of a feature pyramid, three outputs as a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(4, 6, 3, 2, 1),
            nn.Conv2d(6, 8, 3, 2, 1),
        )
        self.sides = nn.ModuleList(nn.Conv2d(width, 5, 1) for width in (4, 6, 8))
        self.heads = nn.ModuleDict({name: nn.Conv2d(5, 2, 1) for name in ("fine", "middle", "coarse")})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        one = F.relu(self.one(x))
        two = F.relu(self.two(one))
        maps = [side(each) for side, each in zip(self.sides, (one, two, F.relu(self.three(two))), strict=True)]
        maps[1] = maps[1] + F.interpolate(maps[2], scale_factor=2.0)
        maps[0] = maps[0] + F.interpolate(maps[1], scale_factor=2.0, mode="bilinear")
        return {name: head(F.relu(each)) for (name, head), each in zip(self.heads.items(), maps, strict=True)}


class Auxiliary(nn.Module):
    """A head that only runs in training."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1), nn.Linear(8, 2)
        self.side, self.aux = nn.Conv2d(6, 4, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = F.relu(self.stem(x))
        result = self.head(F.relu(self.body(x)).mean((2, 3)))
        return (result, self.aux(F.relu(self.side(x)).mean((2, 3)))) if self.training else result


class ByShape(nn.Module):
    """Code that takes another way if there are many channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.tanh(x) if x.shape[1] > 8 else F.relu(x)
        return self.last(F.relu(self.body(x)))


class Dynamic(nn.Module):
    """A convolution whose kernels another layer computes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.kernels, self.last = nn.Conv2d(3, 4, 1), nn.Linear(3, 6 * 4), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        kernels = self.kernels(x.mean((0, 2, 3))).view(6, 4, 1, 1)
        return self.last(F.relu(F.conv2d(F.relu(self.stem(x)), kernels)))


class Standardised(nn.Module):
    """Kernels that are normalised over what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.weight, self.last = (
            nn.Conv2d(3, 6, 1),
            nn.Parameter(torch.randn(5, 6, 3, 3)),
            nn.Conv2d(5, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / weight.std((1, 2, 3), keepdim=True)
        return self.last(F.relu(F.conv2d(F.relu(self.stem(x)), weight, padding=1)))


class Maxout(nn.Module):
    """The largest of two neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.last(x.view(len(x), 4, 2, *x.shape[2:]).max(2)[0])


class Selected(nn.Module):
    """Channels in an order that a buffer has."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 5, 1), nn.Conv2d(5, 2, 1)
        self.register_buffer("order", torch.tensor([3, 1, 0, 2, 5, 4]))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.body(self.stem(x)[:, self.get_buffer("order")])))


class Merged(nn.Module):
    """Patch merging of Swin: four neighbours become channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.merge, self.head = (
            nn.Conv2d(3, 4, 1),
            nn.LayerNorm(16),
            nn.Linear(16, 6),
            nn.Linear(6, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.head(F.relu(self.merge(self.norm(torch.cat(corners, -1)))).mean((1, 2)))


class Fourier(nn.Module):
    """Complex weights on frequencies."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)
        self.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.complex128))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.last(
            torch.fft.irfft2(torch.einsum("bchw,co->bohw", torch.fft.rfft2(x), self.weight), s=x.shape[2:])
        )


class Sampled(nn.Module):
    """Features taken at places that another layer computes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.offset, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        grid = torch.tanh(self.offset(x)).permute(0, 2, 3, 1)
        return self.last(F.grid_sample(x, grid, align_corners=False))


class Written(nn.Module):
    """A width that stands in the code as a number, and another as an attribute of another name."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 6
        self.one, self.two, self.last = nn.Linear(3, 6), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x.mean((2, 3))).reshape(-1, self.dim)
        return self.last(F.relu(self.two(x)).reshape(-1, 8))


class Outer(nn.Module):
    """A square of products of two vectors, summed again."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(3, 5), nn.Linear(3, 4), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean((2, 3))
        return self.last((self.one(x)[:, :, None] * torch.sigmoid(self.two(x))[:, None, :]).sum(2))


class Dense(nn.Module):
    """Features that are appended in a loop, and a transition."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(4 + 3 * i), nn.ReLU(), nn.Conv2d(4 + 3 * i, 3, 3, padding=1)) for i in range(3)
        )
        self.stem, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(13, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))
        return self.last(torch.cat(maps, 1))
