"""What the parts of a search ask of each other, as small structural protocols.

A search space must fulfil `SearchSpace`; everything beyond that is a capability of its own, and a strategy
names the ones it needs in `requires`. None of these classes needs to be inherited from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nasplug.contract.choice import Choice as Choice
from nasplug.contract.kinds import component_type
from nasplug.contract.records import Architecture, Evaluation, Genotype, Proposal, Scalar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pytorch_lightning import LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.jsondata import JsonObject
    from nasplug.cost.candidate import Candidate
    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.ledger.view import StudyView
    from nasplug.run.executors.launch import Launch
    from nasplug.run.jobs import Done, Job
    from nasplug.spaces.graph import Graph
    from nasplug.workloads.workload import Workload


@component_type("space")
@runtime_checkable
class SearchSpace(Protocol):
    """A set of architectures.

    Three members are optional. With them, a space and a task that do not go together are refused before anything runs.

    * `produces`: a tuple of the outputs that its networks can give: `vector`, `map`, `volume`, `sequence`; an empty one
      says that it has no networks, only results in tables.
    * `check_inputs(inputs)`: raises SpecError for `nasplug.Inputs` that its networks cannot take;
      `nasplug.contract.io.check_images` does it for image classifiers.
    * `bind(task)`: looks at the task, for a space whose choices come from the task's own module; called once, in every
      process, before anything is drawn.

    Attributes:
        name: The slug; every architecture of the space carries it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    def architecture(self, genotype: Any) -> Architecture:
        """Makes an architecture with its canonical key.

        Raises:
            SpaceError: The genotype is not in the space.
        """

    def validate(self, architecture: Architecture) -> None:
        """Checks an architecture that comes from outside.

        Raises:
            SpaceError: It is not in the space.
        """

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws an architecture from the space's prior, uniform unless the space says otherwise."""

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the untrained `torch.nn.Module` for the task's inputs and output."""


def bind(space: SearchSpace, task: Task) -> None:
    """Lets a space look at the task, if it wants to.

    Args:
        space: Space; its optional method `bind` is called.
        task: Task of the study.

    Raises:
        NasplugError: The space cannot go with the task.
    """
    method = getattr(space, "bind", None)
    if method is not None:
        method(task)


@runtime_checkable
class Mutates(Protocol):
    """A space whose architectures have neighbours."""

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns an architecture that differs from the given one in one random decision."""


@runtime_checkable
class Crosses(Protocol):
    """A space whose architectures can be recombined."""

    def cross(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns a child that takes every decision from one of its parents."""


@runtime_checkable
class Enumerates(Protocol):
    """A finite space that can be walked through."""

    def size(self) -> int:
        """Number of genotypes; several may build the same network."""

    def __iter__(self) -> Iterator[Architecture]:
        """All architectures in a fixed order."""


@runtime_checkable
class HasGraph(Protocol):
    """A space whose architectures are labelled directed acyclic graphs."""

    def graph(self, architecture: Architecture) -> Graph:
        """The network as a graph of operations, for kernels, embeddings and drawings."""


@runtime_checkable
class ReadsGraph(Protocol):
    """A space that knows which graphs are networks of it, for methods that make graphs."""

    def from_graph(self, graph: Graph) -> Architecture:
        """The architecture whose network a graph is; the inverse of `HasGraph.graph`.

        Raises:
            SpaceError: No network of the space has this graph.
        """


@runtime_checkable
class HasVector(Protocol):
    """A space of a fixed number of named decisions."""

    @property
    def choices(self) -> Sequence[Choice]:
        """The decisions, in the order of the vector."""

    def vector(self, architecture: Architecture) -> tuple[float, ...]:
        """One entry for every decision: the index (`int`) of the chosen option, or the number of a continuous range.

        Decisions that are not made, because of a condition, have the index 0 or the lower bound of their range.
        """

    def from_vector(self, indices: Sequence[float]) -> Architecture:
        """The inverse of `vector`; entries of decisions that are not made are ignored."""


@runtime_checkable
class HasConditions(Protocol):
    """A space of named decisions that need not all be made."""

    def active(self, architecture: Architecture) -> Mapping[str, Scalar]:
        """The decisions that are made, with their values, by name and in order."""


@runtime_checkable
class HasLabels(Protocol):
    """A space that can name its architectures for people."""

    def label(self, architecture: Architecture) -> str:
        """A short description in one line, such as `op=conv kernel=3`; it need not be unique."""


