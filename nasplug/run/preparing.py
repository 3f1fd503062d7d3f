"""What plugins need done before the first trial: asked once, and done by the executor as a strategy's work is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nasplug.contract.errors import PluginError, StudyError
from nasplug.ledger.artifacts import checksum
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Outcome, Work
from nasplug.plugins.manager import Manager


def prepared_by(manager: Manager, study: StudyView) -> Iterator[tuple[str, Work]]:
    """Yields name of the plugin and the work that it wants done before the first trial.

    Args:
        manager: The plugins.
        study: The study.

    Raises:
        PluginError: A plugin answers something else, or work that sees trials.
    """
    plugins = manager.who("prepare")
    for name, plugin in plugins:
        others = [other for _, other in plugins if other is not plugin]
        answers = manager.guard(name, "hook prepare", manager.without(others, "prepare"), study=study)
        for answer in answers:
            for work in [answer] if isinstance(answer, Work) else answer or ():
                if not isinstance(work, Work):
                    raise PluginError(
                        f"the answer is {work!r:.100}, not work",
                        where=f"{name}, hook prepare",
                        fix="return nasplug.Work(...), a list of them, or None",
                    )
                if work.trials:
                    raise PluginError(
                        f"work before the first trial cannot see trials, and {work.function!r} wants {work.trials}",
                        where=f"{name}, hook prepare",
                        fix="leave out `trials`",
                    )
                yield name, work


def check_prepared(name: str, outcome: Outcome) -> None:
    """Ends the run where what every trial needs is not there.

    Args:
        name: Name of the plugin that needs it.
        outcome: Outcome of the work.

    Raises:
        StudyError: The work failed.
    """
    if outcome.failure is not None:
        raise StudyError(
            "the work that every trial needs has failed",
            where=name,
            why=f"{outcome.key}: {outcome.failure.message}",
            fix="mend the reason and run the same command again: finished trials are kept",
        )


def intact(study: StudyView, outcome: Outcome) -> bool:
    """Returns whether all files of finished work are as it left them; those that are not go.

    Args:
        study: Study that holds them.
        outcome: Outcome of the work.
    """
    folder = study.work_folder(outcome.key)
    wrong: Sequence[str] = [
        name
        for name, expected in outcome.checksums.items()
        if not (folder / name).is_file() or checksum(folder / name) != expected
    ]
    for name in wrong:
        (folder / name).unlink(missing_ok=True)
    return not wrong
