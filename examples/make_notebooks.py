"""Writes and executes the notebooks; needs no Jupyter: `python examples/make_notebooks.py [NAME]`.

Cells run one after the other in one namespace, as in a kernel, and in an empty folder; what they print and what their
last line shows is kept, a picture of matplotlib as one.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

SEARCH = [
    (
        "markdown",
        """# A search in a notebook

Everything is defined in cells: the space, the network, the search. Worker processes get these classes as well, so
`workers=2` works. The data are scikit-learn's digits, which need no download.""",
    ),
    (
        "code",
        """import nasplug as nas
from torch import nn


class Perceptrons(nas.ChoiceSpace):
    \"\"\"Depth, width and activation of a small network.\"\"\"

    def __init__(self):
        super().__init__(
            "perceptrons",
            [
                nas.Choice("depth", (1, 2, 3)),
                nas.Choice("width", (8, 16, 32)),
                nas.Choice("activation", ("relu", "tanh")),
            ],
        )

    def build(self, architecture, task):
        depth, width, activation = architecture.genotype
        layers, inputs = [nn.Flatten()], 64
        for _ in range(depth):
            layers += [nn.Linear(inputs, width), {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]()]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, task.outputs))


def linear(task):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, task.outputs))""",
    ),
    (
        "markdown",
        """Eight trials of five epochs in two worker processes, with accuracy and size as objectives, and a linear
classifier as the baseline. A bar shows how far the search is.""",
    ),
    (
        "code",
        """study = nas.search(
    nas.ImageClassification(batch_size=64),
    space=Perceptrons(),
    objectives={"val_acc": "max", "params": "min"},
    baseline=linear,
    trials=8,
    epochs=5,
    workers=2,
)
study""",
    ),
    (
        "markdown",
        """The best network with its trained weights is an ordinary module. Study files, reports and exports work as
elsewhere.""",
    ),
    (
        "code",
        """print(study.label(study.best), dict(study.best.values))
study.network(study.best)""",
    ),
]


SHRINK = [
    (
        "markdown",
        """# Shrink a network in a notebook

A trained network is made smaller, and then its parts are looked at. Module and data are defined in cells; nothing
about them is written for nasplug. The data are scikit-learn's digits, which need no download.""",
    ),
    (
        "code",
        """import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(y)
train = DataLoader(TensorDataset(x[:900], y[:900]), 64, shuffle=True)
val = DataLoader(TensorDataset(x[900:1300], y[900:1300]), 400)


class Digits(pl.LightningModule):
    def __init__(self, width=24, lr=0.01):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            *(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3), nn.BatchNorm2d(2 * width), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10)),
        )

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.hparams.lr)""",
    ),
    ("markdown", "The network that is too large, trained as always."),
    (
        "code",
        """pl.seed_everything(1, verbose=False)
model = Digits()
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
pl.Trainer(max_epochs=8, accelerator="cpu", **quiet).fit(model, train, val)
sum(weight.numel() for weight in model.parameters())""",
    ),
    (
        "markdown",
        """At most 30 % of its parameters. Channels go step by step, where the network misses them least; the
uniformly narrow network of the same size is trained beside it, because a search that does not beat it is not worth
its time.""",
    ),
    (
        "code",
        """import nasplug_reduction


class Loaders(pl.LightningDataModule):
    def train_dataloader(self):
        return train

    def val_dataloader(self):
        return val


def shrunk(keep):
    settings = {"metric": "val_acc", "strategy": "reduction.greedy", "epochs": 4, "progress": False}
    return nasplug_reduction.shrink(model, data=Loaders, keep=keep, **settings)


small = shrunk(0.3)
print(small)""",
    ),
    ("markdown", "The same at three sizes."),
    (
        "code",
        """import matplotlib.pyplot as plt

results = [shrunk(0.6), small, shrunk(0.1)]
figure, axis = plt.subplots(figsize=(5, 3))
for name, marker in {"original": "s", "uniform": "o", "found": "*"}.items():
    points = [point for result in results for point in result.points if point["role"] == name]
    axis.plot([point["params"] for point in points], [point["val_acc"] for point in points], marker, label=name)
axis.set(xlabel="parameters", ylabel="accuracy", xscale="log")
axis.legend()
figure""",
    ),
    (
        "markdown",
        """What is left is an ordinary module with its weights. It goes into a folder, from which
`nasplug_reduction.load` makes it again, and into ONNX, which is compared with it in onnxruntime.""",
    ),
    (
        "code",
        """small.write("small")
small.onnx("small.onnx")
small.network""",
    ),
]

#: Cells of every notebook, by name of its file.
NOTEBOOKS = {"search_in_a_notebook": SEARCH, "shrink_in_a_notebook": SHRINK}


def execute(given: list[tuple[str, str]]) -> dict[str, object]:
    """Runs all cells and returns the notebook."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    cells = []
    count = 0
    for index, (kind, source) in enumerate(given):
        cell: dict[str, object] = {"cell_type": kind, "id": f"cell-{index}", "metadata": {}, "source": source}
        if kind == "code":
            count += 1
            cell |= {"execution_count": count, "outputs": _outputs(source, namespace, count)}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _outputs(source: str, namespace: dict[str, object], count: int) -> list[dict[str, object]]:
    tree = ast.parse(source)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):  # its value is what the cell shows
        tree.body[-1] = ast.copy_location(ast.Assign([ast.Name("_", ast.Store())], last.value), last)
        ast.fix_missing_locations(tree)
    namespace["_"] = None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), namespace)  # the cells of this file, and nothing else
    value = namespace["_"]
    found: list[dict[str, object]] = []
    if printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue()})
    if value is not None:
        data = {"text/plain": repr(value)}
        shown = value._repr_html_() if hasattr(value, "_repr_html_") else None
        if shown is not None:
            data["text/html"] = shown
        if hasattr(value, "savefig"):
            picture = io.BytesIO()
            value.savefig(picture, format="png", dpi=80, bbox_inches="tight", metadata={"Software": None})
            data["image/png"] = base64.b64encode(picture.getvalue()).decode()
        found.append({"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}})
    return found


def main(names: list[str]) -> None:
    """Writes notebooks beside this file."""
    for name in names or list(NOTEBOOKS):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            made = execute(NOTEBOOKS[name])
        target = FOLDER / f"{name}.ipynb"
        target.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        print(target.name)


if __name__ == "__main__":
    main(sys.argv[1:])
