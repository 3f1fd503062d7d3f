"""The lines that make the modules run, as they stand in docs/own_data.md, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import nasplug as nas
from tests.support.modules import images, learned, sequences, spaces


@dataclass(frozen=True)
class Case:
    """A module of somebody.

    Attributes:
        module: Name of its class, or of the function that makes it.
        line: Arguments of `nas.LightningTask`, as one writes them.
        space: Space of networks for it.
        objective: Metric that a search optimises.
        message: Pattern of the refusal; empty for what runs.
    """

    module: str
    line: str
    space: spaces.Space
    objective: str
    message: str = ""

    def task(self) -> nas.LightningTask:
        names = {"LightningTask": nas.LightningTask, **vars(images), **vars(sequences), **vars(learned)}
        return eval(f"LightningTask({self.line})", names)


_CONV, _PIXELS = spaces.Space(spaces.convolutions), spaces.Space(spaces.pixels, "map")
_FLAT, _TEXT = spaces.Space(spaces.perceptron), spaces.Space(spaces.reader)
_TAGS, _SERIES = spaces.Space(spaces.tagger, "sequence"), spaces.Space(spaces.recurrent)

RUNS = (
    Case("Classifier", "Classifier, ImageData(), (1, 8, 8), 3", _CONV, "val_f1"),
    Case("DigitsFromScratch", 'DigitsFromScratch, None, (1, 8, 8), 3, network_attribute="model"', _CONV, "val_acc"),
    Case("Finetuning", 'Finetuning, ImageData(), outputs=12, network_attribute="backbone"', _CONV, "loss/valid"),
    Case(
        "MultiLabel",
        'MultiLabel, loaders(IMAGES, TAGS), outputs=3, module_args={"learning_rate": 0.01}',
        _CONV,
        "val/auroc",
    ),
    Case(
        "Segmenter",
        'Segmenter, pairs(), (1, 8, 8), 1, output="map", network_attribute="model", '
        'module_args={"arch": "fpn", "encoder_name": "tiny", "in_channels": 1, "out_classes": 1}',
        _PIXELS,
        "valid_dataset_iou",
    ),
    Case(
        "CentreDetector",
        'CentreDetector, boxes(), (1, 8, 8), 2, output="map", module_args={"num_classes": 2}',
        _PIXELS,
        "val_loss",
    ),
    Case(
        "TextClassifier",
        'TextClassifier, sentences(), outputs=2, network_attribute="model", '
        'module_args={"model_name_or_path": "tiny", "num_labels": 2}',
        _TEXT,
        "val_loss",
    ),
    Case(
        "SequenceTagger", 'SequenceTagger, loaders(TOKENS, TOKENS % 2), outputs=2, output="sequence"', _TAGS, "val_acc"
    ),
    Case("Forecaster", "Forecaster, forecasts(), inputs=[[12, 3], [4]], outputs=2", _SERIES, "val_mae"),
    Case("PriceRegressor", "PriceRegressor, Prices(), outputs=1", _FLAT, "val_rmse"),
    Case("Gan", 'Gan, images(), (8,), 64, network_attribute="generator"', _FLAT, "val_distance"),
    Case("autoencoder", 'autoencoder, images(), outputs=4, module_args={"width": 8}', _CONV, "val_loss"),
    Case("Contrastive", 'Contrastive, images(), outputs=8, network_attribute="convnet"', _CONV, "val_acc_top1"),
    Case("Byol", "Byol, images(), outputs=4", _CONV, "val_loss"),
    Case(
        "Distiller",
        'Distiller, images(), outputs=3, network_argument="student", module_args={"teacher": teacher()}',
        _CONV,
        "val_acc",
    ),
    Case("averaged", "averaged, images(), outputs=3", _CONV, "val_acc"),
    Case(
        "BuiltInSetup",
        'BuiltInSetup, ImageData(), (1, 8, 8), 3, network_attribute="net"',
        _CONV,
        "val_loss",
    ),
)

REFUSED = (
    Case("DigitsFromScratch", "DigitsFromScratch, None, (1, 8, 8), 3", _CONV, "val_acc", "takes no network"),
    Case("TextClassifier", "TextClassifier, sentences(), outputs=2", _TEXT, "val_loss", "takes no network"),
    Case("Gan", "Gan, images(), (8,), 64", _FLAT, "val_distance", "takes no network"),
    Case("Distiller", "Distiller, images(), outputs=3", _CONV, "val_acc", "'student'"),
    Case(
        "Deferred",
        'Deferred, images(), outputs=3, network_attribute="model"',
        _CONV,
        "val_acc",
        "does not keep the candidate",
    ),
    Case("OwnAverage", 'OwnAverage, images(), outputs=3, network_attribute="model"', _CONV, "val_acc", "must match"),
    Case("MultiLabel", "MultiLabel, loaders(IMAGES, TAGS), outputs=3", _CONV, "val/auroc", "'learning_rate'"),
)
