"""`nasplug predict-metric`: what networks that were never trained are expected to give."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasLabels
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug.contract.records import Architecture
    from nasplug.ledger.study import Study


class PredictMetricCommand:
    """Predict a metric of untrained networks from the trials of a study, with intervals."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options of `nasplug predict-metric`."""
        parser.add_argument("file", metavar="FILE", help="the study file")
        parser.add_argument("--metric", help="a metric or cost of its trials; default: the first objective")
        parser.add_argument(
            "--genotype", metavar="JSON", action="append", default=[], help="a network of the space; may be repeated"
        )
        parser.add_argument(
            "--candidates", type=int, default=200, help="number of untrained networks to draw; default 200"
        )
        parser.add_argument("--top", type=int, default=5, help="number of them to show; default 5")
        parser.add_argument("--level", type=float, default=0.9, help="share that intervals are to hold; default 0.9")
        parser.add_argument("--json", action="store_true", help="print predictions and calibration as JSON")

    def run(self, arguments: argparse.Namespace) -> int:
        """Prints predictions, the best first, and how well the surrogate did on trials that it was not told of."""
        import nasplug
        from nasplug_bogk.prediction import Surrogate

        if arguments.candidates < 1 or arguments.top < 1:
            raise SpecError("candidates and top start at 1", where="nasplug predict-metric")
        study = nasplug.load_study(arguments.file)
        surrogate = Surrogate(study, arguments.metric, level=arguments.level)
        asked = [study.space.architecture(_read(text)) for text in arguments.genotype]
        architectures = asked or _untrained(study, arguments.candidates)
        rows = list(zip(architectures, surrogate.predict(architectures), strict=True))
        if not asked:
            largest = all(o.direction == "max" for o in study.objectives if o.name == surrogate.metric)
            rows.sort(key=lambda row: -row[1].mean if largest else row[1].mean)
            rows = rows[: arguments.top]
        if arguments.json:
            shown = [{"genotype": a.genotype, **asdict(p)} for a, p in rows]
            output.print_json(
                {"metric": surrogate.metric, "calibration": asdict(surrogate.calibration), "predictions": shown}
            )
            return 0
        for architecture, prediction in rows:
            name = study.space.label(architecture) if isinstance(study.space, HasLabels) else architecture.key
            print(f"{prediction.mean:.6g} [{prediction.low:.6g}, {prediction.high:.6g}]  {name}")
        tested = surrogate.calibration
        print(
            f"{surrogate.metric}, intervals of {tested.level:.0%}, from {plural(tested.trials, 'trial')}. Put to the "
            f"test by cross-validation: rank correlation {tested.kendall:.2f} (Kendall), error {tested.rmse:.4g} where "
            f"the results spread by {tested.spread:.4g}; the process alone would hold {tested.coverage:.0%}."
        )
        return 0


def _read(text: str) -> Json:
    try:
        found: Json = json.loads(text)
        return found
    except json.JSONDecodeError as error:
        raise SpecError(
            f"{text!r} is not JSON", where="nasplug predict-metric --genotype", fix="write e.g. '[\"conv\", 3]'"
        ) from error


def _untrained(study: Study, count: int) -> list[Architecture]:
    """Random networks of the space that the study has not trained."""
    seen = {trial.architecture.key for trial in study.trials}
    rng, found = study.rng("surrogate.candidates"), dict[str, "Architecture"]()
    for _ in range(20 * count):
        if len(found) == count:
            break
        drawn = study.space.sample(rng)
        if drawn.key not in seen:
            found.setdefault(drawn.key, drawn)
    return list(found.values())


command = PredictMetricCommand()
