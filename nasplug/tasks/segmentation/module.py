"""Training of one network that says the class of every pixel or voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from nasplug.contract.errors import TaskError
from nasplug.contract.wording import plural
from nasplug.data.volumes.prepared import Prepared
from nasplug.tasks.segmentation.inference import segment
from nasplug.tasks.segmentation.losses import SegmentationLoss, outputs_of
from nasplug.tasks.segmentation.scores import CaseScore, means, score
from nasplug.tasks.segmentation.settings import Loss, Scoring
from nasplug.tasks.settings import Training, TrainingSettings
from nasplug.tasks.supervised_module import MeanLoss

if TYPE_CHECKING:
    from pytorch_lightning.utilities.types import OptimizerLRScheduler


class SegmentationModule(LightningModule):
    """Trains a network on patches, and scores it on whole volumes on the grid of their files.

    Logs once per epoch `train_loss`; in validation `val_loss`, `val_dice` (mean of the classes without the background),
    `val_dice_CLASS`, `val_volume_difference` and, where `scoring.surface` says so, `val_hd95` and `val_surface_dice`;
    the same as `test_...` in a test. The loss in validation is without weights and smoothing.

    Args:
        network: Takes patches (N, C, *size), returns logits (N, K, *size); in training perhaps a list of those with
            falling resolution, the first one whole (deep supervision).
        cases: Prepared cases.
        size: Size of a patch along each axis.
        loss: Settings of the loss.
        scoring: Settings of windows and scores.
        settings: Optimiser and schedule.
        weights: Weight of each class (K,), or None.
    """

    def __init__(
        self,
        network: nn.Module,
        cases: Prepared,
        size: Sequence[int],
        loss: Loss = Loss(),
        scoring: Scoring = Scoring(),
        settings: TrainingSettings | None = None,
        weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.settings: TrainingSettings = settings or Training()
        self.size, self.scoring = tuple(size), scoring
        self.loss: nn.Module = SegmentationLoss(loss, weights, self.settings.label_smoothing)
        self.plain_loss: nn.Module = SegmentationLoss(loss)
        #: Scores of each case in the last validation or test.
        self.table: list[CaseScore] = []
        self._cases = cases
        self._classes = cases.facts.classes
        self._train_loss, self._score_loss = MeanLoss(), MeanLoss()

    def forward(self, patches: Tensor) -> Tensor:
        """Logits (N, K, *size) of patches (N, C, *size)."""
        return self._outputs(patches)[0]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Loss of one batch of patches (N, C, *size) and labels (N, 1, *size)."""
        patches, label = batch
        loss: Tensor = self.loss(self._outputs(patches), label)
        if self.settings.l2_all:
            squares = [variable.square().sum() for variable in self._trainable()]
            loss = loss + 0.5 * self.settings.weight_decay * torch.stack(squares).sum()
        self._train_loss.add(loss, len(patches))
        return loss

    def on_train_epoch_start(self) -> None:
        """Forgets the sums of an epoch that was cut short."""
        self._train_loss.reset()

    def on_train_epoch_end(self) -> None:
        """Logs `train_loss`."""
        self.log("train_loss", self._train_loss.compute(), on_step=False, on_epoch=True, batch_size=1)

    def on_validation_epoch_start(self) -> None:
        """Begins a new table of scores."""
        self._forget()

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Scores one case."""
        self._score(batch, surface=self.scoring.surface == "always")

    def on_validation_epoch_end(self) -> None:
        """Logs the scores."""
        self._log_scores("val")

    def on_test_epoch_start(self) -> None:
        """Begins a new table of scores."""
        self._forget()

    def test_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Scores one case."""
        self._score(batch, surface=self.scoring.surface != "never")

    def on_test_epoch_end(self) -> None:
        """Logs the scores."""
        self._log_scores("test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser, and its schedule if it has one.

        Raises:
            TaskError: Nothing can be trained, or a schedule is asked for and the Trainer does not have an end.
        """
        trainable = self._trainable()
        if not trainable:
            raise TaskError("the network has no trainable parameters", where=type(self).__name__)
        return self.settings.configure(trainable, self)

    def answer(self, image: Tensor, case: int) -> tuple[Tensor, Tensor]:
        """Segments a whole case.

        Args:
            image: Scaled volume (C, X, Y, Z).
            case: Position of the case, whose grid the answer is brought back to.

        Returns:
            Logits (K, X, Y, Z) on the grid of the networks, and the class of each voxel, uint8, on that of the file.
        """
        logits = segment(self._checked, image, self.size, self.scoring)
        return logits, self._cases.grids[case].back(logits).argmax(0).to(torch.uint8)

    def judge(self, logits: Tensor, label: Tensor) -> None:
        """Takes note of a case in validation or test; for subclasses with scores of their own.

        Args:
            logits: Logits (K, X, Y, Z) on the grid of the networks.
            label: True classes (X, Y, Z) on the same grid.
        """

    def judgement(self) -> dict[str, float]:
        """Returns scores of a subclass over the cases it took note of, by name without the stage, and forgets them."""
        return {}

    def _score(self, batch: dict[str, Tensor], surface: bool) -> None:
        case = int(batch["case"])
        logits, answer = self.answer(batch["image"], case)
        self._score_loss.add(self.plain_loss(logits[None], batch["label"][None, None]), 1)
        self.judge(logits, batch["label"])
        tolerance = self.scoring.tolerance_mm if surface else None
        spacing = self._cases.grids[case].file_spacing
        self.table.append(score(answer, batch["truth"], len(self._classes), case, spacing, tolerance))

    def _log_scores(self, stage: str) -> None:
        found = {"loss": self._score_loss.compute(), **means(self.table, self._classes[1:]), **self.judgement()}
        for name, value in found.items():
            self.log(f"{stage}_{name}", value, on_step=False, on_epoch=True, batch_size=1)

    def _outputs(self, patches: Tensor) -> list[Tensor]:
        outputs = outputs_of(self.network(patches))
        expected = (len(patches), len(self._classes), *patches.shape[2:])
        if outputs[0].shape != expected:
            raise TaskError(
                f"the network returned shape {tuple(outputs[0].shape)} for {plural(len(patches), 'patch', 'patches')} "
                f"of shape {tuple(patches.shape[1:])}",
                where=type(self).__name__,
                why=f"the task has {plural(len(self._classes), 'class')}, so logits must be {expected}",
            )
        return outputs

    def _checked(self, patches: Tensor) -> Tensor:
        return self._outputs(patches)[0]

    def _trainable(self) -> list[nn.Parameter]:
        return [variable for variable in self.parameters() if variable.requires_grad]

    def _forget(self) -> None:
        self.table = []
        self._score_loss.reset()
