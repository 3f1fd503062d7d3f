from __future__ import annotations

import pytest
from jsonargparse import ArgumentParser
from jsonargparse import Namespace as Parsed

from nasplug.data import Cifar, ImageFolder, Npz
from nasplug.tasks import ImageClassification, Training


def make(arguments: dict) -> ImageClassification:
    """Builds the task from plain data, as a run specification does."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ImageClassification, "task")
    parsed: Parsed = parser.parse_object({"task": arguments})
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes  # the name before 4.49
    return instantiate(parsed).task


def test_from_plain_data():
    task = make(
        {"data": {"class_path": "nasplug.data.Npz", "init_args": {"path": "fashion.npz"}}, "training": {"lr": 0.01}}
    )
    assert isinstance(task.data, Npz)
    assert task.data.path == "fashion.npz"
    assert task.training == Training(lr=0.01)


def test_every_source_takes_plain_arguments():
    folder = {"path": "photos", "size": [24, 32], "channels": 1, "fit": "stretch"}
    task = make({"data": {"class_path": "nasplug.data.ImageFolder", "init_args": folder}})
    assert isinstance(task.data, ImageFolder)
    assert tuple(task.data.size) == (24, 32)
    cifar = {"class_path": "nasplug.data.Cifar", "init_args": {"path": "c", "variant": "cifar100"}}
    assert isinstance(make({"data": cifar}).data, Cifar)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"training": {"optimizer": "adamm"}}, "optimizer"),
        ({"training": {"lrr": 1}}, "lrr"),
        ({"lr": 1}, "lr"),
        ({"augment": "flop"}, "augment"),
        ({"batch_size": "many"}, "batch_size"),
    ],
)
def test_wrong_plain_data(wrong, named):
    with pytest.raises(Exception, match=named):
        make(wrong)
