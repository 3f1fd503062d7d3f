"""A network that a search has found, as the module of a study: trained with the data and budget of the search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.ledger.facts import part_of
from nasplug.plugins.trust import trusted
from nasplug_ablation.source import check_module
from nasplug_ablation.task import WholeModule

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningDataModule, LightningModule

    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study

#: Parameters of a block that is worth a trial of its own, as a share of the network.
_SHARE = 0.005
#: Share of the parameters from which a part is divided further.
_MOST_OF = 0.5
#: Components that are proposed without being asked for.
_MOST = 24


class FoundNetwork(WholeModule):
    """The module of a trial of a search.

    Args:
        path: File of the search.
        trial: Number of the trial; None is the best.
        objectives: Metric of the study, to "max" or "min"; None is the first objective of the search.

    Raises:
        SpecError: The search has no such trial.
    """

    def __init__(self, path: str, trial: int | None = None, objectives: Mapping[str, str] | None = None) -> None:
        from nasplug.run.api import load_study

        self._study = load_study(path, trust=trusted())
        self._trial = _trial_of(self._study, trial)
        first = self._study.objectives[0]
        self.objectives: Mapping[str, str] = dict(objectives or {first.name: first.direction})
        self.label = f"trial {self._trial.number} of {Path(path).name}"

    def make(self, changes: JsonObject) -> LightningModule:
        """Makes the module of the trial, with weights drawn from the seed that is set; see `Source`.

        Args:
            changes: Hyperparameters that differ from the trial's.
        """
        import torch

        # The network of a trial is built from its seed: here it is that of the trial of the ablation.
        seeded = self._trial.with_(seed=torch.initial_seed() % 2**31)
        network = self._study.network(seeded)
        task: Any = self._study.task
        made: LightningModule = task.module(network, {**self._trial.task_hyperparameters, **changes})
        check_module(made, self.label)
        return made

    def make_data(self, changes: JsonObject) -> LightningDataModule:
        """Makes the data module of the search; see `Source`.

        Args:
            changes: Nothing that begins with `data.`: the task of the search decides.
        """
        task: Any = self._study.task
        made: LightningDataModule = task.datamodule()
        return made

    def datamodule(self) -> LightningDataModule:
        """Returns a data module of its own for one Trainer."""
        return self.make_data({})

    def value_of(self, name: str) -> Json:
        """Returns a hyperparameter of the trial; see `Source`.

        Args:
            name: Name of the hyperparameter.

        Raises:
            SpecError: The training of the search takes none of that name.
        """
        task: Any = self._study.task
        if name not in self._trial.hyperparameters:
            try:
                task.check_hyperparameters([name])
            except Exception as error:
                raise SpecError(
                    f"the search has no hyperparameter {name!r}", where=self.label, why=str(error)
                ) from error
        return self._trial.hyperparameters.get(name)

    def make_callbacks(self) -> dict[str, Callback]:
        """Returns nothing: callbacks of the search belong to its specification."""
        return {}


def settings_of(study: Study | str | Path, trial: int | None) -> dict[str, Any]:
    """Returns the settings of an ablation of a trial, as `AblationStudy` takes them.

    Args:
        study: Search, or its file.
        trial: Number of the trial; None is the best.

    Raises:
        SpecError: The search has no such trial, or does not lie in a file.
    """
    from nasplug.run.api import load_study
    from nasplug.run.spec import RunSpec

    path = study if isinstance(study, (str, Path)) else _file_of(study)
    if path is None:
        raise SpecError("the search was kept in memory", where="study", fix='run it with `storage="search.sqlite"`')
    loaded = load_study(path, trust=trusted())
    found, spec = _trial_of(loaded, trial), RunSpec.parse(loaded.meta["spec"])
    objective = loaded.objectives[0]
    if objective.name in found.costs:
        metric = next((name for name in found.metrics), objective.name)
        direction = next((one.direction for one in loaded.objectives if one.name == metric), "max")
    else:
        metric, direction = objective.name, objective.direction
    run = spec.run
    return {
        "module": {
            "class_path": f"{FoundNetwork.__module__}.{FoundNetwork.__qualname__}",
            "init_args": {"path": str(path), "trial": found.number, "objectives": {metric: direction}},
        },
        "metric": metric,
        "direction": direction,
        "epochs": loaded.budget_of(found).epochs,
        "evaluator": spec.evaluator if spec.evaluator.args else None,
        "components": blocks(str(path), found),
        "run": {"device": run.device, "threads": run.threads},
        "plugins": list(spec.plugins),
    }


def blocks(path: str, trial: Trial) -> list[dict[str, object]]:
    """Returns an entry for each part of a network that can leave it: large enough, and none inside of another.

    Args:
        path: File of the search.
        trial: Trial of the network.

    Raises:
        SpecError: None of its parts can leave it.
    """
    from nasplug_ablation.bench import Workbench
    from nasplug_ablation.components import Component
    from nasplug_ablation.network.policies import NoPolicy

    bench = Workbench(FoundNetwork(path, trial.number))
    total = sum(parameter.numel() for parameter in bench.module.parameters())
    found: list[str] = []
    for name in bench.paths:
        part = bench.module.get_submodule(name)
        size = sum(parameter.numel() for parameter in part.parameters())
        if size < _SHARE * total or any(name.startswith(f"{other}.") for other in found):
            continue
        if size > _MOST_OF * total and next(part.children(), None) is not None:  # its parts say more
            continue
        try:
            bench.plan([Component("module", name, name)])
        except NoPolicy:
            continue
        found.append(name)
        if len(found) == _MOST:
            break
    if not found:
        raise SpecError("no part of the network can leave it", where=f"trial {trial.number}", fix="give `components`")
    return [{"module": name} for name in found]


def _file_of(study: Study) -> str | None:
    found = part_of(study.meta["spec"], "run").get("storage")
    return found if isinstance(found, str) else None


def _trial_of(study: Study, number: int | None) -> Trial:
    if number is None:
        return study.best
    for trial in study.trials:
        if trial.number == number:
            return trial
    raise SpecError(
        f"the search has no trial {number}", where="trial", fix=f"it has the trials 0 to {len(study.trials) - 1}"
    )
