"""How worker processes start: quickly, and in the surroundings of the driver.

Importing torch and Lightning takes longer than many trainings. Where the platform is Linux, one server process imports
them once, while the driver still composes the search, and workers are forked off it; a worker that replaces a dead one
is there at once. The server never computes anything, so it holds no threads and no GPU that a fork could break.
"""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext


#: What every training needs; a part that is not installed is left out.
TRAINING = ("torch", "pytorch_lightning", "nasplug.evaluate.lightning", "nasplug.tasks.classification_module")


def start_method() -> Literal["forkserver", "spawn"]:
    """`forkserver` on Linux, `spawn` elsewhere, where forking a process with frameworks in it is not safe."""
    return "forkserver" if sys.platform == "linux" else "spawn"


def prepare(*, training: bool) -> None:
    """Starts importing what workers will need, in the background; without effect if that has been done.

    Args:
        training: Whether the trials train networks. Searches on tables need no torch.
    """
    if start_method() == "forkserver":
        modules = ["nasplug.run.executors.bootstrap", *(["nasplug.run.preload"] if training else [])]
        multiprocessing.set_forkserver_preload(modules)
        multiprocessing.forkserver.ensure_running()


def check_program() -> None:
    """Refuses a program that worker processes cannot import, such as one that Python reads from standard input.

    Raises:
        SpecError: There is no file of the program.
    """
    main = sys.modules.get("__main__")
    name = getattr(main, "__file__", None)
    if name is None or getattr(main, "__spec__", None) is not None or Path(name).exists():
        return
    raise SpecError(
        f"worker processes cannot import the program: there is no file {name!r}",
        where="run.executor: process",
        why="they look there for classes and functions of the program, which Python may have read from standard input",
        fix="save the program in a file, start the search below `if __name__ == '__main__':` and run the file; or use "
        "one process (workers=1, executor inline)",
    )


def context() -> ForkServerContext | SpawnContext:
    """The multiprocessing context of worker processes."""
    if start_method() == "forkserver":
        return multiprocessing.get_context("forkserver")
    return multiprocessing.get_context("spawn")


def preload() -> None:
    """Imports what every training needs; runs in the server that workers are forked from."""
    for name in TRAINING:
        try:
            importlib.import_module(name)
        except Exception:  # a worker that needs it reports the reason
            return


def enter(environment: Mapping[str, str], threads: int) -> None:
    """Gives a worker process the driver's environment variables, and its share of the machine.

    Args:
        environment: The driver's variables; the server may have been started with others. `os.environ` leaves them
            as they are.
        threads: Threads of numerical libraries.
    """
    if environment is not os.environ:
        os.environ.clear()
        os.environ.update(environment)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)  # for libraries that are loaded from here on
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
