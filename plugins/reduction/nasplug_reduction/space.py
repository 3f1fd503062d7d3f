"""The space `reduction`: everything smaller than one trained network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
from torch import Tensor, nn

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.io import Inputs, InputsLike
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Architecture, Genotype
from nasplug.contract.wording import plural
from nasplug.cost.meta import meta_copy
from nasplug.evaluate.usermodel import OnUserModel, UserModel
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.hyperparameters import part_of
from nasplug.surgery import Channels, channels_of, edit_of
from nasplug.tasks.batches import inputs_of_batch
from nasplug_reduction.decisions import KERNEL, OPERATOR, Decider, Decisions
from nasplug_reduction.importance import Importance, ranked
from nasplug_reduction.inheritance import inherit
from nasplug_reduction.layout import AxisIndices, Kept, Layout, options
from nasplug_reduction.picture import picture
from nasplug_reduction.records import Substitution, made
from nasplug_reduction.resolution import check_resolutions, read_shares
from nasplug_reduction.substitution import (
    DEPTHWISE,
    POINTWISE,
    Operator,
    Substitutes,
    centre,
    lost_by_crop,
    lost_by_pair,
    translated,
)

if TYPE_CHECKING:
    from pytorch_lightning import Callback

    from nasplug.contract.protocols import Task
    from nasplug.evaluate.trialrun import TrialRun


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Widths that a channel group may have.

    Attributes:
        levels: Number of equal steps between nothing and the original width.
        least: Smallest number of channels that stay.
        round_to: Number that widths are multiples of, such as 8 for hardware that works in eights.

    Raises:
        SpecError: A number is less than 1.
    """

    levels: int = 16
    least: int = 4
    round_to: int = 1

    def __post_init__(self) -> None:
        for name in ("levels", "least", "round_to"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SpecError(
                    f"{name} must be >= 1, got {value!r}" if isinstance(value, int) else f"{name} is {value!r}",
                    where="reduction, widths",
                    fix="write a positive integer",
                )

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Widths:
        """Reads them from a mapping.

        Args:
            given: Values by name.

        Raises:
            SpecError: A name is unknown, or a value is not a positive integer.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise SpecError(f"there is no {name!r}", where="reduction, widths", fix=did_you_mean(str(name), known))
        return cls(**given)  # type: ignore[arg-type]


class ReductionSpace(OnUserModel, ChoiceSpace):
    """All networks that are left of a trained one when channels and blocks are taken out, with their weights.

    There is a choice for the width of every channel group, that is, of everything that must shrink together, and one
    for every residual block that can be passed by; on request also for the kernel and the kind of every convolution,
    and for the resolution. The channels that stay are the most important ones of the trained
    network, so a narrower network is a part of every wider one. A built network has the trained weights; the statistics
    of its batch normalisations are measured anew before it is scored. Works with any network that surgery can follow;
    `refused` says what cannot shrink, and why.

    Example:
        >>> space = ReductionSpace("my_project:model", weights="w.ckpt", inputs=(3, 32, 32))

    Args:
        model: `package.module:name` of a class or function that makes the network, or the LightningModule around it;
            `timm:NAME`; or, in Python, the class, the function or a trained module.
        weights: File of trained weights: safetensors, torch weights, a Lightning checkpoint, `hub` for timm's own, or
            `random` for a network that is not trained yet.
        inputs: Inputs of the network without the batch, such as [3, 224, 224]; None takes the module's
            `example_input_array`, or what timm says.
        arguments: Arguments of the class or function; those that a Lightning checkpoint holds need not be given.
        network_attribute: Path of the network inside a LightningModule; None finds it.
        prefix: Prefix of the names in the file of weights; None finds it.
        importance: Score that decides which channels stay: `magnitude`, `bn_scale` or `random`.
        widths: Widths that a channel group may have.
        blocks: Whether residual blocks may be passed by.
        operators: Substitutions that convolutions may choose from: `kernel` crops a kernel to its centre, `separable`
            puts the nearest depthwise-separable pair in the place of a convolution.
        resolutions: Shares of the original resolution that the network may look at its inputs with, such as 0.5.
        recalibrate: Number of training batches for the statistics of batch normalisations; 0 leaves them as they are.

    Attributes:
        refused: Reason by name of every channel group whose width cannot change.
        substitutes: Operators that may stand for convolutions, and reasons why others stay.

    Raises:
        SpecError: There is no such model, its weights are missing or do not fit, or its inputs are not known.
        SurgeryError: The network cannot be followed.
    """

    def __init__(
        self,
        model: str | nn.Module | Callable[..., object] | UserModel,
        weights: str | None = None,
        inputs: InputsLike | None = None,
        arguments: JsonObject | None = None,
        network_attribute: str | None = None,
        prefix: str | None = None,
        importance: Importance = "magnitude",
        widths: Widths = Widths(),
        blocks: bool = True,
        recalibrate: int = 20,
        operators: Sequence[Operator] = (),
        resolutions: Sequence[float] = (),
    ) -> None:
        if importance not in get_args(Importance):
            raise SpecError(
                f"there is no importance {importance!r}",
                where="reduction, importance",
                fix=did_you_mean(str(importance), get_args(Importance)),
            )
        if isinstance(recalibrate, bool) or not isinstance(recalibrate, int) or recalibrate < 0:
            raise SpecError(
                f"recalibrate is {recalibrate!r}", where="reduction", fix="write a number of batches, 0 for none"
            )
        shares = read_shares(resolutions)
        if not isinstance(model, UserModel):
            model = UserModel(model, weights, arguments, network_attribute, prefix)
        self.model = model
        known = self.model.inputs if inputs is None else Inputs.of(inputs)
        if known is None:
            raise SpecError(
                f"the inputs of {self.model.name} are not known",
                where="reduction",
                fix="give inputs: [3, 224, 224], or set example_input_array in the LightningModule",
            )
        self.inputs = known
        self.recalibrate = recalibrate
        network = self.model.network
        self.model.answer(known)  # what it cannot take is said as the network says it
        channels = channels_of(network, known)
        self.refused: dict[str, str] = dict(channels.refused)
        given_widths: dict[str, tuple[int, ...]] = {}
        for group in channels:
            given = options(group.size, group.maker.places.shape[1], widths.levels, widths.least, widths.round_to)
            if len(given) == 1:
                self.refused[group.name] = f"it has {plural(group.size, 'channel')}, and {widths.least} or more stay"
                continue
            given_widths[group.name] = given
        self.groups = tuple(given_widths)
        self.blocks = residual_blocks(channels) if blocks else ()
        self.substitutes = Substitutes.of(network, channels, operators)
        if operators and not self.substitutes.kernels and not self.substitutes.separable:
            raise SpecError(
                f"no convolution of {self.model.name} can be exchanged",
                where="reduction, operators",
                why="; ".join(f"{name}: {why}" for name, why in self.substitutes.refused.items())[:500]
                or "it has no convolution whose kernel is larger than 1",
                fix="leave operators out",
            )
        if shares and self.model.attribute == "":
            raise SpecError(
                f"the resolution of {self.model.name} cannot be chosen",
                where="reduction, resolutions",
                why="the LightningModule is the network itself, and its steps may not call it as a whole",
                fix="put its layers into one part, `self.net = ...`, or leave resolutions out",
            )
        self._dense = check_resolutions(network, self.model.name, known, shares) if shares else False
        self.layout = Layout.of(network, channels, self.groups)
        self.decider = Decider(
            given_widths,
            self.blocks,
            {path: self.layout.within(path) for path in self.blocks},
            self.substitutes,
            shares,
        )
        choices = self.decider.choices
        if not choices:
            raise SpecError(
                f"nothing of {self.model.name} can become smaller",
                where="reduction",
                why="; ".join(f"{name}: {why}" for name, why in self.refused.items())[:500] or "it has no channels",
                fix="allow narrower widths: widths: {least: 1} of the space, --least 1 of the command; or take another "
                "network",
            )
        found = ranked(network, channels, self.groups, importance)
        self.order = {name: order for name, (order, _) in found.items()}
        #: Scores of the channels by group, in the order of their importance.
        self.scores = {name: scores for name, (_, scores) in found.items()}
        self._lost: dict[str, tuple[float, ...]] = {}
        self._twin = meta_copy(network)
        super().__init__("reduction", choices)

    @classmethod
    def from_model(cls, module: nn.Module, example: InputsLike | Tensor, **settings: Any) -> ReductionSpace:
        """Makes the space of a module that is trained already.

        Args:
            module: Trained network, or the LightningModule around it; not touched.
            example: Batch that the network could be called with, or the shape of one input without the batch.
            **settings: Further arguments of the space.
        """
        inputs = inputs_of_batch(example, "example") if isinstance(example, Tensor) else Inputs.of(example)
        return cls(module, inputs=inputs, **settings)

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the space with."""
        return [{"model": "nasplug_reduction.example:small_resnet", "weights": "random", "inputs": [3, 16, 16]}]

    # -- what the space says of its networks -------------------------------------------------------------------------

    @property
    def full(self) -> Architecture:
        """The original network."""
        return self.from_vector([len(choice.options) - 1 for choice in self.choices])

    @property
    def smallest(self) -> Architecture:
        """The network with all widths at their least and all blocks passed by."""
        return self.from_vector([0] * len(self.choices))

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Leaves out what makes no difference, such as widths inside of blocks that are passed by."""
        return self.decider.canonical(genotype)

    def decided(self, architecture: Architecture) -> Decisions:
        """What an architecture decides."""
        return self.decider.read(architecture.genotype)

    def decides(self, position: int, architecture: Architecture) -> bool:
        """Whether the choice of a position makes a difference to a network."""
        return self.decider.decides(position, architecture.genotype)

    def dropped(self, genotype: Genotype) -> tuple[str, ...]:
        """Paths of the blocks that a genotype passes by."""
        return self.decider.read(genotype).dropped

    def widths(self, architecture: Architecture) -> dict[str, int]:
        """Number of channels of every group that there is, by name."""
        return dict(self.decided(architecture).widths)

    def lost(self, name: str, index: int) -> float:
        """Share of the weights of a convolution that an option of its choice gives away; 1 for other choices.

        Args:
            name: Name of a choice.
            index: Index of the option.
        """
        path = name.partition(":")[2]
        if not name.startswith((KERNEL, OPERATOR)):
            return 1.0
        if name not in self._lost:
            weight = self.model.network.get_parameter(f"{path}.weight")
            if name.startswith(KERNEL):
                self._lost[name] = tuple(lost_by_crop(weight, side) for side in self.substitutes.kernels[path])
            else:
                self._lost[name] = (lost_by_pair(weight), 0.0)
        return self._lost[name][index]

    def kept(self, architecture: Architecture) -> dict[str, Kept]:
        """Original numbers of the channels that stay, ascending, by group."""
        widths = self.widths(architecture)
        return {name: np.sort(self.order[name][:width]) for name, width in widths.items()}

    def params(self, architecture: Architecture) -> int:
        """Number of parameters, without building the network."""
        found = self.decided(architecture)
        return self.layout.params(found.widths, found.dropped, found.kernels, found.separable)

    def indices(self, architecture: Architecture, separable: Collection[str] | None = None) -> AxisIndices:
        """Which indices of every weight of the original network are left in a smaller one.

        Args:
            architecture: The smaller network.
            separable: Paths of the separable pairs in whose names weights are given; None for those of the network.
        """
        found = self.decided(architecture)
        pairs = found.separable if separable is None else separable
        left = self.layout.indices(self.kept(architecture))
        for path, side in found.kernels.items():
            sizes = self.layout.shapes[f"{path}.weight"][2:]
            axes = {axis: np.array(centre(size, side)) for axis, size in enumerate(sizes, start=2) if size > side}
            left[f"{path}.weight"] = {**left.get(f"{path}.weight", {}), **axes}
        for path in pairs:
            axes = left.pop(f"{path}.weight", {})
            ends = {0: axes[1]} if 1 in axes else {}
            left[f"{path}.{DEPTHWISE}.weight"] = {**ends, **{axis: at for axis, at in axes.items() if axis > 1}}
            left[f"{path}.{POINTWISE}.weight"] = {axis: at for axis, at in axes.items() if axis < 2}
            if f"{path}.bias" in left:
                left[f"{path}.{POINTWISE}.bias"] = left.pop(f"{path}.bias")
        return left

    def records(self, architecture: Architecture) -> list[JsonObject]:
        """Edits that make the network out of the original one, as surgery repeats them."""
        removed = {}
        for name, channels in self.kept(architecture).items():
            out = np.setdiff1d(np.arange(self.layout.groups[name].size), channels)
            if len(out):
                removed[name] = out.tolist()
        edits = [edit_of("remove", removed, inexact=True)] if removed else []
        found = self.decided(architecture)
        if found.dropped:
            edits.append(edit_of("drop", {}, modules=found.dropped))
        change = Substitution(
            dict(found.kernels), found.separable, found.resolution, self._dense and found.resolution != 1
        )
        rest = [change.to_plain()] if change != Substitution() else []
        return [*(edit.to_plain(self.inputs) for edit in edits), *rest]

    def build(self, architecture: Architecture, task: Task | None = None) -> nn.Module:
        """Builds the network, with the weights that are left of the trained ones."""
        return made(self.model.copy(), self.records(architecture))

    def skeleton(self, architecture: Architecture) -> nn.Module:
        """Builds the network on the meta device: shapes, no numbers."""
        return made(copy.deepcopy(self._twin), self.records(architecture))

    def shared(self, architecture: Architecture, network: nn.Module) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """Channels that stay are the same in all networks; see `nasplug.SharesWeights`.

        Kernels of two sizes are two layers, other than in the network of shared weights that `reduction.supernet` has.
        """
        left = self.indices(architecture)
        return {
            name: (name, {axis: at.tolist() for axis, at in left.get(name, {}).items() if axis < 2})
            for name, _ in network.named_parameters()
        }

    def graph(self, architecture: Architecture) -> Graph:
        """The layers with their widths, each joined to those that read its channels."""
        return picture(self.layout, self.decided(architecture))

    # -- hooks -------------------------------------------------------------------------------------------------------

    @hookimpl
    def inherit(self, run: TrialRun, network: nn.Module, weights: Mapping[str, Tensor]) -> bool | None:
        """Takes the weights of channels and blocks that both networks have."""
        mine = part_of(self, run.space, run.trial.architecture)
        before = None if run.parent is None else part_of(self, run.space, run.parent.architecture)
        if mine is None or before is None:
            return None
        pairs = self.decided(mine).separable
        given = translated(weights, pairs, self.decided(before).separable)
        inherit(network, given, self.indices(mine), self.indices(before, pairs))
        return True

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> list[Callback]:
        """Takes shared weights if there are any, and measures statistics anew where something was taken out."""
        architecture = part_of(self, run.space, run.trial.architecture)
        if architecture is None:
            return []
        shared = run.trial.proposal.info.get("supernet")
        if shared is not None and run.trial.proposal.inherits is None:
            from nasplug_reduction.supernet import put

            put(run.network, self, architecture, run.study.work_folder(str(shared)))
        if not self.recalibrate or architecture.key == self.full.key:
            return []
        from nasplug.evaluate.recalibration import Recalibration
        from nasplug.evaluate.trainer import as_callback
        from nasplug.lightning.distribution import lightning_of

        lightning = lightning_of(self.model.owner)
        return [cast("Callback", as_callback(Recalibration, lightning)(run.network, self.recalibrate))]


def residual_blocks(channels: Channels) -> tuple[str, ...]:
    """Paths of the outermost modules that add what they compute to what they are given.

    Args:
        channels: Channels of the network.
    """
    found: list[str] = []
    for path in sorted(channels.droppable):
        adds = any(".add" in name for name in channels.trace.operators.get(path, ()))
        if adds and not any(path.startswith(f"{other}.") for other in found):
            found.append(path)
    return tuple(found)
