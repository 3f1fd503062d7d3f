"""Replay memory: which samples of earlier classes are kept, and how many bytes they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.wording import plural
from nasplug_cgap.sequence.loaders import Indexed, Positions
from nasplug_cgap.sequence.schedule import ClassSequence

Selection = Literal["random", "first"]
Shares = Literal["class", "stage"]


@dataclass(frozen=True)
class Memory:
    """Memory of a fixed number of samples, shared by all classes seen so far.

    Every class has one fixed order, of which a prefix is kept that becomes shorter as classes come: what is let go
    never comes back. Nothing is computed to select samples (no herding).

    Attributes:
        size: Number of samples of earlier classes that are kept.
        selection: Order inside a class: `random`, by the seed of the trial, or `first`, as the data are stored.
        shares: Division of the memory: `class`, equal for all classes, or `stage`, equal for all stages and then for
            the classes of a stage.

    Raises:
        SpecError: A value is unknown or out of range.
    """

    size: int = 200
    selection: Selection = "random"
    shares: Shares = "class"

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise SpecError(f"a memory keeps at least one sample, got {self.size!r}", where="memory.size")
        for name, value, known in (
            ("selection", self.selection, get_args(Selection)),
            ("shares", self.shares, get_args(Shares)),
        ):
            if value not in known:
                raise SpecError(
                    f"unknown {name} {value!r}", where=f"memory.{name}", fix=did_you_mean(str(value), known)
                )

    def check(self, sequence: ClassSequence, where: str) -> None:
        """Refuses a memory that cannot hold a sample of every earlier class.

        Args:
            sequence: Classes of the stages.
            where: Name of the component, for messages.

        Raises:
            SpecError: It cannot.
        """
        for stage in range(1, len(sequence)):
            counts = self.counts(sequence, stage)
            if min(counts.values()) < 1:
                earlier = plural(len(sequence.seen(stage - 1)), "class")
                raise SpecError(
                    f"a memory of {plural(self.size, 'sample')} has none for some of the {earlier} "
                    f"learned before stage {stage}",
                    where=where,
                    why=f"with shares: {self.shares}, a class gets {min(counts.values())} to {max(counts.values())}",
                    fix=f"set memory.size to {self._least(sequence)} or more",
                )

    def counts(self, sequence: ClassSequence, stage: int) -> dict[int, int]:
        """Returns the number of samples kept of every class learned before a stage, by label.

        Args:
            sequence: Classes of the stages.
            stage: Index of the stage, from 1.
        """
        if self.shares == "class":
            earlier = sequence.seen(stage - 1)
            return dict.fromkeys(earlier, self.size // len(earlier))
        share = self.size // stage
        return {label: share // len(part) for part in sequence.stages[:stage] for label in part}

    def kept(self, data: Indexed, sequence: ClassSequence, stage: int, seed: int) -> Positions:
        """Returns the samples of earlier classes that a stage may use.

        Args:
            data: Training data.
            sequence: Classes of the stages.
            stage: Index of the stage; before stage 1 nothing is kept.
            seed: Seed of the selection, the same for all stages of a trial.
        """
        if not stage:
            return np.empty(0, np.int64)
        parts = [self.some(data, label, count, seed) for label, count in self.counts(sequence, stage).items()]
        return np.concatenate(parts)

    def balanced(self, data: Indexed, sequence: ClassSequence, stage: int, seed: int) -> Positions:
        """Returns the memory and as many samples of the stage's own classes as an earlier class, or stage, has.

        Args:
            data: Training data.
            sequence: Classes of the stages.
            stage: Index of the stage, from 1.
            seed: Seed of the selection.
        """
        counts, own = self.counts(sequence, stage), sequence.stages[stage]
        each = min(counts.values()) if self.shares == "class" else max(1, self.size // stage // len(own))
        current = [self.some(data, label, each, seed) for label in own]
        return np.concatenate([self.kept(data, sequence, stage, seed), *current])

    def some(self, data: Indexed, label: int, count: int, seed: int) -> Positions:
        """Returns the first samples of a class in its order.

        Args:
            data: Training data.
            label: Class.
            count: Number of samples; fewer if the class has fewer.
            seed: Seed of the selection.
        """
        found = data.of([label])
        if self.selection == "random":
            found = np.random.default_rng([seed, label]).permutation(found)
        return found[:count]

    def _least(self, sequence: ClassSequence) -> int:
        last = len(sequence) - 1
        if self.shares == "class":
            return len(sequence.seen(last - 1))
        return max(stage * max(map(len, sequence.stages[:stage])) for stage in range(1, last + 1))
