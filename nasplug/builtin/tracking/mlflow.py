"""A study in MLflow: a parent run, with a nested run for each trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nasplug.builtin.tracking.nested import NestedRuns
from nasplug.contract.records import Scalar

if TYPE_CHECKING:
    from mlflow import MlflowClient

_STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
#: Tag that names the study, by which a resumed one finds its run.
STUDY = "nasplug.study"


class MLflowTracker(NestedRuns[str]):
    """Writes into an experiment; the runs of trials are nested in that of the study.

    Args:
        tracking_uri: Address of the server, or of a database; None takes what MLflow is configured with.
        experiment: Name of the experiment; made if it is not there.
        study: Name of the parent run; None takes the name of the study file.
    """

    package = "mlflow"

    def __init__(self, tracking_uri: str | None = None, experiment: str = "nasplug", study: str | None = None) -> None:
        super().__init__(study)
        self.tracking_uri, self.experiment = tracking_uri, experiment
        self._client: MlflowClient | None = None
        self._experiment = ""

    def open_parent(self, name: str, identifier: str, facts: Mapping[str, Scalar]) -> str:
        """Finds the run of the study, or makes it."""
        from mlflow import MlflowClient

        client = self._client = MlflowClient(self.tracking_uri)
        found = client.get_experiment_by_name(self.experiment)
        self._experiment = client.create_experiment(self.experiment) if found is None else found.experiment_id
        earlier = client.search_runs(
            [self._experiment], f"tags.`{STUDY}` = '{identifier}' and tags.`nasplug.kind` = 'study'", max_results=1
        )
        if earlier:
            run: str = earlier[0].info.run_id
            client.set_terminated(run, "RUNNING")
            return run
        return self._created(client, name, {STUDY: identifier, "nasplug.kind": "study"}, facts)

    def open_child(self, parent: str, name: str, facts: Mapping[str, Scalar]) -> str:
        """Makes a nested run."""
        return self._created(self._opened, name, {"mlflow.parentRunId": parent, "nasplug.kind": "trial"}, facts)

    def log(self, run: str, values: Mapping[str, float], step: int) -> None:
        """Writes metrics."""
        for name, value in values.items():
            self._opened.log_metric(run, name, value, step=step)

    def close(self, run: str, state: str, reason: str) -> None:
        """Ends a run with its status."""
        self._opened.set_tag(run, "nasplug.state", state)
        if reason:
            self._opened.set_tag(run, "nasplug.reason", reason[:4000])
        self._opened.set_terminated(run, _STATUS[state])

    def _created(self, client: MlflowClient, name: str, tags: dict[str, str], facts: Mapping[str, Scalar]) -> str:
        run: str = client.create_run(self._experiment, tags=tags, run_name=name).info.run_id
        for key, value in facts.items():
            client.log_param(run, key, str(value)[:4000])
        return run

    @property
    def _opened(self) -> MlflowClient:
        assert self._client is not None
        return self._client
