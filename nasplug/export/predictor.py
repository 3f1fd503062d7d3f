"""What an exported network says of files of images, tables or arrays, whatever format it was exported in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, StorageError, TrustError
from nasplug.contract.jsondata import parse_json
from nasplug.data.preprocessing import Preprocessing
from nasplug.data.rows import Rows, way_of
from nasplug.export.segmenter import Segmenter
from nasplug.optional import require

#: Samples that a network gets at once.
BATCH = 64

#: From a batch of a network's input to its answers.
Run = Callable[[NDArray[Any]], NDArray[np.float64]]
#: File, number of the row if it has rows, and the raw data of one sample.
Sample = tuple[Path, int | None, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one sample.

    Attributes:
        file: Path of the file.
        answers: Meaning of the numbers: `classes`, `labels` or `values`.
        scores: Probability of every class or label by name, or every value by name.
        row: Number of the row in a table, or of the sample in an array, from 1 on; None for images.
    """

    file: Path
    answers: str
    scores: Mapping[str, float]
    row: int | None = None

    @property
    def names(self) -> list[str]:
        """The most probable class, or the labels whose probability is at least 0.5; none for values."""
        if self.answers == "classes":
            return [max(self.scores, key=lambda name: self.scores[name])]
        return [name for name, score in self.scores.items() if score >= 0.5] if self.answers == "labels" else []

    def to_json(self) -> dict[str, Any]:
        """Returns JSON data."""
        named: dict[str, Any] = {"class": self.names[0]} if self.answers == "classes" else {}
        if self.answers == "labels":
            named = {"labels": self.names}
        key = "values" if self.answers == "values" else "scores"
        row = {} if self.row is None else {"row": self.row}
        return {"file": str(self.file), **row, **named, key: dict(self.scores)}


