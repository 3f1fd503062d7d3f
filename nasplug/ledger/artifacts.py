"""Files of a study: the folder that belongs to it alone, and checksums of what is in it.

A study file `NAME` keeps its files in `NAME.files/ID/`. The whole name counts, so that `lr0.1` and `lr0.2` differ, and
so does the identifier that a study gets when it starts: a study that was deleted and started anew under the same name
never meets the files of the earlier one.
"""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import StudyError
from nasplug.contract.records import BASELINE

if TYPE_CHECKING:
    from nasplug.contract.records import Trial

_CHUNK = 1 << 20
#: Folder of the network that the trials are compared with.
BASELINE_FOLDER = "baseline"


def new_identifier() -> str:
    """Returns a fresh identifier of a study: twelve hexadecimal digits."""
    return uuid.uuid4().hex[:12]


def artifact_folder(path: str | Path | None, identifier: str | None) -> Path | None:
    """Returns the folder with the weights and checkpoints of a study file; None for a study in memory.

    Args:
        path: Path of the study file. Symbolic links are followed: one file has one folder.
        identifier: Identifier of the study, from its facts.
    """
    if path is None:
        return None
    file = Path(path).resolve()
    folder = file.with_name(f"{file.name}.files")
    return folder if identifier is None else folder / identifier


def folder_of(trial: Trial) -> str:
    """Returns the name of the folder of a trial below that of its study."""
    return BASELINE_FOLDER if trial.number == BASELINE else f"trial-{trial.number:05d}"


def beside(path: str | Path, ending: str) -> Path:
    """Returns the default path for something made from a study file, such as its report: one for each file.

    `runs/a.sqlite` gives `runs/a` and the ending. Any other name is kept whole, so that `lr0.1`, `lr0.2` and `lr0.db`
    do not share a path; neither do `a` and `a.sqlite`, as long as both are there.

    Args:
        path: Path of the study file.
        ending: Ending to append, such as `.html`.
    """
    file = Path(path)
    short = file.with_suffix("") if file.suffix == ".sqlite" else file
    return file.with_name(f"{(file if short.exists() and short != file else short).name}{ending}")


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file, or of the names and contents of all files in a folder.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(path).as_posix()} {checksum(file)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def check_artifact(trial: Trial, name: str, path: Path) -> None:
    """Checks that a file is the one that the trial wrote.

    Args:
        trial: Trial whose record holds the checksum; one written before there were checksums passes.
        name: Name of the artifact, such as `weights`.
        path: Path of the file.

    Raises:
        StudyError: The file is missing, or its contents are not those that the trial wrote.
    """
    where = f"trial {trial.number}"
    if not path.exists():
        raise StudyError(
            f"the {name} file {str(path)!r} is missing",
            where=where,
            fix="move the folder of artifacts together with the study file, or retrain",
        )
    expected = trial.checksums.get(name)
    if expected is None:
        return
    try:
        found = checksum(path)
    except OSError as error:
        raise StudyError(f"cannot read the {name} file {str(path)!r}", where=where, why=str(error)) from error
    if found != expected:
        raise StudyError(
            f"the {name} file {str(path)!r} is not the one that this trial wrote",
            where=where,
            why=f"its SHA-256 is {found[:12]}..., the trial recorded {expected[:12]}...",
            fix="restore the file from a copy, or train the architecture again with `nasplug retrain`",
        )
