"""Wrappers of data in a user's own Trainer: the data module is changed for one fit and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule

    from nasplug.lightning.composition import Composition


class WrappedData:
    """A data module while wrappers are around it."""

    def __init__(self) -> None:
        self._datamodule: LightningDataModule | None = None
        self._before: dict[str, object] = {}

    def wrap(self, datamodule: LightningDataModule | None, plugins: Composition) -> None:
        """Lets the plugins change the data module in place.

        Args:
            datamodule: The Trainer's.
            plugins: Plugins with the hook `configure_data`.

        Raises:
            SpecError: There is no data module, or a plugin replaces it, which a running Trainer does not allow.
        """
        names = ", ".join(name for name, _ in plugins.manager.who("configure_data"))
        if datamodule is None:
            raise SpecError(
                "there is no data module whose data could be wrapped",
                where=names,
                fix="hand a LightningDataModule over: trainer.fit(module, datamodule=...)",
            )
        self.restore()
        self._datamodule, self._before = datamodule, dict(vars(datamodule))
        if plugins.data(datamodule) is not datamodule:
            self.restore()
            raise SpecError(
                "a plugin replaces the data module, which a running Trainer cannot do",
                where=names,
                fix="use the plugin in a search, or change the data module in place (replace its train_dataloader)",
            )

    def restore(self) -> None:
        """Takes away what the plugins added: the loaders that stand in the instance."""
        if self._datamodule is None:
            return
        own = vars(self._datamodule)
        for name in _LOADERS:
            if name in self._before:
                own[name] = self._before[name]
            else:
                own.pop(name, None)
        self._datamodule, self._before = None, {}


_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader")