class Predictor:
    """A network that takes files.

    Args:
        run: Function from raw data (N, ...) to the network's answers (N, channels).
        facts: Preprocessing, classes and meaning of the answers, as every format carries them.
        where: Name of the network in messages.

    Attributes:
        way: Way from a file to what the network takes.

    Raises:
        StorageError: The network says nothing of how files become its input.
    """

    def __init__(self, run: Run, facts: Mapping[str, Any], where: str) -> None:
        classes = facts.get("classes") or ()
        if not isinstance(classes, Sequence) or isinstance(classes, str):
            raise StorageError(f"cannot read its classes {classes!r:.80}", where=where, fix="export the network again")
        self.way = _way(facts, where)
        self._run, self._where, self._answers = run, where, str(facts.get("answers", "classes"))
        self._classes = tuple(map(str, classes))

    def predict(self, files: Iterable[Path]) -> Iterator[Prediction]:
        """Yields the answer for every image, or for every row of every table, in order.

        Raises:
            DataError: A file cannot be read, or holds something else than the training data.
            StorageError: The network does not take, or does not answer, what it says of itself.
        """
        for batch in _batched(self._samples(files)):
            answers = self._answered(np.stack([sample for _, _, sample in batch]))
            for (file, row, _), scores in zip(batch, self._probabilities(answers), strict=True):
                names = self._classes or tuple(map(str, range(len(scores))))
                yield Prediction(file, self._answers, dict(zip(names, map(float, scores), strict=True)), row)

    def _samples(self, files: Iterable[Path]) -> Iterator[Sample]:
        for file in files:
            if isinstance(self.way, Preprocessing):
                yield file, None, self.way.read(file)
            else:
                yield from ((file, row, sample) for row, sample in enumerate(self.way.read(file), start=1))

    def _answered(self, given: NDArray[Any]) -> NDArray[np.float64]:
        try:
            answers = self._run(given)
            if answers.ndim != 2 or len(answers) != len(given):
                raise ValueError(f"it answers {answers.shape} for {given.shape}")
            if self._classes and answers.shape[1] != len(self._classes):
                raise ValueError(f"it answers {answers.shape[1]} numbers, and names {len(self._classes)}")
        except Exception as error:  # of whatever runs the network
            raise StorageError(
                "the network does not answer as its description says",
                where=self._where,
                why=" ".join(str(error).split())[:300],
                fix="export the network again",
            ) from error
        return answers

    def _probabilities(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._answers == "labels":
            return 1.0 / (1.0 + np.exp(-answers))
        if self._answers == "classes":
            powers = np.exp(answers - answers.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        return answers


def open_network(path: Path, *, trust: bool = False) -> Predictor | Segmenter:
    """Opens an exported network: a folder, an ONNX file or a program of `torch.export`.

    Args:
        path: Path of the folder or file.
        trust: Whether code may run that a folder names, or a program of `torch.export` holds.

    Raises:
        TrustError: It is a program of `torch.export`, and not trusted.
        StorageError: It is not an exported network, or does not say how files become its input.
        MissingExtraError: A library to run it is not installed.
    """
    path = _alone(path)
    if path.suffix == ".onnx":
        return _open_onnx(path)
    if path.suffix == ".pt2":
        return _open_program(path, trust=trust)
    from nasplug.export.bundle import read_bundle, read_description

    facts = read_description(path)
    return _opened(_torch(read_bundle(path, trust=trust)), facts, str(path))


def data_files(paths: Iterable[Path], suffixes: Collection[str]) -> list[Path]:
    """Returns the files, and those in the folders, in order.

    Args:
        paths: Paths of files and folders.
        suffixes: Endings of the files that are taken from folders.

    Raises:
        DataError: A path does not exist, or there is no such file.
    """
    found: list[Path] = []
    endings = tuple(suffixes)
    for path in paths:
        if not path.exists():
            raise DataError(f"{str(path)!r} does not exist", where="predict", fix="check the path")
        inside = (
            sorted(item for item in path.rglob("*") if item.name.lower().endswith(endings)) if path.is_dir() else [path]
        )
        if not inside:
            raise DataError(
                f"there are no files for this network in {str(path)!r}",
                where="predict",
                fix=f"name files, or a folder of {', '.join(sorted(suffixes))}",
            )
        found += inside
    return found


def _alone(path: Path) -> Path:
    """The one network in a folder that holds nothing else, as `nasplug export --format onnx` writes it."""
    inside = [item for item in path.iterdir() if not item.name.startswith(".")] if path.is_dir() else []
    return inside[0] if len(inside) == 1 and inside[0].suffix in (".onnx", ".pt2") else path


def _open_onnx(path: Path) -> Predictor | Segmenter:
    from nasplug.export.onnx import METADATA

    onnxruntime = require("onnxruntime", extra="onnx", purpose="run ONNX files")
    if not path.is_file():
        raise StorageError("there is no exported network", where=str(path), fix="check the path")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        kept = session.get_modelmeta().custom_metadata_map.get(METADATA)
    except Exception as error:  # of classes that onnxruntime keeps to itself
        raise StorageError("this is not an ONNX network, or it is damaged", where=str(path), why=str(error)) from error
    facts = _facts(kept, path)
    inputs = [item.name for item in session.get_inputs()]

    def run(given: NDArray[Any]) -> NDArray[np.float64]:
        (name,) = inputs
        return np.asarray(session.run(None, {name: given})[0], np.float64)

    return _opened(run, facts, str(path))


def _open_program(path: Path, *, trust: bool) -> Predictor | Segmenter:
    if not trust:
        raise TrustError(
            "a program of torch.export may run code while it is read",
            where=str(path),
            why="torch unpickles parts of it, and evaluates expressions that it holds",
            fix="if you or somebody you trust made it, add --trust (or trust=True in Python); ONNX files need no trust",
        )
    import torch

    from nasplug.export.program import EXTRA

    extra = {EXTRA: ""}
    try:
        module = torch.export.load(str(path), extra_files=extra).module()
    except Exception as error:
        raise StorageError("this is not a program of torch.export", where=str(path), why=str(error)) from error
    facts = _facts(extra[EXTRA], path)
    return _opened(_torch(module), facts, str(path))


def _opened(run: Run, facts: Mapping[str, Any], where: str) -> Predictor | Segmenter:
    kind = facts.get("preprocessing")
    if isinstance(kind, Mapping) and kind.get("kind") == "volume":
        return Segmenter(run, facts, where)
    return Predictor(_prepared(run, facts, where), facts, where)


def _torch(network: Any) -> Run:
    import torch

    def run(given: NDArray[Any]) -> NDArray[np.float64]:
        with torch.inference_mode():
            answer: NDArray[np.float64] = network(torch.from_numpy(np.ascontiguousarray(given))).double().numpy()
        return answer

    return run


def _way(facts: Mapping[str, Any], where: str) -> Preprocessing | Rows:
    try:
        way = way_of(facts.get("preprocessing"))
    except DataError as error:
        error.within(where)
        raise
    if way is None:
        raise StorageError(
            "this network does not say how files become its input",
            where=where,
            why="its task has no `preprocessing` of images, tables or arrays",
            fix="call the network in Python with the tensors of your own data",
        )
    return way


def _prepared(run: Run, facts: Mapping[str, Any], where: str) -> Run:
    """Takes raw data, with the arithmetic of the data module before a bare network and, for values, after it."""
    if facts.get("raw"):
        return run
    way = _way(facts, where)
    target = None if isinstance(way, Preprocessing) else way.target

    def prepared(numbers: NDArray[Any]) -> NDArray[np.float64]:
        shape = (1, -1, *[1] * (numbers.ndim - 2))
        factor, summand = (values.astype(np.float32).reshape(shape) for values in way.affine())
        given = (numbers.astype(np.float32) - np.float32(way.span[0])) * factor + summand
        answers = run(np.asarray(given, np.float32))
        return answers if target is None else answers * np.asarray(target[1]) + np.asarray(target[0])

    return prepared


def _facts(text: str | bytes | None, path: Path) -> dict[str, Any]:
    try:
        facts = parse_json(text or "")
        if not isinstance(facts, dict):
            raise ValueError("no mapping")
    except ValueError:
        raise StorageError(
            "this file does not say how files become its input",
            where=str(path),
            why="it was not written by `nasplug export`, or by an earlier version",
            fix="export the network again",
        ) from None
    return facts


def _batched(samples: Iterable[Sample]) -> Iterator[tuple[Sample, ...]]:
    rest = iter(samples)
    while batch := tuple(itertools.islice(rest, BATCH)):
        yield batch
