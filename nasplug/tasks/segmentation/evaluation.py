"""A trained network on the validation cases of its trial: masks and scores, case by case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from nasplug.evaluate.weights import read_tensors
from nasplug.tasks.segmentation.scores import CaseScore, score

if TYPE_CHECKING:
    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study
    from nasplug.tasks.segmentation.task import Segmentation

#: Cases of a fold that are looked at, evenly spaced.
MOST = 24


@dataclass(frozen=True)
class Answered:
    """One case with what a network says of it.

    Attributes:
        name: Name of the case.
        fold: Fold in which it validates, None without folds.
        score: Scores.
        answer: Class of each voxel on the grid of the file, uint8 (X, Y, Z).
        case: Position of the case.
    """

    name: str
    fold: int | None
    score: CaseScore
    answer: NDArray[np.uint8]
    case: int


def answers(task: Segmentation, study: Study, trial: Trial) -> Iterator[Answered]:
    """Segments validation cases of a trial: each with the network that did not see it in training.

    Args:
        task: Task of the study.
        study: The study.
        trial: Trial whose weights were kept.

    Raises:
        StudyError: No weights were kept, or they are damaged.
    """
    network = study.network(trial).eval()
    folds = sorted(int(name.removeprefix("fold-")) for name in trial.stages if name.startswith("fold-"))
    chosen_folds: Sequence[int | None] = folds or [None]
    for fold in chosen_folds:
        own = task if fold is None else task.fold(fold)
        weights = None if fold is None else trial.artifacts.get(f"weights-fold-{fold}")
        if weights is not None:
            network.load_state_dict(read_tensors(study.artifacts() / weights))
        module = own.module(network, trial.task_hyperparameters).eval()
        held = own.parts.val
        chosen = [held[i] for i in np.unique(np.linspace(0, len(held) - 1, min(len(held), MOST)).astype(int))]
        for case in chosen:
            with torch.inference_mode():
                _, answer = module.answer(torch.from_numpy(own.cases.image(case)), case)
            truth = torch.from_numpy(own.cases.truth(case))
            spacing = own.cases.grids[case].file_spacing
            tolerance = None if own.scoring.surface == "never" else own.scoring.tolerance_mm
            found = score(answer, truth, own.outputs, case, spacing, tolerance)
            yield Answered(own.cases.facts.cases[case].name, fold, found, answer.numpy(), case)
