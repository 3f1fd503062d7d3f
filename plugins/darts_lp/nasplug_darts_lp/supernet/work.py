"""One round of a search as the executor does it: train the supernet, keep it, derive the networks it prefers."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError
from safetensors.torch import load_file

from nasplug.contract.errors import DataError, SpecError, StorageError, TaskError
from nasplug.evaluate.tensors import save_tensors
from nasplug.evaluate.workrun import WorkRun
from nasplug_darts_lp.supernet.base import MOST
from nasplug_darts_lp.supernet.capability import HasSupernet
from nasplug_darts_lp.supernet.cost import cost_model
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.rounds import Derived
from nasplug_darts_lp.supernet.settings import SearchSettings, SupernetSettings
from nasplug_darts_lp.supernet.training import Plan, Round, State, train_round

#: Decimals of facts in proposals: the last bits may differ between machines, and a resumed run must propose the same.
_DECIMALS = 6
_LOG = logging.getLogger("nasplug_darts_lp")
_WHERE = "darts_lp.search"


def train_supernet(
    run: WorkRun,
    *,
    number: int,
    since: int,
    rounds: int,
    epochs: int,
    derive: int,
    seed: int,
    division_seed: int,
    before: str | None,
    taken: Sequence[str],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Trains the supernet for one more round and derives networks.

    The supernet and the state of its optimisers go to `state_file(run.folder, number)`. One that diverges is noted as a
    failure; its only network is the most probable one at the start of the round.

    Args:
        run: The work on its way.
        number: Number of the round, from 0.
        since: Number of the round whose weights were fresh.
        rounds: Number of rounds of the whole search.
        epochs: Number of epochs of this round.
        derive: Number of networks to derive.
        seed: Random seed of the round, below 2**31.
        division_seed: Random seed of the division of the training data between weights and logits.
        before: Key of the work whose supernet this round goes on with; None starts from fresh weights.
        taken: Keys of the networks that earlier rounds gave.
        settings: Settings by group: `mixing`, `supernet`, `training`, `logits`, `cost`.

    Returns:
        `networks` with genotype, key, probability and cost of each, `probabilities` of the options by choice, `losses`
        of the epochs, and `file`, the name of the file of the supernet, or None if there is none.

    Raises:
        SpecError: The data or the device do not fit the settings.
        StorageError: The supernet of the round before cannot be read, or this one not be kept.
    """
    plan = _plan(run, epochs, division_seed, settings)
    state = {} if before is None else _load(state_file(run.study.work_folder(before), number - 1))
    try:
        result = train_round(plan, state, seed, number - since, rounds - since, run.progress)
    except (DataError, TaskError) as error:  # it would meet every round alike
        raise SpecError(error.what, where=error.where, why=error.why, fix=error.fix) from error
    file = None
    if result.diverged is None:
        path = state_file(run.folder, number)
        save_tensors(path, result.state, what="the supernet")
        file = path.name
    else:
        run.fail("nan", result.diverged)
    probabilities = {
        name: [round(float(value), 4) for value in values]
        for name, values in result.supernet.logits.probabilities().items()
        if len(values) > 1
    }
    return {
        "networks": [asdict(network) for network in derived(result, derive, set(taken), plan.settings.cost.range)],
        "probabilities": probabilities,
        "losses": [round(loss, 4) for loss in result.losses],
        "file": file,
    }


def derived(
    result: Round, count: int, taken: Collection[str], within: tuple[float, float] | None = None
) -> list[Derived]:
    """Returns the most probable networks; of a supernet that diverged one, whatever its cost.

    Args:
        result: Result of a round.
        count: Number of networks.
        taken: Keys of networks to leave out.
        within: Smallest and largest cost.
    """
    supernet = result.supernet
    if result.diverged is not None:
        count, within = 1, None
    networks: list[Derived] = []
    for architecture, probability in islice(supernet.ranked(), MOST) if within is None else supernet.within(*within):
        if architecture.key in taken:
            continue
        cost = float(supernet.cost(supernet.weights_of(architecture)))
        networks.append(
            Derived(architecture.genotype, architecture.key, round(probability, _DECIMALS), round(cost, _DECIMALS))
        )
        if len(networks) == count:
            break
    if not networks:
        _LOG.warning("the supernet names no network with a cost within %s", within)
    return networks


def state_file(folder: Path, number: int) -> Path:
    """Returns the file of the supernet of a round.

    Args:
        folder: Folder of its work.
        number: Number of the round.
    """
    return folder / f"round-{number:03d}.safetensors"


def _plan(run: WorkRun, epochs: int, division_seed: int, settings: Mapping[str, Any]) -> Plan:
    groups = {name: settings[name] for name in ("training", "logits", "cost")}
    search = msgspec.convert(groups, SearchSettings)
    options = SupernetOptions(
        msgspec.convert(settings["mixing"], Mixing),
        msgspec.convert(settings["supernet"], SupernetSettings),
        cost_model(search.cost.model, run.target),
    )
    assert isinstance(run.space, HasSupernet)  # `requires` of the strategy, checked when the run is composed
    assert run.task is not None  # checked by the strategy
    return Plan(run.space, run.task, options, search, epochs, division_seed, run.device, run.threads, data=run.data)


def _load(path: Path) -> State:
    try:
        state: State = load_file(path)
    except (OSError, SafetensorError) as error:
        raise StorageError(
            "cannot read the supernet of the round before",
            where=str(path),
            why=str(error),
            fix="run the same command again: it trains that round once more",
        ) from error
    return state
