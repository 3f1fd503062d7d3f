"""Stability as costs of trained networks, so that every strategy can search for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug_cgap.sequence.schedule import ScheduleLike, parse_schedule

if TYPE_CHECKING:
    from torch import Tensor

    from nasplug.cost.candidate import Candidate
    from nasplug.ledger.study import Study
    from nasplug.report.section import Section


class Stability:
    """How much accuracy a trained network loses under noise on its weights, on validation data.

    ======================  =========================================================================================
    key                     value
    ======================  =========================================================================================
    `stability/drop`        mean over draws of the absolute change of accuracy; smaller is more stable
    `stability/clean_acc`   accuracy without noise
    `stability/noisy_acc`   mean accuracy under noise
    `stability/fitness`     clean_acc^2 / max(drop, floor), the fitness of ENAS-S; to be maximised
    ======================  =========================================================================================

    `faithful` follows the authors' code: one draw, and clean_acc^2 / (drop + 1e-5), which is largest for networks that
    have learned nothing and so have nothing to lose. The floor is 1 / sqrt(number of samples), what chance moves.

    Args:
        alpha: Size of the noise, relative to the standard deviation of each weight tensor.
        draws: Number of draws; one if faithful.
        samples: Number of validation samples at most; None means all.
        floor: Smallest drop that counts in the fitness; None means 1 / sqrt(number of samples).
        faithful: Whether to follow the authors' code.
        schedule: Number of classes of every stage, to measure on the classes of the first ones; None means all classes.
        stages: Number of stages whose classes are measured.
        order: Seed that shuffles the classes, as that of the learner.
        seed: Seed of the noise, the same for all networks.

    Raises:
        SpecError: A value is out of range.
    """

    needs_trained_weights = True

    def __init__(
        self,
        alpha: float = 0.5,
        draws: int = 8,
        samples: int | None = None,
        floor: float | None = None,
        faithful: bool = False,
        schedule: ScheduleLike | None = None,
        stages: int = 1,
        order: int | None = 0,
        seed: int = 0,
    ) -> None:
        if alpha < 0.0 or draws < 1 or (samples is not None and samples < 1) or (floor is not None and floor <= 0.0):
            raise SpecError(
                f"alpha must be >= 0, draws and samples >= 1 and floor > 0, got {alpha}, {draws}, {samples} and "
                f"{floor}",
                where="stability",
            )
        if schedule is not None:
            parse_schedule(schedule, "stability")
        self.alpha, self.draws, self.samples, self.floor = alpha, 1 if faithful else draws, samples, floor
        self.faithful, self.schedule, self.stages, self.order, self.seed = faithful, schedule, stages, order, seed

    @classmethod
    def nasplug_conformance(cls) -> dict[str, object]:
        """What `nasplug test-plugin` measures it on."""
        from nasplug.tasks import ImageClassification

        return {"make_task": lambda suite: ImageClassification(limit=200)}

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """See the hook."""
        from nasplug_cgap.stability.held_out import held_out
        from nasplug_cgap.stability.noise import under_noise

        batches = held_out(
            candidate.task,
            "stability",
            samples=self.samples,
            schedule=self.schedule,
            stages=self.stages,
            order=self.order,
        )
        found = under_noise(candidate.network, batches, self.alpha, self.draws, self.seed)
        count = sum(len(labels) for _, labels in batches)
        return {
            "stability/drop": found.drop,
            "stability/clean_acc": found.clean,
            "stability/noisy_acc": sum(found.noisy) / len(found.noisy),
            "stability/fitness": fitness(found.clean, found.drop, self._floor(count), faithful=self.faithful),
        }

    def _floor(self, samples: int) -> float:
        return self.floor if self.floor is not None else float(samples) ** -0.5


def fitness(accuracy: float, drop: float, floor: float, *, faithful: bool = False) -> float:
    """Returns accuracy^2 / max(drop, floor), or as the authors have it accuracy^2 / (drop + 1e-5).

    Args:
        accuracy: Accuracy without noise.
        drop: Absolute change of accuracy under noise.
        floor: Smallest drop that counts.
        faithful: Whether to take the authors' form.
    """
    return accuracy**2 / (drop + 1e-5 if faithful else max(drop, floor))


class Roughness:
    """How rough the loss of a trained network is around its weights, on validation data; with a picture in the report.

    `roughness/mse` is the mean squared error of the best fit z = a x^2 + b y^2 + c x + d y + e to the loss on a grid
    over two random directions, each filter of them as long as that of the weights; smaller is smoother. It costs
    `points`^2 passes over the samples.

    Source: Du et al., "Online Knowledge Acquisition with the Selective Inherited Model", IJCNN 2020, and its code;
    directions of Li et al., NeurIPS 2018.

    Args:
        points: Number of points along either direction.
        radius: Largest step; at 1, it is as long as the weights.
        samples: Number of validation samples at most; None means all.
        drop: Fraction of the points, those of lowest loss, that are left out of the fit.
        schedule: Number of classes of every stage, to measure on the classes of the first ones; None means all classes.
        stages: Number of stages whose classes are measured.
        order: Seed that shuffles the classes, as that of the learner.
        seed: Seed of the directions.

    Raises:
        SpecError: A value is out of range.
    """

    needs_trained_weights = True

    def __init__(
        self,
        points: int = 9,
        radius: float = 1.0,
        samples: int | None = 512,
        drop: float = 0.0,
        schedule: ScheduleLike | None = None,
        stages: int = 1,
        order: int | None = 0,
        seed: int = 0,
    ) -> None:
        if points < 3 or radius <= 0.0 or not 0.0 <= drop < 1.0 or (samples is not None and samples < 1):
            raise SpecError(
                f"points must be >= 3, radius > 0, drop in [0, 1) and samples >= 1, got {points}, {radius}, {drop} and "
                f"{samples}",
                where="roughness",
            )
        if schedule is not None:
            parse_schedule(schedule, "roughness")
        self.points, self.radius, self.samples, self.drop = points, radius, samples, drop
        self.schedule, self.stages, self.order, self.seed = schedule, stages, order, seed

    @classmethod
    def nasplug_conformance(cls) -> dict[str, object]:
        """What `nasplug test-plugin` measures it on."""
        from nasplug.tasks import ImageClassification

        return {"make_task": lambda suite: ImageClassification(limit=200)}

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """See the hook."""
        from nasplug_cgap.stability.landscape import landscape

        surface = landscape(
            candidate.network,
            self.batches(candidate),
            points=self.points,
            radius=self.radius,
            seed=self.seed,
        )
        return {"roughness/mse": surface.roughness(self.drop)}

    @hookimpl
    def sections(self, study: Study) -> Sequence[Section] | None:
        """The smoothest network and the roughest one that kept their weights, as surfaces."""
        from nasplug_cgap.stability.picture import landscape_section

        return landscape_section(study, self)

    def batches(self, subject: Candidate | Study) -> list[tuple[Tensor, Tensor]]:
        """Returns the held-out samples.

        Args:
            subject: Candidate, or study, whose task has them.
        """
        from nasplug_cgap.stability.held_out import held_out

        return held_out(
            subject.task,
            "roughness",
            samples=self.samples,
            schedule=self.schedule,
            stages=self.stages,
            order=self.order,
        )