@runtime_checkable
class HasNeighbours(Protocol):
    """A space that can list everything one decision away."""

    def neighbours(self, architecture: Architecture) -> Sequence[Architecture]:
        """Every other architecture one decision away, without repetitions, in a fixed order.

        Of a range, only the next values below and above count as one decision away.
        """


@runtime_checkable
class Tabulates(Protocol):
    """A space whose architectures can be found in a table of results.

    Attributes:
        table_columns: Columns that say which architecture a row is.
    """

    @property
    def table_columns(self) -> tuple[str, ...]: ...  # noqa: D102

    def codes(self, columns: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.int64]:
        """One integer (`numpy.int64`, shape (rows,)) per row; different architectures have different ones.

        Raises:
            SpaceError: A row holds no architecture of the space.
        """

    def code(self, architecture: Architecture) -> int:
        """The integer of one architecture."""

    def from_code(self, code: int) -> Architecture:
        """The inverse of `code`."""


@runtime_checkable
class HasHyperparameters(Protocol):
    """A space whose architectures say how they are trained."""

    @property
    def hyperparameter_names(self) -> tuple[str, ...]:
        """All names that `hyperparameters` may give."""

    def hyperparameters(self, architecture: Architecture) -> Mapping[str, Scalar]:
        """Keyword arguments for the task's module."""


@runtime_checkable
class HasTrainedPart(Protocol):
    """A space that puts what no training depends on, such as hardware, beside the architectures of another space.

    Results of a training, such as those of a table, hold for a point as they do for its trained part.

    Attributes:
        inner: Space of the trained part.
    """

    inner: SearchSpace

    def trained_part(self, architecture: Architecture) -> Architecture:
        """The architecture of `inner` that a point trains."""


@runtime_checkable
class HasWorkload(Protocol):
    """A space that knows the layers of its networks without building them."""

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The very workload that would be read off the built network, for the task's input and outputs."""


@runtime_checkable
class SharesWeights(Protocol):
    """A space that says which weights its networks share when they are trained together, as a supernet.

    Without it, parameters of one name are shared, in layers of one class and with kernels of one size; a narrower layer
    has the first channels of a wider one. Buffers are shared where they are named: statistics of batch normalisations
    are measured anew for every network, and whatever else layers remember belongs to the network that they are in.
    """

    def shared(
        self, architecture: Architecture, network: nn.Module
    ) -> Mapping[str, tuple[str, Mapping[int, Sequence[int]]]]:
        """Says where parameters lie in the shared weights.

        Args:
            architecture: The architecture.
            network: Network of it, perhaps without numbers.

        Returns:
            By name of a parameter in the network: the name of the shared tensor, and the positions in it along axes
            where these are not the first ones. Parameters that are left out are shared by their names. By name of a
            buffer: the name of what all networks with a buffer of this shape remember together, and no positions.
        """


@runtime_checkable
class Relaxes(Protocol):
    """A space with one differentiable network of all decisions, whose parameters say which of them to make."""

    def relaxed(self, task: Task) -> nn.Module:
        """Builds the network in which every decision is a weighted sum of its options; the weights are parameters."""

    def derived(self, network: nn.Module) -> Genotype:
        """The genotype that the weights of a trained relaxed network favour.

        Args:
            network: Network of `relaxed`.
        """


@component_type("task")
@runtime_checkable
class Task(Protocol):
    """Data, and how to train and score a network on them.

    Attributes:
        input_shape: Shape of one input without the batch dimension, e.g. (channels, height, width); of the first, if
            there are several.
        outputs: Number of channels of the output, e.g. classes.
        objectives: The metrics it can report, with their direction; the first one is the default objective.

    Everything below is optional.

    * `inputs`: what the network is called with, as `nasplug.Inputs.of` reads it, where that is more than one float
      tensor of `input_shape`: integers, several inputs, inputs by name.
    * `output`: what the network gives back, as `nasplug.OutputSpec.of` reads it: `vector` (the default), `map`,
      `volume` or `sequence`, with `outputs` channels.
    * `check()`: looks quickly, before anything runs, whether the data can be there.
    * `shapes_need_data`: true if `input_shape` and `outputs` are known only after reading data, which is then left to
      the workers.
    """

    @property
    def input_shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def outputs(self) -> int: ...  # noqa: D102
    @property
    def objectives(self) -> Mapping[str, str]: ...  # noqa: D102

    def datamodule(self) -> LightningDataModule:
        """A fresh `LightningDataModule`; its test data are used for a final test only."""

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar]) -> LightningModule:
        """A `LightningModule` that trains `network`."""

    def check_hyperparameters(self, names: Sequence[str]) -> None:
        """Checks that `module` takes hyperparameters of these names.

        Raises:
            TaskError: It does not take one of them.
        """


