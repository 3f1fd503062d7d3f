"""Networks that surgery must follow, each with what makes it hard."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.contract.jsondata import Json


class Pad(nn.Module):
    """The zero-padded shortcut "option A", its numbers written in code."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        self.amounts = (0, 0, 0, 0, low, high)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], self.amounts)


class Block(nn.Module):
    """Residual block of a CIFAR ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        more = outputs - inputs
        self.shortcut = Pad(more // 2, more - more // 2) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(x))


class OptionA(nn.Module):
    """CIFAR ResNet with padded shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2))
        self.fc = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(F.relu(self.bn(self.conv(x)))).mean((2, 3)))


class Attention(nn.Module):
    """Heads divided by a number kept as an attribute."""

    def __init__(self, width: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, width // heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, length, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, -1)
        return x + self.proj(mixed)


class Transformer(nn.Module):
    """Patches, a class token, positions, attention and an MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        self.positions = nn.Parameter(torch.randn(1, 17, 12))
        self.attention = Attention()
        self.mlp = nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.positions
        tokens = self.attention(tokens)
        return self.head((tokens + self.mlp(tokens))[:, 0])


class Several(nn.Module):
    """Depthwise and grouped convolutions, a shuffle, a gate, a concatenation, a flatten, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, 2, 1)
        self.depthwise = nn.Conv2d(8, 16, 3, 1, 1, groups=8)
        self.groups = nn.Conv2d(16, 12, 3, 1, 1, groups=4)
        self.norm = nn.GroupNorm(4, 12)
        self.squeeze = nn.Conv2d(12, 4, 1)
        self.excite = nn.Conv2d(4, 12, 1)
        self.up = nn.ConvTranspose2d(12, 6, 2, 2)
        self.side = nn.Conv2d(3, 5, 1)
        self.gated = nn.Conv2d(11, 14, 1)
        self.hidden = nn.Linear(7 * 16, 9)
        self.first = nn.Linear(9, 3)
        self.second = nn.Linear(9, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = F.silu(self.norm(self.groups(F.relu(self.depthwise(self.one(x))))))
        y = y * torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        y = torch.cat([F.relu(self.up(y)), self.side(x)], 1)
        left, right = self.gated(y).chunk(2, 1)
        y = self.hidden(F.adaptive_avg_pool2d(left * torch.sigmoid(right), 4).flatten(1)).relu()
        return self.first(y), self.second(y)


class Volume(nn.Module):
    """Three dimensions, transposed convolution, instance normalisation, a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv3d(1, 6, 3, 2, 1)
        self.norm = nn.InstanceNorm3d(6, affine=True)
        self.act = nn.PReLU()
        self.middle = nn.Conv3d(6, 8, 3, 1, 1)
        self.up = nn.ConvTranspose3d(8, 4, 2, 2)
        self.out = nn.Conv3d(5, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.middle(self.act(self.norm(self.down(x))))
        return self.out(torch.cat([x, F.relu(self.up(y))], 1))


#: Networks and the shape of their input.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "option A": (OptionA, (3, 16, 16)),
    "transformer": (Transformer, (3, 16, 16)),
    "several": (Several, (3, 16, 16)),
    "volume": (Volume, (1, 8, 8, 8)),
}


def built(name: str, seed: int = 0) -> tuple[nn.Module, tuple[int, ...]]:
    """A network in double precision, all of its weights and statistics random."""
    make, shape = NETWORKS[name]
    torch.manual_seed(seed)
    network = make().double()
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.data = torch.rand_like(tensor) + 0.5
    return network, shape


def outputs(network: nn.Module, x: Tensor, *, training: bool = False) -> Tensor:
    """All outputs in one vector; running statistics stay."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    network.train(training)
    with torch.no_grad():
        result = network(x)
    network.load_state_dict(state)
    parts = result if isinstance(result, tuple) else (result,)
    return torch.cat([part.flatten() for part in parts])


def plain(shape: tuple[int, ...]) -> Json:
    """Inputs in double precision, as a specification says them."""
    return {"shape": list(shape), "dtype": "float64"}
