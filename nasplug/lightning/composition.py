"""Turns names, components and instances into plugins that work without a search."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pytorch_lightning import Callback

from nasplug.contract.errors import PluginError, SpecError, UnknownNameError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import HardwareTarget
from nasplug.contract.records import Architecture, Objective, Proposal, Trial
from nasplug.evaluate.trialrun import TrialRun
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.view import Setting
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component, instantiate
from nasplug.plugins.manager import Manager, hooks_of
from nasplug.plugins.packages import missing
from nasplug.run.assemble import find_target
from nasplug.run.pricing import CostCaller

if TYPE_CHECKING:
    from pluggy import HookCaller
    from pytorch_lightning import LightningDataModule
    from torch import nn

    from nasplug.contract.records import Direction
    from nasplug.plugins.catalog import Factory


#: What can work in a Trainer. A name that is registered as several of these is used as all of them.
KINDS = ("wrapper", "callback", "cost", "stopper")

_WHERE = "Plugins"


class Composition:
    """Plugins with hooks in one manager, costs with the targets they are asked for, and plain Lightning callbacks.

    Args:
        catalog: Catalog to look names up in.
        target: Name of the hardware that costs are asked for, unless a component brings its own.
        objectives: Metric to `max` or `min`, for stoppers.

    Attributes:
        manager: Plugin manager with all plugins whose hooks are not only `cost`.
        costs: Cost plugins with their targets, in order.
        lightning: Lightning callbacks that were named or handed over, in order.
        run: Stands for the training: objectives and target, no other trials and no space.
    """

    def __init__(self, catalog: Catalog, target: str | None, objectives: Mapping[str, Direction]) -> None:
        self._catalog = catalog
        self._target = None if target is None else find_target(target, catalog)
        self.manager = Manager()
        self.costs: list[tuple[CostCaller, HardwareTarget | None]] = []
        self.lightning: list[Callback] = []
        setting = Setting(
            objectives=tuple(Objective(name, direction) for name, direction in objectives.items()),
            target=self._target,
        )
        trial = Trial(0, Proposal(Architecture("trainer", (), "trainer")), state="running")
        self.run = TrialRun(trial, Ledger(setting).view, manager=self.manager)

    def add(self, component: object) -> None:
        """Adds a slug, a component or an instance.

        Raises:
            SpecError: An unknown name or argument, a stopper without objectives, or a class instead of an instance.
            PluginError: An instance that is not a plugin.
        """
        if not isinstance(component, (str, Mapping, Component)):
            self._add_plugin(component, _name_of(component, self._catalog), self._target)
            return
        item = Component.parse(component, where=_WHERE)
        if item.is_path:
            plugin = instantiate("plugin", item, self._catalog, where=_WHERE)
            self._add_plugin(plugin, _name_of(plugin, self._catalog), self._target)
            return
        kinds = [kind for kind in KINDS if self._catalog.has(kind, item.name)]
        if not kinds:
            self._add_target(item)
            return
        if "stopper" in kinds and not self.run.study.objectives:
            raise SpecError(
                f"the stopper {item.name!r} must know what to watch",
                where=_WHERE,
                fix='give objectives={"val_acc": "max"}, or what your module logs',
            )
        factories = {self._catalog.get(kind, item.name).location: kind for kind in kinds}  # one class, one plugin
        loaded = {kind: self._catalog.get(kind, item.name).load() for kind in factories.values()}
        target = self._target_of(item, loaded.values())
        for kind, factory in loaded.items():
            own = Component(item.name, _arguments_for(factory, item, loaded.values()))
            self._add_plugin(instantiate(kind, own, self._catalog, where=_WHERE), item.name, target)

    def add_target(self) -> None:
        """Prices by the target itself if one is named and no plugin is asked for its family."""
        if self._target is None:
            return
        family = self._target.name.split(":")[0]
        if not any(caller.name in ("target", family) for caller, _ in self.costs):
            self._add_plugin(self._target_cost(), "target", self._target)

    def callbacks(self) -> list[Callback]:
        """Lightning callbacks of all plugins, in order; the same plugins must not be asked twice."""
        return [*self.lightning, *self.run.callbacks()]

    @property
    def wraps(self) -> bool:
        """Whether a plugin transforms networks."""
        return bool(self.manager.who("build"))

    @property
    def wraps_data(self) -> bool:
        """Whether a plugin changes data."""
        return bool(self.manager.who("configure_data"))

    def data(self, datamodule: LightningDataModule) -> LightningDataModule:
        """The data module as all wrappers make it."""
        changed: LightningDataModule = self._around(_Given(datamodule=datamodule), self.manager.hook.configure_data)
        return changed

    @property
    def stops(self) -> bool:
        """Whether a plugin may stop trainings."""
        return bool(self.manager.who("should_prune"))

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network as all wrappers make it."""
        wrapped: nn.Module = self._around(_Given(network=network), self.manager.hook.build)
        return wrapped

    def _around(self, given: _Given, hook: HookCaller) -> Any:
        self.manager.register(given, "given")
        try:
            return hook(run=self.run)
        finally:
            self.manager.unregister(given)

    def _add_plugin(self, plugin: object, name: str, target: HardwareTarget | None) -> None:
        if inspect.isclass(plugin):
            raise SpecError(f"{name} is a class", where=_WHERE, fix=f"make an instance: {plugin.__name__}(...)")
        hooks = hooks_of(plugin)
        if not hooks and not isinstance(plugin, Callback):
            raise PluginError(
                "is neither a Lightning callback nor an object with nasplug hooks", where=f"{_WHERE}: {name}"
            )
        if isinstance(plugin, Callback):
            self.lightning.append(plugin)
        if "cost" in hooks:
            # A manager of its own: every cost is asked for its own target.
            manager = Manager([(f"{_WHERE}: {name}", plugin)])
            needs_weights = bool(getattr(plugin, "needs_trained_weights", False))
            self.costs.append((CostCaller(name, needs_weights, manager.hook.cost), target))
        if hooks - {"cost"}:
            self.manager.register(plugin, f"{_WHERE}: {name}#{len(self.manager.named())}")

    def _add_target(self, item: Component) -> None:
        """A target by its bare name stands for the cost `target` asked of it."""
        if not self._catalog.has("target", item.name.split(":")[0]):
            known = [name for kind in (*KINDS, "target") for name in self._catalog.names(kind)]
            why, fix = missing(self._catalog, item.name, *KINDS, "target")
            raise UnknownNameError(
                f"there is no {', '.join(KINDS)} or target {item.name!r}",
                where=_WHERE,
                why=why,
                fix=fix or f"{did_you_mean(item.name, known)}. `nasplug plugins` shows which packages are installed",
            )
        if item.args:
            raise SpecError(f"the target {item.name!r} takes no arguments here", where=_WHERE)
        self._add_plugin(self._target_cost(), "target", find_target(item.name, self._catalog))

    def _target_cost(self) -> object:
        cost: object = instantiate("cost", Component("target"), self._catalog, where=_WHERE)
        return cost

    def _target_of(self, item: Component, factories: Iterable[Factory]) -> HardwareTarget | None:
        """The component's own `target`, unless its class takes it as an argument of its own."""
        if "target" not in item.args or "target" in _parameters(*factories):
            return self._target
        return find_target(str(item.args["target"]), self._catalog)


