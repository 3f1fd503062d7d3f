"""The task `ablation`: somebody's LightningModule and LightningDataModule, whole and unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError, TaskError
from nasplug.contract.io import Inputs
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.lightning.distribution import lightning_of
from nasplug.tasks.loaders import read_data
from nasplug_ablation.source import DATA, Factory, check_module, named_callbacks, resolved

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.records import Scalar


class WholeModule:
    """A task whose networks are LightningModules themselves; base of those that an ablation study takes.

    Attributes:
        inputs: Empty: nobody but the module itself knows what it is called with.
        input_shape: Empty as well.
        outputs: Number of outputs, which nobody asks for.
    """

    logs_anything = True
    inputs = Inputs()
    input_shape: tuple[int, ...] = ()
    outputs = 1

    def check_hyperparameters(self, names: Iterable[str]) -> None:
        """Refuses all: what is proposed beside a variant would not be an ablation.

        Raises:
            TaskError: There is one.
        """
        for name in names:
            raise TaskError(
                f"the hyperparameter {name!r} is proposed beside a variant",
                where="task ablation",
                fix="write it as a component: `- hyperparameter: {NAME: VALUE}`",
            )

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar] | None = None) -> LightningModule:
        """Returns the network itself, which is the whole module already.

        Args:
            network: LightningModule that the space has built.
            hyperparameters: Nothing.
        """
        self.check_hyperparameters(hyperparameters or {})
        check_module(network, "task ablation")
        made: Any = network
        return made  # type: ignore[no-any-return]


class AblationTask(WholeModule):
    """Any LightningModule and LightningDataModule, as they are.

    Args:
        module: LightningModule class, or a function that makes the module: `my_project:LitNet`.
        data: LightningDataModule class, or a function that makes the data module; a ready data module, or loaders as
            `nasplug.LightningTask` takes them; None if the module has loaders.
        module_args: Arguments of `module`.
        data_args: Arguments of `data`.
        callbacks: Callbacks of every training, by name or in a list: `{ema: {class_path: ..., init_args: {...}}}`.
        objectives: Metric that the module logs, to "max" or "min".

    Raises:
        SpecError: A path leads nowhere, or an argument does not exist.
    """

    def __init__(
        self,
        module: str | Callable[..., object],
        data: str | Callable[..., object] | Any = None,
        module_args: JsonObject | None = None,
        data_args: JsonObject | None = None,
        callbacks: Mapping[str, Any] | Sequence[Any] | None = None,
        objectives: Mapping[str, str] | None = None,
    ) -> None:
        self.objectives: Mapping[str, str] = {"val_acc": "max"} if objectives is None else dict(objectives)
        for metric, direction in self.objectives.items():
            if direction not in ("max", "min"):
                raise SpecError(
                    f"the objective {metric!r} has direction {direction!r}", where="task", fix="write max or min"
                )
        self._module = Factory(resolved(module, "task.module"), module_args or {}, "task.module_args")
        self.label = getattr(self._module.function, "__name__", "module")
        self._data: Factory | None = None
        if isinstance(data, str) or callable(data):
            self._data = Factory(resolved(data, "task.data"), data_args or {}, "task.data_args")
        elif data_args:
            raise SpecError(
                "there are data_args, and nothing that they could be handed to",
                where="task.data_args",
                fix="give `data` as a class or a function",
            )
        else:
            self._ready = read_data(data, self._module.function)
        self._callbacks = named_callbacks(callbacks, "task.callbacks")

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries it with."""
        return [{"module": "nasplug_ablation.planted:Planted", "data": "nasplug_ablation.planted:PlantedData"}]

    def make(self, changes: JsonObject) -> LightningModule:
        """Makes the whole module; see `Source`.

        Args:
            changes: Hyperparameters that differ from the base.

        Raises:
            TaskError: It is not a LightningModule.
        """
        made: LightningModule = self._module({name: value for name, value in changes.items() if not _of_data(name)})
        check_module(made, self.label)
        return made

    def make_data(self, changes: JsonObject) -> LightningDataModule:
        """Makes the data module; see `Source`.

        Args:
            changes: Hyperparameters that differ from the base.

        Raises:
            TaskError: It is not a LightningDataModule.
        """
        if self._data is None:
            ready: LightningDataModule = self._ready.datamodule(lightning_of(self._module.function))
            return ready
        own = {name.removeprefix(DATA): value for name, value in changes.items() if _of_data(name)}
        made: LightningDataModule = self._data(own)
        if not hasattr(made, "train_dataloader"):
            raise TaskError(
                f"calling the data gave a {type(made).__name__}, not a LightningDataModule", where="task.data"
            )
        return made

    def datamodule(self) -> LightningDataModule:
        """Returns a data module of its own for one Trainer."""
        return self.make_data({})

    def value_of(self, name: str) -> Json:
        """Returns a hyperparameter of the base; see `Source`.

        Args:
            name: Name of an argument of the module, or `data.NAME`.

        Raises:
            SpecError: There is none.
        """
        if not _of_data(name):
            return self._module.value_of(name)
        if self._data is None:
            raise SpecError(
                f"there are no data whose argument could be {name!r}",
                where="task.data",
                fix="give `data` as a class or a function",
            )
        return self._data.value_of(name.removeprefix(DATA))

    def make_callbacks(self) -> dict[str, Callback]:
        """Returns fresh callbacks by name."""
        return {name: make() for name, make in self._callbacks.items()}


def _of_data(name: str) -> bool:
    return name.startswith(DATA)
