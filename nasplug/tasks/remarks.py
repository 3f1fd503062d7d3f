"""What a task has to say of a trial that went well and means little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_CLOSE = 1e-5


def one_class_alone(metrics: Mapping[str, float], counts: NDArray[np.integer], names: Sequence[str]) -> str | None:
    """Returns a sentence if the network gave the same class to every validation sample.

    The mean recall of the classes is then one over their number, and the accuracy the share of that class.

    Args:
        metrics: Metrics of the trial, with `val_acc` and `val_balanced_acc`.
        counts: Number of validation samples of each class.
        names: Names of the classes.
    """
    accuracy, balanced = metrics.get("val_acc"), metrics.get("val_balanced_acc")
    present = np.flatnonzero(counts)
    if accuracy is None or balanced is None or len(present) < 2 or abs(balanced - 1 / len(present)) > _CLOSE:
        return None
    shares = counts / counts.sum()
    answered = [index for index in present if abs(accuracy - shares[index]) <= _CLOSE]
    if not answered:
        return None
    name = names[int(answered[0])]
    most = "the most frequent class" if counts[answered[0]] == counts.max() else "one class"
    return (
        f"the network answers {name!r}, {most}, for every validation sample; {accuracy:.3g} is the share of that class"
    )
