"""Tasks: the data, and how a network is trained and scored on them.

A task is anything with these members; no base class is needed:

- `input_shape`: shape of one input as the network sees it, (C, H, W) for images;
- `outputs`: number of channels of what the network returns for one input, such as classes;
- `inputs` and `output`, where the network takes more than one float tensor or returns more than a vector;
- `objectives`: metric name to "max" or "min", every metric that training logs and a search may optimise;
- `datamodule()`: a LightningDataModule;
- `module(network, hyperparameters)`: a LightningModule that trains `network`;
- `check_hyperparameters(names)`: raises TaskError for a hyperparameter that `module` would not take.

Importing this package loads nothing heavy: each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.tasks.classification import ImageClassification
    from nasplug.tasks.classification_module import ClassificationModule
    from nasplug.tasks.lightning_task import LightningTask
    from nasplug.tasks.settings import Training, TrainingSettings

_MODULES = {
    "ClassificationModule": "classification_module",
    "ImageClassification": "classification",
    "LightningTask": "lightning_task",
    "Training": "settings",
    "TrainingSettings": "settings",
}

__all__ = ["ClassificationModule", "ImageClassification", "LightningTask", "Training", "TrainingSettings"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
