"""Writes and executes `search_in_a_notebook.ipynb`; needs no Jupyter: `python examples/make_notebook.py`.

Cells run one after the other in one namespace, as in a kernel; what they print and what their last line shows is kept.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
from pathlib import Path

TARGET = Path(__file__).with_name("search_in_a_notebook.ipynb")

CELLS = [
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


def execute() -> dict[str, object]:
    """Runs all cells and returns the notebook."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    cells = []
    count = 0
    for index, (kind, source) in enumerate(CELLS):
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
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_()
        found.append({"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}})
    return found


if __name__ == "__main__":
    TARGET.write_text(json.dumps(execute(), indent=1) + "\n", encoding="utf-8")
    print(TARGET)