@runtime_checkable
class HardwareTarget(Protocol):
    """Something a network can run on.

    Attributes:
        name: The full name, e.g. `cpu` or `npu:wu32`. The part before the colon is the namespace of its costs.
        capabilities: Facts others may ask for, e.g. the bit widths it computes with.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def capabilities(self) -> JsonObject: ...  # noqa: D102

    def estimate(self, candidate: Candidate) -> Mapping[str, float]:
        """Prices one candidate; keys carry their unit: `latency_s`, `energy_j`, `peak_sram_bytes`."""


@component_type("strategy")
@runtime_checkable
class Strategy(Protocol):
    """A search strategy. Everything below is optional.

    * `requires`: capability protocols the space must fulfil, e.g. `(Mutates,)`.
    * `hyperparameters`: names of the hyperparameters it proposes, checked against the task before anything runs.
    * `keeps_checkpoints`: true if it proposes trials with a parent, whose optimiser state must then be kept.
    * `needs_weights(study)`: numbers of the finished trials whose weights it may still start from, or that are its
      result; their files stay whatever `run.keep` says, and what it proposes once more after its files were deleted
      is trained again instead of copied.
    * `observe(study, trial)`: the hook, called for every finished trial in order.
    * `state_dict()` / `load_state_dict(state)`: JSON data that restore the strategy exactly. Without them a resumed
      run replays the strategy from the first trial, which costs time but is just as exact.
    """

    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The hook; see `nasplug.contract.hookspecs.StudySpecs`."""


@component_type("evaluator")
@runtime_checkable
class Evaluator(Protocol):
    """Turns a trial into metrics. May have `objectives` like a task, if it needs no task."""

    def evaluate(self, run: TrialRun) -> Evaluation | None:
        """The hook; see `nasplug.contract.hookspecs.StudySpecs`."""


@component_type("executor")
@runtime_checkable
class Executor(Protocol):
    """Runs jobs; knows nothing of strategies and storage.

    Attributes:
        separate: Whether jobs run in processes of their own, so that a time limit can be kept.
    """

    @property
    def separate(self) -> bool: ...  # noqa: D102

    def start(self, launch: Launch) -> None:
        """Gets ready to work for a run.

        Args:
            launch: The run; `launch.bootstrap()` is what a process elsewhere needs to become a worker of it.
        """

    def submit(self, job: Job) -> None:
        """Takes a job; it starts when a worker is free, in order of submission."""

    def finished(self) -> list[Done]:
        """Waits until at least one job is finished and returns what became of those that are, in any order."""

    def close(self, *, kill: bool = False) -> None:
        """Ends all workers; with `kill`, at once."""


#: Capability protocols by name, for error messages and for the documentation.
CAPABILITIES: dict[str, type] = {
    protocol.__name__: protocol
    for protocol in (
        Mutates,
        Crosses,
        Enumerates,
        HasConditions,
        HasGraph,
        HasHyperparameters,
        HasLabels,
        HasNeighbours,
        HasVector,
        HasWorkload,
        ReadsGraph,
        Relaxes,
        SharesWeights,
        Tabulates,
    )
}


def withdraw(space: SearchSpace, *methods: str) -> None:
    """Makes an instance no longer fulfil the capabilities that need a method of its class.

    The instance becomes one of a subclass, in which the method is None; `isinstance` with a protocol takes that as
    absent, as Python does with `__hash__ = None`.

    Args:
        space: The instance, changed in place.
        *methods: Names of methods, such as `graph`.
    """
    space.__class__ = _narrowed(type(space), tuple(sorted(methods)))


@cache
def _narrowed(base: type[SearchSpace], methods: tuple[str, ...]) -> type[SearchSpace]:
    def reduce(self: object) -> tuple[object, ...]:  # pickle finds no class of this kind by its name
        return _restored, (base, methods, vars(self))

    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    create: Callable[..., type[SearchSpace]] = type(base)
    return create(base.__name__, (base,), {**names, "__reduce__": reduce, **dict.fromkeys(methods)})


def _restored(base: type[SearchSpace], methods: tuple[str, ...], state: Mapping[str, object]) -> SearchSpace:
    cls = _narrowed(base, methods)
    space = cls.__new__(cls)
    vars(space).update(state)
    return space
