"""Faults that the suite for exporters finds, and the exporters of the core, which pass it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nasplug.contract.errors import TaskError
from nasplug.export.exporter import Bundle, Folder, ModelCard, Onnx, Program
from nasplug.optional import available
from nasplug.testing import ExporterConformance
from tests.support.card_plugin import Card
from tests.testing.faults import WRONG


class _Everything(ExporterConformance):
    kinds = ("plain", "image", "tokens", "named")


class TestBundle(_Everything):
    def make_exporter(self):
        return Bundle()

    def answer(self, written, inputs, named):
        from nasplug.export.bundle import read_bundle

        with torch.inference_mode():
            return read_bundle(written["weights"].parent)(*inputs, **named)


class TestFolder(TestBundle):
    def make_exporter(self):
        return Folder()


class TestModelCard(_Everything):
    def make_exporter(self):
        return ModelCard()


class TestCardOfAPackage(_Everything):
    def make_exporter(self):
        return Card()


@pytest.mark.slow
class TestProgram(_Everything):
    def make_exporter(self):
        return Program(raw=False)

    def answer(self, written, inputs, named):
        with torch.inference_mode():
            return torch.export.load(str(written["program"])).module()(*inputs, **named)


@pytest.mark.slow
@pytest.mark.skipif(not available("onnxruntime"), reason="needs the extra onnx")
class TestOnnx(_Everything):
    def make_exporter(self):
        return Onnx(raw=False)

    def answer(self, written, inputs, named):
        from nasplug.export.onnx import run_onnx

        return run_onnx(written["onnx"], named or inputs[0])[0]


class Weights:
    """A right exporter, to be made wrong below: weights as an .npz file, images and numbers only."""

    name = "weights.npz"

    def export(self, found, folder):
        if not found.inputs.is_plain:
            raise TaskError("it writes networks of one float tensor only")
        path = Path(folder) / self.name
        with path.open("wb") as file:
            np.savez(file, **self.state(found))
        return {"npz": path}

    def state(self, found):
        return {name: value.numpy() for name, value in found.network.state_dict().items()}

    def answer(self, written, found):
        state = {name: torch.tensor(value) for name, value in np.load(written["npz"]).items()}
        network = found.study.build(found.trial).eval()
        network.load_state_dict(state)
        return network


class TestWeights(ExporterConformance):
    def make_exporter(self):
        return Weights()


class Unlisted(Weights):
    """Writes a note that it does not name."""

    def export(self, found, folder):
        (folder / "note.json").write_text(json.dumps({"trial": found.trial.number}))
        return super().export(found, folder)


class Astray(Weights):
    """Writes beside its folder."""

    def export(self, found, folder):
        return super().export(found, folder.parent)


class Promising(Weights):
    """Names a file that it does not write."""

    def export(self, found, folder):
        return {**super().export(found, folder), "card": folder / "card.md"}


class Texts(Weights):
    """Answers paths as texts."""

    def export(self, found, folder):
        return {name: str(path) for name, path in super().export(found, folder).items()}


class Halving(Weights):
    """Writes half precision, and leaves the network so."""

    def state(self, found):
        found.network.half()
        return super().state(found)


class Training(Weights):
    """Runs the network in training mode, which moves its statistics."""

    def state(self, found):
        args, kwargs = found.inputs.example(4)
        found.network.train()(*args, **kwargs)
        return super().state(found)


class Drawing(Weights):
    """Draws its example from the global generator."""

    def state(self, found):
        with torch.no_grad():
            found.network(torch.randn(2, *found.inputs.shape))
        return super().state(found)


class Remembering(Weights):
    """Keeps the first network."""

    kept = None

    def state(self, found):
        self.kept = self.kept or super().state(found)
        return self.kept


class Sweeping(Weights):
    """Empties the folder first."""

    def export(self, found, folder):
        for path in folder.iterdir():
            path.unlink()
        return super().export(found, folder)


class Demanding(Weights):
    """Believes that every task has classes."""

    def state(self, found):
        return {**super().state(found), "first": np.array(found.classes[0])}


class Careless(Weights):
    """Fails in some way on inputs that it does not know."""

    def export(self, found, folder):
        (tensor,) = found.inputs.args
        if tensor.dtype != "float32":
            raise ValueError(tensor.dtype)
        return super().export(found, folder)


class Silent(Weights):
    """Hides that nothing could be written."""

    def export(self, found, folder):
        try:
            return super().export(found, folder)
        except OSError:
            return {}


class Forgetful(Weights):
    """Leaves the statistics of batch normalisation out."""

    def state(self, found):
        state = super().state(found)
        return {n: np.zeros_like(v) if "running_mean" in n else v for n, v in state.items()}


@pytest.mark.parametrize(
    ("exporter", "test"),
    [
        (Unlisted, "test_it_names_every_file_that_it_writes"),
        (Astray, "test_it_names_every_file_that_it_writes"),
        (Promising, "test_it_names_every_file_that_it_writes"),
        (Texts, "test_it_names_every_file_that_it_writes"),
        (Halving, "test_it_changes_nothing"),
        (Training, "test_it_changes_nothing"),
        (Drawing, "test_it_changes_nothing"),
        (Remembering, "test_it_replaces_an_earlier_export"),
        (Sweeping, "test_it_keeps_other_files"),
        (Demanding, "test_a_network_without_classes_and_preprocessing"),
        (Careless, "test_what_it_cannot_write_is_refused"),
        (Silent, "test_an_unwritable_folder_is_an_error"),
        (Forgetful, "test_the_written_network_answers_the_same"),
    ],
)
def test_exporters(exporter, test, tmp_path):
    class Suite(ExporterConformance):
        def make_exporter(self):
            return exporter()

        def answer(self, written, inputs, named):
            from nasplug.testing import example_found

            found = example_found("plain" if inputs[0].dim() == 2 else "image")
            with torch.inference_mode():
                return Weights().answer(written, found)(*inputs, **named)

    with pytest.raises((*WRONG, ValueError)):
        getattr(Suite(), test)(tmp_path)
