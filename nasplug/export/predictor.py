"""What an exported network says of image files, whatever format it was exported in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, StorageError, TrustError
from nasplug.contract.jsondata import parse_json
from nasplug.data.images import SUFFIXES
from nasplug.data.preprocessing import Preprocessing
from nasplug.optional import require

#: Images that a network gets at once.
BATCH = 64

Run = Callable[[NDArray[Any]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one file.

    Attributes:
        file: Path of the file.
        answers: Meaning of the numbers: `classes`, `labels` or `values`.
        scores: Probability of every class or label by name, or the values by position.
    """

    file: Path
    answers: str
    scores: Mapping[str, float]

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
        return {"file": str(self.file), **named, key: dict(self.scores)}


class Predictor:
    """A network that takes files.

    Args:
        run: Function from raw pixels (N, C, H, W) to the network's answers (N, channels).
        facts: Preprocessing, classes and meaning of the answers, as every format carries them.
        where: Name of the network in messages.

    Raises:
        StorageError: The network says nothing of how images become its input.
    """

    def __init__(self, run: Run, facts: Mapping[str, Any], where: str) -> None:
        plain = facts.get("preprocessing")
        if not isinstance(plain, Mapping) or plain.get("kind") != "image":
            raise StorageError(
                "this network does not say how image files become its input",
                where=where,
                why="its task has no `preprocessing` of images",
                fix="call the network in Python with the tensors of your own data",
            )
        classes = facts.get("classes") or ()
        if not isinstance(classes, Sequence) or isinstance(classes, str):
            raise StorageError(f"cannot read its classes {classes!r:.80}", where=where, fix="export the network again")
        try:
            self.way = Preprocessing.of(plain)
        except DataError as error:
            error.within(where)
            raise
        self._run, self._where, self._answers = run, where, str(facts.get("answers", "classes"))
        self._classes = tuple(map(str, classes))

    def predict(self, files: Iterable[Path]) -> Iterator[Prediction]:
        """Yields the answer for every file, in order.

        Raises:
            DataError: A file cannot be decoded, or holds another kind of pixels than the training data.
            StorageError: The network does not take, or does not answer, what it says of itself.
        """
        for batch in _batched(files):
            answers = self._answered(np.stack([self.way.read(file) for file in batch]))
            for file, scores in zip(batch, self._probabilities(answers), strict=True):
                names = self._classes or tuple(map(str, range(len(scores))))
                yield Prediction(file, self._answers, dict(zip(names, map(float, scores), strict=True)))

    def _answered(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        try:
            answers = self._run(pixels)
            if answers.ndim != 2 or len(answers) != len(pixels):
                raise ValueError(f"it answers {answers.shape} for {pixels.shape}")
            if self._classes and answers.shape[1] != len(self._classes):
                raise ValueError(f"it answers {answers.shape[1]} numbers, and names {len(self._classes)}")
        except Exception as error:  # of whatever runs the network
            raise StorageError(
                "the network does not answer images as its description says",
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


def open_network(path: Path, *, trust: bool = False) -> Predictor:
    """Opens an exported network: a folder, an ONNX file or a program of `torch.export`.

    Args:
        path: Path of the folder or file.
        trust: Whether code may run that a folder names, or a program of `torch.export` holds.

    Raises:
        TrustError: It is a program of `torch.export`, and not trusted.
        StorageError: It is not an exported network, or says nothing of images.
        MissingExtraError: A library to run it is not installed.
    """
    if path.suffix == ".onnx":
        return _open_onnx(path)
    if path.suffix == ".pt2":
        return _open_program(path, trust=trust)
    from nasplug.export.bundle import read_bundle, read_description

    facts = read_description(path)
    return Predictor(_torch(read_bundle(path, trust=trust), facts), facts, str(path))


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Returns the files, and the images in the folders, in order.

    Raises:
        DataError: A path does not exist, or there is no image.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{str(path)!r} does not exist", where="images", fix="check the path")
        inside = (
            sorted(item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        )
        if not inside:
            raise DataError(
                f"there are no images in {str(path)!r}",
                where="images",
                fix=f"name files, or a folder of {', '.join(sorted(SUFFIXES))}",
            )
        found += inside
    return found


def _open_onnx(path: Path) -> Predictor:
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

    def run(pixels: NDArray[Any]) -> NDArray[np.float64]:
        (name,) = inputs
        given = pixels if facts.get("raw") else _normalised(pixels, facts)
        return np.asarray(session.run(None, {name: given})[0], np.float64)

    return Predictor(run, facts, str(path))


def _open_program(path: Path, *, trust: bool) -> Predictor:
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
    return Predictor(_torch(module, facts), facts, str(path))


def _torch(network: Any, facts: Mapping[str, Any]) -> Run:
    import torch

    def run(pixels: NDArray[Any]) -> NDArray[np.float64]:
        given = pixels if facts.get("raw") else _normalised(pixels, facts)
        with torch.inference_mode():
            answer: NDArray[np.float64] = network(torch.from_numpy(np.ascontiguousarray(given))).double().numpy()
        return answer

    return run


def _normalised(pixels: NDArray[Any], facts: Mapping[str, Any]) -> NDArray[np.float32]:
    """Pixels as the network's own input, with the arithmetic of the data module."""
    way = Preprocessing.of(facts["preprocessing"])
    factor, summand = (values.astype(np.float32).reshape(1, -1, 1, 1) for values in way.affine())
    return np.asarray((pixels.astype(np.float32) - np.float32(way.span[0])) * factor + summand, np.float32)


def _facts(text: str | bytes | None, path: Path) -> dict[str, Any]:
    try:
        facts = parse_json(text or "")
        if not isinstance(facts, dict):
            raise ValueError("no mapping")
    except ValueError:
        raise StorageError(
            "this file does not say how images become its input",
            where=str(path),
            why="it was not written by `nasplug export`, or by an earlier version",
            fix="export the network again",
        ) from None
    return facts


def _batched(files: Iterable[Path]) -> Iterator[tuple[Path, ...]]:
    rest = iter(files)
    while batch := tuple(itertools.islice(rest, BATCH)):
        yield batch
