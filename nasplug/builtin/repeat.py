"""Given networks trained again with fresh seeds: what their values are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Proposal
from nasplug.ledger.rng import derived_seed
from nasplug.ledger.view import StudyView


class Repeat:
    """Trains given networks several times, each time with a seed of its own, and then ends.

    The seed of a training belongs to its place in the list and the number of the repeat, so that the networks are
    measured under the same conditions as in any other search, and none of them by a seed that chose it.

    Args:
        networks: Networks, each with its `genotype`, and `hyperparameters`, `epochs` and `trial` where they matter:
            the number of the trial that the network comes from is noted in `info` as `of`.
        times: Number of trainings of each network.

    Raises:
        SpecError: There is nothing to train.
    """

    def __init__(self, networks: Sequence[Mapping[str, Any]], times: int = 3) -> None:
        if not networks or times < 1:
            raise SpecError("there is nothing to repeat", where="repeat", fix="give networks, and times of 1 or more")
        for place, network in enumerate(networks):
            unknown = set(network) - {"genotype", "hyperparameters", "epochs", "trial"}
            if unknown or "genotype" not in network:
                raise SpecError(
                    f"cannot read {dict(network)!r:.200}",
                    where=f"repeat.networks[{place}]",
                    fix="give its genotype, and hyperparameters, epochs and trial where they matter",
                )
        self.networks, self.times = list(networks), times

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The next trainings, every network once before any of them comes again; `[]` after the last."""
        end = min(study.proposed + count, len(self.networks) * self.times)
        return [self._training(study, number) for number in range(study.proposed, end)]

    def _training(self, study: StudyView, number: int) -> Proposal:
        repeat, place = divmod(number, len(self.networks))
        network = self.networks[place]
        return study.proposal(
            study.space.architecture(network["genotype"]),
            network.get("hyperparameters"),
            epochs=network.get("epochs"),
            seed=derived_seed(study.seed, "repeat", number),
            of=network.get("trial", place),
            repeat=repeat,
        )

    def state_dict(self) -> dict[str, Json]:
        """Empty: the number of a trial says which training it is."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Has nothing to restore."""
