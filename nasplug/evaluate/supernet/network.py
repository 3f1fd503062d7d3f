"""The network of shared weights: it computes with one candidate at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nasplug.contract.errors import SpaceError, SpecError, TrialError
from nasplug.contract.protocols import HasVector
from nasplug.contract.wording import plural
from nasplug.evaluate.supernet.sharing import Place, covers, memories, places

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace, Task
    from nasplug.contract.records import Architecture

#: Networks that are kept ready.
READY = 64
#: Architectures that are looked at, without numbers, for the layers that there are: at least, and at most.
SEEN, MOST = 256, 2048
#: No more are looked at when so many in a row had no layer that is new or wider.
SETTLED = 128
#: Draws in a row that may fail to build before the space is blamed.
FAILURES = 200


class NothingBuildsError(TrialError):
    """There is no network to share weights: every candidate fails, each in its own trial."""


class SharedNetwork(nn.Module):
    """Weights that all networks of a space share, and the candidate that computes with them now.

    Args:
        space: Space of the networks.
        task: Task that they are built for.
        rng: Random stream of the draws.

    Raises:
        NothingBuildsError: None of the networks that were looked at can be built.
    """

    def __init__(self, space: SearchSpace, task: Task, rng: np.random.Generator) -> None:
        super().__init__()
        self._space, self._task, self._rng = space, task, rng
        self._ready: OrderedDict[str, tuple[nn.Module, dict[str, Place], dict[str, str]]] = OrderedDict()
        #: What buffers remember that the space shares, by key.
        self.remembered: dict[str, Tensor] = {}
        sizes: dict[str, tuple[int, ...]] = {}
        wide: list[Architecture] = []
        counts: list[tuple[int, Architecture]] = []
        alike = 0
        for number, architecture in enumerate(self._varied()):
            if number >= SEEN and alike >= SETTLED:
                break
            alike += 1
            found = self._places(architecture)
            if found is None:
                continue
            counts.append((sum(int(np.prod(place.shape)) for place in found.values()), architecture))
            grows = False
            for place in found.values():
                before = sizes.get(place.key)
                sizes[place.key] = place.needed if before is None else tuple(map(max, before, place.needed))
                grows |= sizes[place.key] != before
            if grows:
                alike = 0
                wide.append(architecture)
        if not counts:
            raise NothingBuildsError(
                "shape",
                f"none of {plural(SEEN, 'network')} of {space.name!r} can be built",
                where="evaluator 'supernet'",
            )
        #: The networks with the most and the fewest parameters of those that were looked at.
        self.largest = max(counts, key=lambda pair: pair[0])[1]
        self.smallest = min(counts, key=lambda pair: pair[0])[1]
        self.keys = tuple(sizes)
        self.shared = nn.ParameterList(self._initial(sizes, wide))
        self.choose(self.largest)

    def state(self) -> dict[str, Tensor]:
        """Shared tensors by key."""
        return dict(zip(self.keys, self.shared, strict=True))

    def choose(self, architecture: Architecture) -> None:
        """Computes with this candidate from now on.

        Args:
            architecture: The candidate.
        """
        key = architecture.key
        if key not in self._ready:
            network = self._space.build(architecture, self._task)
            where, buffers = places(self._space, architecture, network), memories(self._space, architecture, network)
            self._ready[key] = network, where, buffers
            if len(self._ready) > READY:
                self._ready.popitem(last=False)
        self._ready.move_to_end(key)
        self._now = [self._ready[key]]  # in a list, since its parameters are not those of this module
        device = self.shared[0].device
        network, _, buffers = self._now[0]
        network.to(device)
        for name, kept in buffers.items():
            own = self.remembered.get(kept)
            self.remembered[kept] = (network.get_buffer(name).detach().clone() if own is None else own).to(device)

    def draw(self) -> None:
        """Computes with a random candidate from now on, drawn as the space draws."""
        state, problem = self.state(), ""
        for _ in range(FAILURES):
            architecture = self._space.sample(self._rng)
            try:
                self.choose(architecture)
            except Exception as error:  # some candidates of a space cannot be built, and fail in trials of their own
                problem = f"{type(error).__name__}: {error}"
                continue
            if all(covers(place, state) for place in self._now[0][1].values()):
                return
            problem = "they have layers that are rarer than one network in hundreds"
        raise SpecError(
            f"{plural(FAILURES, 'network')} of {self._space.name!r} in a row cannot be trained together",
            where="evaluator 'supernet'",
            why=problem,
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Computes with the present candidate."""
        network, where, buffers = self._now[0]
        network.train(self.training)
        state = self.state()
        own = {name: place.of(state[place.key]) for name, place in where.items()}
        own |= {name: self.remembered[key] for name, key in buffers.items()}
        return functional_call(network, own, args, kwargs)

    # -- what there is -----------------------------------------------------------------------------------------------

    def _varied(self) -> Iterator[Architecture]:
        """One network with every option of every choice, and random ones."""
        seen = 0
        for position, choice in enumerate(self._space.choices if isinstance(self._space, HasVector) else ()):
            for index in range(len(choice.options) if isinstance(choice.options, tuple) else 0):
                vector = list(self._space.vector(self._space.sample(self._rng)))  # type: ignore[attr-defined]
                vector[position] = index
                try:
                    yield self._space.from_vector(vector)  # type: ignore[attr-defined]
                except SpaceError:
                    continue
                seen += 1
        while seen < MOST:
            yield self._space.sample(self._rng)
            seen += 1

    def _places(self, architecture: Architecture) -> dict[str, Place] | None:
        """Places of a network's parameters, without numbers; None if it cannot be built."""
        try:
            with torch.device("meta"):
                network = self._space.build(architecture, self._task)
        except Exception:  # it may want numbers
            try:
                network = self._space.build(architecture, self._task)
            except Exception:  # it fails in a trial of its own
                return None
        return places(self._space, architecture, network)

    @torch.no_grad()
    def _initial(self, sizes: Mapping[str, tuple[int, ...]], wide: list[Architecture]) -> list[nn.Parameter]:
        """Shared tensors as the networks that need their size begin; what none of these fill is drawn like the rest."""
        found: dict[str, Tensor] = {}
        for architecture in wide:
            network = self._space.build(architecture, self._task)
            own = dict(network.named_parameters())
            for name, place in places(self._space, architecture, network).items():
                values = own[name].detach()
                if place.key not in found:
                    deviation = float(values.std()) if values.numel() > 1 else 0.0
                    found[place.key] = torch.empty(sizes[place.key], dtype=values.dtype)
                    found[place.key].normal_(0.0, deviation) if deviation > 0 else found[place.key].fill_(
                        float(values.mean()) if values.numel() else 0.0
                    )
                place.put(found[place.key], values)
        return [nn.Parameter(found[key]) for key in sizes]
