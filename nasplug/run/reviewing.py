"""What a strategy proposes is looked at before it becomes a trial."""

from __future__ import annotations

import json

from nasplug.contract.checks import check_json
from nasplug.contract.errors import PluginError, SpecError, StudyError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Architecture, Proposal
from nasplug.contract.wording import plural
from nasplug.ledger.view import StudyView


def check_proposals(proposals: object, room: int, study: StudyView, strategy: str) -> None:
    """Refuses what cannot become a trial.

    Args:
        proposals: Proposals from `propose`.
        room: Largest number of proposals wanted.
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
        raise PluginError(f"proposed {plural(len(proposals), 'trial')} when at most {room} were wanted", where=where)
    for proposal in proposals:
        if not isinstance(proposal.architecture, Architecture):
            raise PluginError(
                "proposed something that is not an Architecture",
                where=where,
                why=f"got {proposal.architecture!r:.100}, perhaps from the space's own methods",
            )
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
        inherits = proposal.inherits
        if inherits is not None and inherits.mode == "weights" and study.trial(inherits.trial).dropped:
            raise SpecError(
                f"the next trial starts from the weights of trial {inherits.trial}, which were deleted",
                where="run.keep",
                why="the strategy starts from earlier weights, so that all of them may be needed",
                fix="run the search anew with `run.keep: all`",
            )
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


def check_state(state: object, where: str) -> Json:
    """Returns a state as a snapshot brings it back.

    Raises:
        PluginError: `state_dict` returned something that JSON would not bring back as it is.
    """
    fix = "use lists and numbers, `.tolist()`, and texts as keys"
    try:
        text = json.dumps(state)
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError("state_dict returns JSON data", where=where, why=str(error), fix=fix) from error
    _check_keys(state, where, fix)
    kept: Json = json.loads(text)
    return kept


def _check_keys(state: object, where: str, fix: str) -> None:
    if isinstance(state, dict):
        for key, item in state.items():
            if not isinstance(key, str):
                raise PluginError(
                    "state_dict returns JSON data", where=where, why=f"the key {key!r} would come back as text", fix=fix
                )
            _check_keys(item, where, fix)
    elif isinstance(state, (list, tuple)):
        for item in state:
            _check_keys(item, where, fix)
