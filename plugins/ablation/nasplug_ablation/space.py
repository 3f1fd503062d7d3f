"""The space `ablation`: variants of one module and its data, each without some components."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpaceError, SpecError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.records import Architecture
from nasplug_ablation.components import Component, read_entry
from nasplug_ablation.data.features import Features
from nasplug_ablation.source import Source

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug_ablation.bench import Workbench
    from nasplug_ablation.planned import Planned

#: Kinds of components that the wrapper `ablation` takes away.
_AROUND = frozenset({"feature", "augmentation", "callback"})


class VariantSpace:
    """Variants of a task's module: whole, or without some of its components.

    A genotype is the sorted tuple of the names of what is left out; the base is the empty one. Names are known once the
    module is: entries with patterns are looked up in the module that the task makes.

    Args:
        components: Entries: `{module: net.se}`, `{modules: "net.layer*"}`, `{group: "**.se", name: all-SE}`,
            `{type: Dropout, together: true}`, `{span: [net.a, net.c]}`, `{replace: net.act, by: torch.nn.ReLU}`,
            `{feature: age}`, `{callback: ema}`, `{augmentation: RandomFlip}`, `{loss: aux_weight}`,
            `{hyperparameter: {weight_decay: 0.0}}`, `{custom: my_project:without_heads}`.
        features: Names of the features of the data, and their place.

    Raises:
        SpecError: An entry is malformed.
    """

    name = "ablation"

    def __init__(self, components: Sequence[Any], features: Features | None = None) -> None:
        self.entries, self.features = list(components), features
        for position, entry in enumerate(self.entries):
            read_entry(entry, f"components[{position}]")
        #: Whether the wrapper that takes features and callbacks away is at work.
        self.attached = False
        self._bench: Workbench | None = None
        self._components: dict[str, Component] | None = None
        self._plans: dict[str, Planned | str] = {}

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries it with."""
        from nasplug_ablation.planted import ENTRIES

        return [{"components": [entry for entry in ENTRIES if "feature" not in entry]}]  # networks alone are tried

    @classmethod
    def nasplug_conformance(cls) -> dict[str, object]:
        """What `nasplug test-plugin` tries it on."""
        from nasplug_ablation.task import AblationTask

        example: Any = AblationTask.nasplug_examples()[0]
        task = AblationTask(**example)
        return {"input_shapes": ((2,),), "outputs": 2, "bound_task": lambda self: task, "legal": ((),)}

    def __getstate__(self) -> dict[str, Any]:
        """A process elsewhere looks at the module itself."""
        return {**vars(self), "_bench": None, "_plans": {}}

    # -- what there is -------------------------------------------------------------------------------------------

    def bench(self, task: Task | None) -> Workbench:
        """Returns the workbench of the task's module, made once.

        Args:
            task: Task of the study.

        Raises:
            SpecError: The task cannot make its module whole.
        """
        from nasplug_ablation.bench import Workbench

        if not isinstance(task, Source):
            raise SpecError(
                "variants are made of a whole LightningModule, which this task does not make",
                where="task",
                fix="write `task: {ablation: {module: my_project:LitNet, data: my_project:Data}}`",
            )
        if self._bench is None or self._bench.source is not task:
            self._bench, self._plans = Workbench(task, self.features), {}
        return self._bench

    def bind(self, task: Task) -> None:
        """Looks the components up in the module of the task.

        Args:
            task: Task of the study.

        Raises:
            SpecError: An entry matches nothing or is ambiguous, or the task does not make its module whole.
        """
        self.resolved(task)

    def resolved(self, task: Task | None) -> dict[str, Component]:
        """Returns all components by name, in the order of the study.

        Args:
            task: Task of the study.

        Raises:
            SpecError: An entry matches nothing, or is ambiguous.
        """
        if self._components is None:
            from nasplug_ablation.resolving import resolve

            self._components = {one.name: one for one in resolve(self.entries, self.bench(task))}
        return self._components

    def components_of(self, architecture: Architecture, task: Task | None) -> list[Component]:
        """Returns the components that a variant lacks.

        Args:
            architecture: The variant.
            task: Task of the study.

        Raises:
            SpaceError: There is no such component.
        """
        known = self.resolved(task)
        names = _names(architecture.genotype)
        for name in names:
            if name not in known:
                raise SpaceError(
                    f"there is no component {name!r}", where="space ablation", fix=did_you_mean(name, known)
                )
        return [component for name, component in known.items() if name in names]

    def planned(self, architecture: Architecture, task: Task | None) -> Planned:
        """Returns how a variant is made; decided once.

        Args:
            architecture: The variant.
            task: Task of the study.

        Raises:
            SpecError: It cannot be made, or is the base.
        """
        from nasplug_ablation.bench import refused
        from nasplug_ablation.network.policies import NoPolicy

        bench = self.bench(task)
        if architecture.key not in self._plans:
            try:
                self._plans[architecture.key] = bench.plan(self.components_of(architecture, task))
            except NoPolicy as error:
                self._plans[architecture.key] = str(error)
        found = self._plans[architecture.key]
        if isinstance(found, str):
            raise refused(", ".join(_names(architecture.genotype)), found)
        return found

    # -- the space -----------------------------------------------------------------------------------------------

    def without(self, names: Iterable[str]) -> Architecture:
        """Returns the variant that lacks components.

        Args:
            names: Names of components; none is the base.
        """
        return self.architecture(tuple(sorted(names)))

    def architecture(self, genotype: object) -> Architecture:
        """Returns the variant of a genotype.

        Args:
            genotype: Names of components.

        Raises:
            SpaceError: It is something else.
        """
        names = _names(genotype)
        unknown = set(names) - set(self._components or names)
        if unknown:
            name = sorted(unknown)[0]
            raise SpaceError(
                f"there is no component {name!r}",
                where="space ablation",
                fix=did_you_mean(name, self._components or ()),
            )
        ordered = tuple(sorted(names))
        return Architecture(self.name, ordered, json.dumps(ordered))

    def validate(self, architecture: Architecture) -> None:
        """Checks a variant that comes from outside.

        Args:
            architecture: The variant.

        Raises:
            SpaceError: It is not one of this space.
        """
        if architecture.space != self.name or self.architecture(architecture.genotype).key != architecture.key:
            raise SpaceError(f"{architecture.key!r:.100} is not a variant", where="space ablation")

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns a variant that lacks one component at random, or the base.

        Args:
            rng: Random stream.

        Raises:
            SpaceError: Nobody has looked the components up yet.
        """
        if self._components is None:
            raise SpaceError("its components are not known before its module is", where="space ablation")
        names = ["", *self._components]
        name = names[int(rng.integers(len(names)))]
        return self.without([name] if name else [])

    def label(self, architecture: Architecture) -> str:
        """Returns the name of a variant for people.

        Args:
            architecture: The variant.
        """
        names = _names(architecture.genotype)
        return f"without {', '.join(names)}" if names else "base"

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Makes the whole module, as a hand-written script would, and takes the components out of it.

        Args:
            architecture: The variant.
            task: Task that makes the module.

        Raises:
            SpecError: It cannot be made.
        """
        from nasplug_ablation.bench import built, calls_of, changes_of
        from nasplug_ablation.network.edits import apply

        flat = [one for component in self.components_of(architecture, task) for one in component.flat()]
        around = next((one for one in flat if one.kind in _AROUND or _of_data(one)), None)
        if around is not None and not self.attached:
            raise SpecError(
                f"nobody takes {around.name!r} away, so that this trial would train the base",
                where="build",
                fix="add `build: [ablation]` to the specification",
            )
        plan = self.planned(architecture, task)
        source: Any = task
        return apply(built(source, changes_of(flat)), plan.edits, calls_of(flat))


def _of_data(component: Component) -> bool:
    return component.kind == "hyperparameter" and str(component.target[0]).startswith("data.")  # type: ignore[index]


def _names(genotype: object) -> tuple[str, ...]:
    if not isinstance(genotype, (list, tuple)) or not all(isinstance(name, str) for name in genotype):
        raise SpaceError(
            f"{genotype!r:.100} is not a variant", where="space ablation", fix="write the names of what is left out"
        )
    if len(set(genotype)) < len(genotype):
        raise SpaceError(f"{genotype!r:.100} names a component twice", where="space ablation")
    return tuple(genotype)


def plain_entries(entries: Sequence[object]) -> list[Json] | None:
    """Returns entries as JSON data; None if one holds a function, which only Python can hand on.

    Args:
        entries: Entries of a study.
    """
    try:
        data: list[Json] = json.loads(json.dumps(list(entries)))
    except TypeError:
        return None
    return data if all(isinstance(item, Mapping) for item in data) else None
