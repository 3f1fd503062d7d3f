"""Segmentation of medical volumes and flat images."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from nasplug.contract.errors import DataError, SpecError, TaskError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.wording import plural
from nasplug.data.volumes.division import Parts, divide, divisions
from nasplug.data.volumes.plan import Plan, propose
from nasplug.data.volumes.prepared import Prepared, wanted_spacing
from nasplug.data.volumes.settings import Folds, Preparation, check_patch
from nasplug.data.volumes.source import VolumeSource
from nasplug.tasks.parts import check_parts
from nasplug.tasks.segmentation.settings import Loss, Patches, Scoring
from nasplug.tasks.settings import Training, TrainingSettings, balanced_weights

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.records import Scalar
    from nasplug.ledger.study import Study
    from nasplug.report.section import Section
    from nasplug.tasks.segmentation.augment import Transform
    from nasplug.tasks.segmentation.data import SegmentationData
    from nasplug.tasks.segmentation.module import SegmentationModule

_OBJECTIVES: Mapping[str, str] = {"val_dice": "max", "val_loss": "min", "val_volume_difference": "min"}
_SURFACES: Mapping[str, str] = {"val_hd95": "min", "val_surface_dice": "max"}


class Segmentation:
    """Trains a network to say the class of every pixel or voxel; scored by `val_dice` on whole volumes.

    Cases are checked, turned, resampled and scaled once per machine, before anything trains; all trials and workers
    read the same files. Training sees patches, in 2-D those of slices. Validation and test segment whole volumes by
    windows, and compare them on the grid of their files. Cases are divided by patient.

    Example:
        >>> task = Segmentation(Decathlon("Task04_Hippocampus"), dimensions=3, folds=Folds(count=5))

    Args:
        data: Source of the volumes.
        dimensions: 2 for networks that see slices or flat images, 3 for those that see volumes.
        patches: Settings of what a network is trained on.
        preparation: Settings of what happens to every volume once.
        folds: Settings of the division by patient. One training validates on one fold; the evaluator
            `cross_validation` trains on all.
        loss: Settings of the loss.
        scoring: Settings of windows and scores.
        training: Settings of optimiser and schedule.
        transform: Further dictionary transform of MONAI for each patch, with the keys `image` and `label`; for callers
            in Python.

    Raises:
        SpecError: A setting is unknown or out of range.
        TaskError: A setting of the training is, or the loss takes no weights of classes.
    """

    answers = "mask"
    shapes_need_data = True

    def __init__(
        self,
        data: VolumeSource,
        dimensions: Literal[2, 3] = 3,
        patches: Patches = Patches(),
        preparation: Preparation = Preparation(),
        folds: Folds = Folds(),
        loss: Loss = Loss(),
        scoring: Scoring = Scoring(),
        training: Training = Training(),
        transform: Transform | None = None,
    ) -> None:
        if dimensions not in (2, 3):
            raise SpecError(f"dimensions is {dimensions!r}", where="segmentation", fix="write 2 or 3")
        check_parts(
            "segmentation",
            data=(data, VolumeSource),
            patches=(patches, Patches),
            preparation=(preparation, Preparation),
            folds=(folds, Folds),
            loss=(loss, Loss),
            scoring=(scoring, Scoring),
            training=(training, TrainingSettings),
        )
        if patches.size is not None:
            check_patch(patches.size, dimensions)
        if loss.name == "tversky" and training.class_weights != "none":
            raise TaskError("the Tversky loss takes no weights of classes", where="loss", fix="leave class_weights out")
        self.data, self.dimensions = data, dimensions
        self.output = "map" if dimensions == 2 else "volume"
        self.training: TrainingSettings = training
        self.objectives = {**_OBJECTIVES, **(_SURFACES if scoring.surface == "always" else {})}
        self._patches, self._preparation, self._folds = patches, preparation, folds
        self._loss, self.scoring, self._transform = loss, scoring, transform
        self._prepared: Prepared | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (C, *size) of one patch."""
        return (len(self.cases.facts.channels), *self.patch_size)

    @property
    def outputs(self) -> int:
        """Number of classes with the background."""
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; the first is the background."""
        return self.cases.facts.classes

    @property
    def cases(self) -> Prepared:
        """The prepared cases; made when they are first asked for."""
        if self._prepared is None:
            slices = None if self.dimensions == 2 else 2
            self._prepared = Prepared.of(self.data, self._preparation, slices)
        return self._prepared

    @property
    def patch_size(self) -> tuple[int, ...]:
        """Size of a patch along each axis."""
        return tuple(self._patches.size or self.plan.patch_size)

    @property
    def batch_size(self) -> int:
        """Number of patches per step."""
        return self._patches.batch_size or self.plan.batch_size

    @property
    def voxel_spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each axis of a patch, in millimetres; that of the first case where cases differ."""
        return self.cases.grids[0].spacing[: self.dimensions]

    @property
    def plan(self) -> Plan:
        """Patch, depth and batch that the data and `patches.memory_gib` propose, whether or not they are taken."""
        facts = self.cases.facts
        spacing = wanted_spacing(facts, self._preparation)
        return propose(facts, self.dimensions, self._patches.memory_gib, spacing, self.cases.slices)

    @property
    def parts(self) -> Parts:
        """Division of the cases."""
        return divide(self.cases.facts, self._folds)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return self._folds.count

    def fold(self, index: int) -> Segmentation:
        """Returns the task of one fold, which shares the prepared cases.

        Args:
            index: Fold that validates.
        """
        task = copy.copy(self)
        task._folds = Folds(**{**asdict(self._folds), "fold": index})
        return task

    @property
    def preprocessing(self) -> dict[str, Json]:
        """What happens to a volume before a network gets it, as plain data."""
        from nasplug.data.volumes.way import VolumeWay

        facts = self.cases.facts
        spacing = wanted_spacing(facts, self._preparation)
        return VolumeWay(
            slices=self.cases.slices,
            spacing=None if spacing is None else (float(spacing[0]), float(spacing[1]), float(spacing[2])),
            channels=tuple(channel.name for channel in facts.channels),
            intensity=self.cases.scales,
            patch=self.patch_size,
            overlap=self.scoring.overlap,
            windows=self.scoring.windows,
            flips=self.scoring.flips,
            values=tuple(self.data.load().values),
            nan=self._preparation.nan,
        ).to_plain()

    def describe_data(self) -> str:
        """Says in one line what the data are."""
        facts, parts = self.cases.facts, self.parts
        counts = f"{len(parts.train)} training + {len(parts.val)} validation + {len(parts.test)} test"
        patients = plural(len({case.patient for case in facts.cases}), "patient")
        shape = " x ".join(map(str, facts.shape))
        patch = " x ".join(map(str, self.patch_size))
        return (
            f"{self.data.name}: {counts} cases of {patients}, {shape} voxels in the median, "
            f"{plural(len(facts.classes), 'class')}; patches of {patch}, {self.batch_size} per step"
        )

    def remark(self, metrics: Mapping[str, float]) -> str | None:
        """Returns what is striking about the metrics of a trial: that a class is never found.

        Args:
            metrics: Metrics of the trial.
        """
        from nasplug.tasks.segmentation.scores import slug

        missed = [name for name in self.class_names[1:] if metrics.get(f"val_dice_{slug(name)}") == 0.0]
        if not missed:
            return None
        return f"the network finds no voxel of {', '.join(repr(name) for name in missed)}"

    def check(self) -> None:
        """Reads and prepares all cases, unless they are prepared already, and divides them.

        Raises:
            DataError: Something about the data would make a training fail or its scores wrong.
        """
        self.data.check()
        divisions(self.cases.facts, self._folds)
        if self.dimensions == 3 and self.cases.facts.flat:
            raise DataError(
                "the images are flat, and 3 dimensions were said", where=self.data.name, fix="set dimensions: 2"
            )
        largest = np.max([grid.shape for grid in self.cases.grids], axis=0)[: self.dimensions].tolist()
        for axis, (size, most) in enumerate(zip(self.patch_size, largest, strict=True)):
            if size > most and not self._patches.pad:
                raise DataError(
                    f"the patch is larger than every volume along axis {axis}: {size} and {most} voxels",
                    where=self.data.name,
                    why=f"patches.size is {list(self.patch_size)}, and the largest sizes are {largest}",
                    fix="take a smaller patch, or set patches.pad: true, which fills up with 0",
                )

    def check_hyperparameters(self, names: Iterable[str]) -> None:
        """Refuses hyperparameters that training does not take.

        Raises:
            TaskError: One of the names is unknown.
        """
        self.training.check_names(names, type(self).__name__)

    def datamodule(self) -> SegmentationData:
        """A data module of its own for one Trainer; the prepared cases are shared."""
        from nasplug.tasks.segmentation.data import SegmentationData

        return SegmentationData(
            self.cases, self.parts, self.patch_size, self.batch_size, self._patches, self._transform
        )

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar] | None = None) -> SegmentationModule:
        """A LightningModule that trains `network`, with `hyperparameters` in place of the task's own settings.

        Raises:
            TaskError: A hyperparameter is unknown or out of range.
        """
        import torch

        from nasplug.tasks.segmentation.module import SegmentationModule

        proposed = dict(hyperparameters or {})
        self.check_hyperparameters(proposed)
        settings = self.training.with_(proposed)
        weights = None
        if settings.class_weights == "balanced":
            voxels = np.sum([self.cases.facts.cases[case].voxels for case in self.parts.train], axis=0)
            weights = torch.tensor(balanced_weights(voxels.tolist()), dtype=torch.float32)
        return SegmentationModule(network, self.cases, self.patch_size, self._loss, self.scoring, settings, weights)

    @hookimpl
    def sections(self, study: Study) -> list[Section]:
        """Adds images, masks and errors of the best network to the report."""
        from nasplug.tasks.segmentation.sections import sections

        return sections(self, study)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_prepared": None}
