"""Tasks: the data, and how a network is trained and scored on them.

A task is anything with these members; no base class is needed:

- `input_shape`: shape of one input as the network sees it, (C, H, W) for images;
- `outputs`: number of channels of what the network returns for one input, such as classes;
- `inputs` and `output`, where the network takes more than one float tensor or returns more than a vector;
- `objectives`: metric name to "max" or "min", every metric that training logs and a search may optimise;
- `datamodule()`: a LightningDataModule;
- `module(network, hyperparameters)`: a LightningModule that trains `network`;
- `check_hyperparameters(names)`: raises TaskError for a hyperparameter that `module` would not take.

Further members are used where they exist: `check()` looks whether the data can be there; `describe_data()` says in a
line what they are; `samples` is the number of validation samples by the name of each metric that is a share of them,
for intervals; `remark(metrics)` says what is striking about a trial, or None; `class_names`, `preprocessing`
(plain data) and `answers` (`classes`, `labels` or `values`) leave with exported networks. A task with `folds`, their
number, and `fold(index)`, the task of one fold, can be cross-validated.

Importing this package loads nothing heavy: each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug.tasks.classification import ImageClassification
    from nasplug.tasks.classification_module import ClassificationModule
    from nasplug.tasks.lightning_task import LightningTask
    from nasplug.tasks.settings import Training, TrainingSettings
    from nasplug.tasks.supervised import Multilabel, Regression, Tabular

_HOMES = {
    "ClassificationModule": "nasplug.tasks.classification_module",
    "ImageClassification": "nasplug.tasks.classification",
    "LightningTask": "nasplug.tasks.lightning_task",
    "Multilabel": "nasplug.tasks.supervised",
    "Regression": "nasplug.tasks.supervised",
    "Tabular": "nasplug.tasks.supervised",
    "Training": "nasplug.tasks.settings",
    "TrainingSettings": "nasplug.tasks.settings",
}

__all__ = [
    "ClassificationModule",
    "ImageClassification",
    "LightningTask",
    "Multilabel",
    "Regression",
    "Tabular",
    "Training",
    "TrainingSettings",
]

__getattr__, __dir__ = attach(__name__, _HOMES)
