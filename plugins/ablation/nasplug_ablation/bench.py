"""A workbench: the whole module on one small batch, and variants of it that are tried before anything is trained."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasplug.contract.errors import NasplugError, SpecError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.cost.counts import plain_operators
from nasplug.cost.products import FORMULAS
from nasplug.lightning.distribution import data_for, lightning_of, overrides
from nasplug.run.seeding import seed_everything, undisturbed
from nasplug_ablation.components import Component
from nasplug_ablation.data.augmentations import names_in
from nasplug_ablation.data.features import Features, Finder, Place
from nasplug_ablation.data.loaders import Without
from nasplug_ablation.network.edits import apply
from nasplug_ablation.network.policies import NoPolicy, decide
from nasplug_ablation.network.readers import Reader, Readers
from nasplug_ablation.network.repair import Repairs
from nasplug_ablation.network.step import Step, find_step, first_batch, samples_in, smaller, step_of
from nasplug_ablation.network.trace import Call, Shape, Trace, watch, without_constants
from nasplug_ablation.planned import Planned

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule

    from nasplug_ablation.source import Source


@dataclass(frozen=True)
class Base:
    """The whole module in one step.

    Attributes:
        trace: Events in training mode.
        calls: Calls in training and evaluation mode by path.
        readers: Readers of outputs by path.
        params: Number of parameters.
        macs: Multiply-accumulates of one sample; None where they cannot be counted.
    """

    trace: Trace
    calls: Mapping[str, list[Call]]
    readers: Mapping[str, set[Reader]]
    params: int
    macs: int | None

    def first_input(self, path: str) -> Shape | None:
        """Returns the shape of the first input of a module, None if it is not called.

        Args:
            path: Path of the module.
        """
        calls = self.calls.get(path)
        return None if not calls else next(iter(calls[0].inputs.values()), None)


class Workbench:
    """Tries variants of a module without training them.

    Args:
        source: Task that makes the module and the data.
        features: Names and places of the features.
    """

    def __init__(self, source: Source, features: Features | None = None) -> None:
        self.source = source
        self._features = features or Features()
        self._made: dict[str, LightningModule] = {}

    # -- the whole -----------------------------------------------------------------------------------------------

    def fresh(self, changes: JsonObject | None = None, seed: int = 0) -> LightningModule:
        """Makes a whole module, with layers that it builds late, and leaves the global random numbers as they are.

        Args:
            changes: Hyperparameters that differ from the base.
            seed: Seed of its weights.
        """
        key = json.dumps([changes or {}, seed], sort_keys=True, default=repr)
        if key not in self._made:
            with undisturbed():
                seed_everything(seed)
                self._made[key] = built(self.source, changes or {})
        try:  # a copy is made sooner than another one
            return copy.deepcopy(self._made[key])
        except Exception:  # a user's module may hold anything
            return self._made.pop(key)

    @cached_property
    def module(self) -> LightningModule:
        """A whole module, to look at."""
        return self.fresh()

    @cached_property
    def paths(self) -> list[str]:
        """Paths of all modules, without that of the whole."""
        return [path for path, _ in self.module.named_modules() if path]

    @cached_property
    def _data(self) -> Any:
        module = self.module
        return data_for(self.source.make_data({}), module, lightning_of(module))

    @cached_property
    def batch(self) -> Any:
        """The first samples of a batch of training data."""
        return smaller(first_batch(self._data, self.source.label))

    @cached_property
    def finder(self) -> Finder:
        """Finds features in the batch."""
        return Finder(self._features, self.batch, _offered(self._data))

    @cached_property
    def augmentations(self) -> list[str]:
        """Names of the steps that training data go through."""
        self.batch  # noqa: B018 (sets the data up)
        with undisturbed():
            return names_in(self._data.train_dataloader())

    @cached_property
    def step_name(self) -> str:
        """Name of the method that is run to look at the module."""
        return find_step(self.fresh, self.batch, self.source.label)

    def _step(self, batch: Any) -> Step:
        return step_of(self.step_name, batch)

    @cached_property
    def base(self) -> Base:
        """The whole module in one step."""
        module, step = self.fresh(), self._step(self.batch)
        readers = Readers(module)
        trace = watch(module, step)
        with readers:
            calm = watch(module, step, after=readers.left, training=False)
        calls = {
            path: [*trace.calls.get(path, ()), *calm.calls.get(path, ())] for path in {**trace.calls, **calm.calls}
        }
        return Base(trace, calls, readers.found, _params(module), self._macs(module, self.batch))

    @cached_property
    def _unlike(self) -> Trace:
        """What the whole module answers with random numbers in place of weights that are all equal."""
        module = self.fresh()
        with without_constants(module):
            return watch(module, self._step(self.batch))

    # -- variants ------------------------------------------------------------------------------------------------

    def plan(self, components: Sequence[Component]) -> Planned:
        """Decides how components leave, together, and tries it.

        Args:
            components: Components to take away; none is the base.

        Raises:
            NoPolicy: It cannot be done, or changes nothing; the text says why.
        """
        if not components:
            return Planned(params=self.base.params, macs=self.base.macs)
        flat = [one for component in components for one in component.flat()]
        planned = Planned()
        for component in flat:
            self._decide(component, planned)
        planned.edits = _outermost(planned.edits)
        changes = changes_of(flat)
        batch = self._batch(flat)
        on_network = bool(planned.edits or changes)
        dropped = any(one.kind == "feature" and one.options.get("mode") == "drop" for one in flat)
        if not on_network and not dropped:
            planned.params, planned.macs = self.base.params, self.base.macs
            if any(one.kind == "feature" for one in flat) and _same(batch, self.batch):
                planned.notes.append("the first batch is the same without it")
            return planned
        repairs = bool(dropped or {"rewire", "replace"} & set(planned.policies.values()))
        self._try(planned, changes, calls_of(flat), batch, repairs=repairs, must_differ=bool(planned.edits))
        return planned

    def _batch(self, flat: Sequence[Component]) -> Any:
        places = places_of(flat)
        return Without(places)(self.batch) if places else self.batch

    def _decide(self, component: Component, planned: Planned) -> None:
        """Adds the changes that one component asks for."""
        if component.kind == "module":
            path = str(component.target)
            calls, readers = self.base.calls.get(path, []), self.base.readers.get(path, set())
            policy, edit = decide(str(component.options.get("policy", "auto")), path, calls, readers)
            planned.policies[path] = policy
            planned.edits.append(edit)
            if policy == "identity" and readers == {"sum"}:
                planned.notes.append(f"only a sum reads {path}: `policy: zero` would drop the branch")
        elif component.kind == "span":
            paths = self.between(component)
            for path in paths:
                calls = self.base.calls.get(path, [])
                if not calls:
                    raise NoPolicy(f"{path} is not called in the step")
                key = next(iter(calls[0].inputs), 0)
                planned.edits.append({"path": path, "put": "input", "key": key, "others": calls[0].others})
            same = self.base.first_input(paths[0]) == self.base.calls[paths[-1]][0].output
            planned.policies[f"{paths[0]} to {paths[-1]}"] = "identity" if same else "rewire"
        elif component.kind == "replace":
            path = str(component.target)
            planned.policies[path] = "replace"
            planned.edits.append({"path": path, "put": "class", **component.options})
        elif component.kind == "loss":
            planned.policies[str(component.target)] = "zero"
            planned.edits.append({"silence": str(component.target)})
        elif component.kind == "custom":
            planned.policies[component.name] = "custom"
            planned.edits.append({"custom": component.name})

    def between(self, component: Component) -> list[str]:
        """Returns the modules from one end of a span to the other: children of one parent, in their order.

        Args:
            component: Span.

        Raises:
            NoPolicy: The ends have different parents, or stand the other way round.
        """
        first, last = (str(end) for end in component.target)  # type: ignore[union-attr]
        parent = first.rpartition(".")[0]
        if parent != last.rpartition(".")[0]:
            raise NoPolicy(f"{first} and {last} are parts of different modules")
        siblings = [path for path in self.paths if path.rpartition(".")[0] == parent]
        start, end = siblings.index(first), siblings.index(last)
        if end < start:
            raise NoPolicy(f"{last} comes before {first}")
        return siblings[start : end + 1]

    def _try(
        self,
        planned: Planned,
        changes: JsonObject,
        calls: Mapping[str, Callable[..., object]],
        batch: Any,
        *,
        repairs: bool,
        must_differ: bool,
    ) -> None:
        """Makes the variant and runs it in both modes: what must follow, whether it differs, what it weighs."""
        repairing = Repairs(self.base.first_input, allowed=repairs)
        try:
            module = self._variant(planned, changes, calls)
        except NasplugError:
            raise
        except Exception as error:
            raise NoPolicy(f"it cannot be taken away: {type(error).__name__}: {_line(error)}") from error
        try:
            with without_constants(module):
                trace = watch(module, self._step(batch), before=repairing.before)
            self._check_end(trace, planned)
            planned.macs = self._macs(module, batch, repairing)
        except NoPolicy:
            raise
        except Exception as error:
            failed = getattr(getattr(error, "trace", None), "failed", "")
            where = f" in {failed}" if failed else ""
            raise NoPolicy(f"without it the step fails{where}: {type(error).__name__}: {_line(error)}") from error
        if must_differ and trace.same_answers(self._unlike):
            raise NoPolicy("nothing changes without it: the step answers the same, to the last digit")
        planned.params, planned.renewed = _params(module), list(repairing.made)
        planned.edits += [{"path": path, "resize": sizes} for path, sizes in repairing.made.items()]

    def _variant(self, planned: Planned, changes: JsonObject, calls: Mapping[str, Callable[..., object]]) -> nn.Module:
        whole = self.fresh(changes)
        with undisturbed():
            seed_everything(0)
            return apply(whole, planned.edits, calls)

    def _check_end(self, trace: Trace, planned: Planned) -> None:
        """The last module behind those that went must answer what it did, in its shape."""
        gone = {str(edit["path"]) for edit in planned.edits if edit.get("put") in ("input", "class")}
        moved = {path for path in gone if self._shape_in(trace, path) != self._shape_in(self.base.trace, path)}
        if not moved:
            return
        ends = [(path, shape) for path, shape in self.base.trace.order if shape]
        if not ends:
            return
        path, shape = ends[-1]
        now = self._shape_in(trace, path)
        if path in gone or now != shape:
            was = "x".join(map(str, shape[1:]))
            is_now = "x".join(map(str, (now or ())[1:])) or "nothing"
            raise NoPolicy(f"nothing behind it can take another shape: {path} answers {is_now} in place of {was}")

    @staticmethod
    def _shape_in(trace: Trace, path: str) -> Shape | None:
        calls = trace.calls.get(path)
        return calls[-1].output if calls else None

    def _macs(self, module: nn.Module, batch: Any, repairing: Repairs | None = None) -> int | None:
        """Runs the module in evaluation mode and counts; None where a step that runs has what nobody can count."""
        before = None if repairing is None else repairing.before
        try:
            with plain_operators(), FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
                watch(module, self._step(batch), before=before, training=False)
        except Exception:
            watch(module, self._step(batch), before=before, training=False)
            return None
        return int(counter.get_total_flops()) // 2 // max(1, samples_in(self.batch))


def built(source: Source, changes: JsonObject) -> LightningModule:
    """Makes a whole module with the global random generators as they are, with layers that it builds late.

    Args:
        source: Task that makes it.
        changes: Hyperparameters that differ from the base.
    """
    made: Any = source.make(changes)
    if overrides(made, "configure_model"):
        made.configure_model()
        made.configure_model = _nothing  # what was taken away is not built again
    return made  # type: ignore[no-any-return]


def _nothing() -> None:
    """Stands for `configure_model` once it was called."""


def changes_of(flat: Sequence[Component]) -> dict[str, Json]:
    """Returns the hyperparameters that components change.

    Args:
        flat: Components without groups.
    """
    changes: dict[str, Json] = {}
    for component in flat:
        if component.kind == "hyperparameter":
            name, value = component.target  # type: ignore[misc]
            changes[str(name)] = value
    return changes


def places_of(flat: Sequence[Component]) -> list[tuple[Place, JsonObject]]:
    """Returns where the features among components stand, with their options.

    Args:
        flat: Components without groups.
    """
    return [(Place.of(one.target), one.options) for one in flat if one.kind == "feature"]  # type: ignore[arg-type]


def calls_of(flat: Sequence[Component]) -> dict[str, Callable[..., object]]:
    """Returns the functions of custom components by name.

    Args:
        flat: Components without groups.
    """
    return {one.name: one.call for one in flat if one.call is not None}


def _outermost(edits: Sequence[dict[str, Json]]) -> list[dict[str, Json]]:
    """Leaves out changes of modules inside of others that go, and repetitions."""
    gone = [str(edit["path"]) for edit in edits if edit.get("put") in ("input", "constant", "adapter", "class")]
    kept: list[dict[str, Json]] = []
    for edit in edits:
        path = str(edit.get("path", ""))
        inside = any(path.startswith(f"{other}.") for other in gone)
        twice = any(path and path == other.get("path") for other in kept)
        if not inside and not twice and edit not in kept:
            kept.append(edit)
    return kept


def _offered(data: Any) -> Sequence[str]:
    """Names of features that a data module, or the data set behind its training loader, offers."""
    names = getattr(data, "feature_names", None)
    if names is None:
        with undisturbed():
            dataset = getattr(data.train_dataloader(), "dataset", None)
        while dataset is not None and names is None:
            names = getattr(dataset, "feature_names", None)
            dataset = getattr(dataset, "dataset", None)
    return list(names) if names is not None else ()


def _params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _same(one: Any, other: Any) -> bool:
    from torch.utils._pytree import tree_leaves

    first, second = tree_leaves(one), tree_leaves(other)
    return len(first) == len(second) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else True
        for a, b in zip(first, second, strict=True)
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def refused(component: str, why: str) -> SpecError:
    """Returns the message for a component that cannot be taken away.

    Args:
        component: Name of the component.
        why: Reason.
    """
    return SpecError(
        f"cannot be taken away: {component}",
        where="ablation",
        why=why,
        fix="name another policy, a group that goes together, or leave the component out",
    )
