"""Named tensors in a file: safetensors, written completely or not at all, with facts in the header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from nasplug.files import complete_file

#: Advice where a running search writes files.
RESUME = "free disk space, then run again: it resumes"


def save_tensors(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, str] | None = None,
    *,
    what: str = "tensors",
    fix: str = RESUME,
) -> Path:
    """Writes tensors by name.

    Args:
        path: Path of the file.
        tensors: Tensors of any shapes and types, on any device.
        facts: Texts for the header of the file, by name.
        what: Noun for what they are, for messages.
        fix: Advice for whoever reads that they cannot be written.

    Returns:
        The path.

    Raises:
        StorageError: The file cannot be written.
    """
    path = Path(path)
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with complete_file(path, what, fix=fix) as temporary:
        try:
            save_file(ready, str(temporary), metadata=None if facts is None else dict(facts))
        except SafetensorError as error:
            raise OSError(str(error)) from error
    return path
