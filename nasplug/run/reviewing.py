"""What a strategy proposes is looked at before it becomes a trial."""

from __future__ import annotations

import json
import math
from typing import Any

from nasplug.contract.errors import PluginError, StudyError
from nasplug.contract.records import Proposal
from nasplug.ledger.view import StudyView


def check_proposals(proposals: Any, room: int, study: StudyView, strategy: str) -> None:
    """Refuses what cannot become a trial.

    Args:
        proposals: What `propose` returned.
        room: How many were wanted at most.
        study: The study.
        strategy: Name of the strategy, for messages.

    Raises:
        PluginError: They are not proposals, too many, of another space, inherit from unfinished trials, or hold values
            that JSON cannot say.
    """
    where = f"strategy {strategy!r}, hook propose"
    if not isinstance(proposals, list) or not all(isinstance(item, Proposal) for item in proposals):
        raise PluginError("propose returns a list of Proposal records", where=where, why=f"got {proposals!r:.200}")
    if len(proposals) > room:
        raise PluginError(f"proposed {len(proposals)} trials when {room} were wanted", where=where)
    for proposal in proposals:
        if proposal.architecture.space != study.space.name:
            raise PluginError(
                f"proposed an architecture of space {proposal.architecture.space!r}, not {study.space.name!r}",
                where=where,
            )
        seed = proposal.seed
        if seed is not None and (type(seed) is not int or not 0 <= seed < 2**31):
            raise PluginError(f"proposed the seed {seed!r}", where=where, fix="give an integer from 0 to 2**31 - 1")
        if proposal.parent is not None and not _is_finished(study, proposal.parent):
            raise PluginError(f"names trial {proposal.parent} as parent, which is not finished", where=where)
        for name, value in (
            ("genotype", proposal.architecture.genotype),
            ("hyperparameters", proposal.hyperparameters),
            ("info", proposal.info),
        ):
            if value:
                check_json(value, name, where)


def _is_finished(study: StudyView, number: int) -> bool:
    try:
        return study.trial(number).finished and number not in {trial.number for trial in study.pending}
    except StudyError:
        return False


_SIMPLE = frozenset({str, bool, int, type(None)})


def check_json(value: Any, name: str, where: str) -> None:
    """Refuses a value that does not come back from JSON as it was.

    Raises:
        PluginError: It holds something other than texts, finite numbers, booleans, None, lists and string-keyed
            mappings of them.
    """
    if type(value) in _SIMPLE:
        return
    if isinstance(value, (list, tuple)):
        if _SIMPLE.issuperset(map(type, value)):
            return
        for item in value:
            check_json(item, name, where)
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise PluginError(f"{name} has the key {key!r}, which is not a text", where=where)
            check_json(item, f"{name}[{key!r}]", where)
        return
    if type(value) is float:
        if math.isfinite(value):
            return
        raise PluginError(f"{name} is {value}, which JSON cannot say", where=where, fix="use None, or leave it out")
    raise PluginError(
        f"{name} holds a {type(value).__module__}.{type(value).__qualname__}, which is not JSON data",
        where=where,
        why=f"got {value!r:.100}",
        fix="use str, int, float, bool, None, and lists and dictionaries of them (`.item()` of NumPy numbers)",
    )


def check_state(state: Any, where: str) -> None:
    """Refuses a state that a snapshot could not bring back.

    Raises:
        PluginError: `state_dict` returned something other than JSON data.
    """
    try:
        json.dumps(state)
    except (TypeError, ValueError) as error:
        raise PluginError(
            "state_dict returns JSON data", where=where, why=str(error), fix="use lists and numbers, `.tolist()`"
        ) from error