class _Given:
    """Answers `build` and `configure_data` with the network and the data that the user has already."""

    def __init__(self, network: nn.Module | None = None, datamodule: LightningDataModule | None = None) -> None:
        self._network, self._datamodule = network, datamodule

    @hookimpl(trylast=True)
    def build(self) -> nn.Module | None:
        return self._network

    @hookimpl(trylast=True)
    def configure_data(self) -> LightningDataModule | None:
        return self._datamodule


def _name_of(plugin: object, catalog: Catalog) -> str:
    """The name an instance is announced by, which is the namespace of its costs; else what it calls itself."""
    location = f"{type(plugin).__module__}:{type(plugin).__qualname__}"
    announced = (entry.name for entry in catalog if entry.location == location)
    own = getattr(plugin, "name", None)
    return next(announced, own if isinstance(own, str) else type(plugin).__name__.lower())


def _parameters(*factories: Factory) -> dict[str, inspect.Parameter]:
    return {name: item for factory in factories for name, item in inspect.signature(factory).parameters.items()}


def _arguments_for(factory: Factory, item: Component, factories: Iterable[Factory]) -> dict[str, object]:
    """The arguments that one of several classes behind a name takes; each must be taken by one of them."""
    every, own = _parameters(*factories), _parameters(factory)
    unnamed = inspect.Parameter.VAR_KEYWORD
    for name in item.args:
        if name not in every and name != "target" and not any(other.kind is unnamed for other in every.values()):
            raise SpecError(
                f"there is no argument {name!r}", where=f"{_WHERE}: {item.name}", fix=did_you_mean(name, every)
            )
    takes_any = any(other.kind is unnamed for other in own.values())
    return {name: value for name, value in item.args.items() if name in own or (takes_any and name not in every)}
