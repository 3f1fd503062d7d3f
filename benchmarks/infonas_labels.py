"""info-NAS with the labels of 608 networks: does an embedding learn from them what networks it has not seen will do?

(a) Labels that need no training here: the accuracy of 608 cells of NAS-Bench-201 after 12 epochs, out of the table; the
    variant of info-NAS whose regressor predicts the accuracy. What is predicted is the accuracy after 200 epochs of
    other cells.
(b) Labels of info-NAS itself: 608 cells trained on images and what they compute on held-out ones. With `--images FILE`
    cells in small networks are trained shortly on small images, which takes an hour of a CPU; with `--networks FILE`
    labels come from elsewhere, as `nasplug infonas label` writes them. Long trainings are in the campaign of
    `campaign.py`.

Arms that differ in one thing each, from one pretrained encoder and with the same batches:

* `labels`: the labels; `shuffled`: the same ones, given to other cells; `projection`: a fixed random projection of the
  cell's own encoding in their place, a target that is as easy to learn and knows nothing of accuracies;
* `zero`: the weight of the labels is 0, so that nothing teaches the dense layer and the codes see no label.

A forest then learns the final accuracy from n other cells, from the `dense` embedding and from the codes; all arms and
the plain encoding see the same cells. Differences are paired by draw. The last row, `direct`, is a forest that learns
the labels themselves from the plain encoding: what the 608 labels are worth without info-NAS.

Runs that are done are kept in `--work` and not made again.

Run: python benchmarks/infonas_labels.py --table cifar10.parquet   (and, for (b), --images cifar10_jpeg.npz)
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _continual import Part
from _inference import interval
from _record import record
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import EncodedGraphs, Encoding
from nasplug_infonas.iodata import IOData
from nasplug_infonas.models.regressor import RegressorSettings
from nasplug_infonas.predictor import agreement
from nasplug_infonas.pretrain import PretrainSettings, graphs_of, pretrain
from nasplug_infonas.regressors import make_regressor
from nasplug_infonas.semisupervised import InfoNASSettings, train_accuracy, train_infonas
from nasplug_tables import TabularBenchmark
from nasplug_tables.spaces.nasbench201 import NASBench201

import nasplug as nas
import nasplug.data

SPACE = NASBench201()
ENCODING = Encoding.of_space(SPACE)
ARMS = ("labels", "shuffled", "projection", "zero")


def encoder(arguments: argparse.Namespace, graphs: EncodedGraphs) -> Embedder:
    """The encoder that all arms begin with."""
    kept = arguments.work / "arch2vec.safetensors"
    if not kept.is_file():
        settings = PretrainSettings(
            epochs=arguments.pretrain_epochs, batch_size=128, lr=3e-3, beta=1 / 256, schedule="cosine"
        )
        pretrain(graphs, ENCODING, settings=settings).save(kept)
    return Embedder.load(kept)


def one_hot(graphs: EncodedGraphs) -> np.ndarray:
    """The plain encoding: operations one-hot and the upper triangle."""
    rows, columns = np.triu_indices(ENCODING.nodes, 1)
    operations = np.eye(len(ENCODING.labels) + 1, dtype=np.float32)[graphs.operations][:, :, :-1]
    return np.concatenate([operations.reshape(len(graphs), -1), graphs.adjacency[:, rows, columns]], axis=1)


def trained(arguments: argparse.Namespace) -> Path:
    """Cells in small networks, trained on images of 16 x 16 pixels, and what they compute on held-out ones.

    All are trained in one study, which goes on where it was ended.
    """
    kept: Path = arguments.work / "networks.npz"
    if not kept.is_file():
        epochs = arguments.label_epochs
        count = arguments.label_images + arguments.label_validation
        task = nas.ImageClassification(
            data=Part(str(arguments.images), count, None, halved=True),
            batch_size=32,
            split=nasplug.data.Split(val_fraction=arguments.label_validation / count),
            training=nas.Training(optimizer="adamw", lr=5e-3, schedule="cosine"),
        )
        study = nas.search(
            task,
            space=nas.component("nasbench201", channels=8, cells=1),
            strategy="random",
            evaluator=nas.component("lightning", score="last", trainer={"check_val_every_n_epoch": epochs}),
            trials=arguments.labelled,
            epochs=epochs,
            storage=arguments.work / "labels.sqlite",
            progress=False,
        )
        IOData.from_study(study, arguments.label_held_out).save(kept)
    return kept


def values_of(arm: str, accuracy: np.ndarray, labelled: EncodedGraphs, seed: int) -> np.ndarray:
    """Targets of an arm, in [0, 1]."""
    rng = np.random.default_rng([seed, 7])
    if arm == "shuffled":
        return rng.permutation(accuracy)
    if arm == "projection":
        projected = one_hot(labelled) @ rng.standard_normal(one_hot(labelled[:1]).shape[1])
        spread = (projected - projected.mean()) / projected.std()
        return np.clip(accuracy.mean() + accuracy.std() * spread, 0.0, 1.0)
    return accuracy


def taught(
    arguments: argparse.Namespace, start: Embedder, graphs: EncodedGraphs, labels: Any, arm: str, seed: int
) -> Embedder:
    """The encoder of an arm."""
    kept = arguments.work / f"{arm}-{seed}.safetensors"
    if kept.is_file():
        return Embedder.load(kept)
    settings = InfoNASSettings(
        epochs=arguments.epochs,
        batch_size=arguments.batch,
        lr=arguments.lr,
        weight=0.0 if arm == "zero" else 1.0,
        beta=1 / 256,
        seed=seed,
        regressor=RegressorSettings(width=8, dense=128),
    )
    few = graphs[np.random.default_rng(seed).permutation(len(graphs))[: arguments.unlabelled]]
    if isinstance(labels, IOData):
        data = relabelled(labels, arm, seed)
        found = train_infonas(few, ENCODING, data, SPACE, settings=settings, start=start)
    else:
        labelled, accuracy = labels
        values = values_of(arm, accuracy, labelled, seed)
        found = train_accuracy(few, ENCODING, labelled, values, settings=settings, start=start)
    found.save(kept)
    return found


def relabelled(data: IOData, arm: str, seed: int) -> IOData:
    """What networks compute, as an arm has it."""
    rng = np.random.default_rng([seed, 7])
    networks = list(data.networks)
    if arm == "shuffled":
        order = rng.permutation(len(networks))
        networks = [replace(networks[int(i)], genotype=one.genotype) for i, one in zip(order, networks, strict=True)]
    if arm == "projection":
        codes = one_hot(ENCODING.encode_space(SPACE, data.architectures(SPACE)))
        size = networks[0].features.shape[1]
        projected = codes @ rng.standard_normal((codes.shape[1], size)) / codes.shape[1] ** 0.5
        networks = [
            replace(one, features=np.abs(np.broadcast_to(row, one.features.shape)).astype(np.float32))
            for one, row in zip(networks, projected, strict=True)
        ]
    return replace(data, networks=tuple(networks))


def forest(vectors: np.ndarray, target: np.ndarray, size: int, seed: int) -> float:
    """Spearman correlation of a forest's predictions for all cells but those it learns from."""
    order = np.random.default_rng(seed).permutation(len(target))
    train, test = order[:size], order[size:]
    model = make_regressor("forest", seed, ranks=False).fit(vectors[train], target[train])
    return agreement(model.predict(vectors[test]).mean, target[test])["spearman"]


class Bench:
    """Cells, labels and what is predicted; the same for all arms.

    Args:
        arguments: See the options of the script.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        arguments.work.mkdir(parents=True, exist_ok=True)
        self.graphs = graphs_of(SPACE, ENCODING)
        self.start = encoder(arguments, self.graphs)
        benchmark = TabularBenchmark(arguments.table)
        target = benchmark.values("test_acc")
        rows = np.random.default_rng(5).permutation(len(benchmark.table))
        rows = rows[np.isfinite(target[rows])]
        networks = trained(arguments) if getattr(arguments, "images", None) else arguments.networks
        self.computed = networks is not None
        if self.computed:
            self.labels: Any = IOData.load(networks)
            known = np.array([benchmark.row(item) for item in self.labels.architectures(SPACE)])
            self.scores = np.array([network.score for network in self.labels.networks])
        else:
            short = benchmark.values("val_acc", budget=arguments.label_epochs)
            short = short / 100.0 if np.nanmax(short) > 1.0 else short
            rows = rows[np.isfinite(short[rows])]
            known = rows[: arguments.labelled]
            self.scores = short[known]
            labelled = ENCODING.encode_space(SPACE, [benchmark.architecture(int(row)) for row in known])
            self.labels = labelled, self.scores
        chosen = rows[~np.isin(rows, known)][: arguments.cells]
        self.some = ENCODING.encode_space(SPACE, [benchmark.architecture(int(row)) for row in chosen])
        self.target, self.final = target[chosen], target[known]

    def facts(self) -> dict[str, float]:
        """Number of labelled cells, how good they are, and how well that ranks them by their accuracies in the end."""
        return {
            "networks": len(self.scores),
            "lowest": float(self.scores.min()),
            "highest": float(self.scores.max()),
            "spearman": agreement(self.scores, self.final)["spearman"],
        }

    def run(self, seed: int) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
        """Correlations of one draw, by embedding and number of cells, and what the trainings say.

        Args:
            seed: Seed of the draw and of the trainings.
        """
        arguments, facts = self.arguments, {}
        kept = arguments.work / f"rows-{seed}.json"
        if kept.is_file():
            before = json.loads(kept.read_text())
            return before["rows"], before["facts"]
        vectors = {"one_hot": one_hot(self.some), "arch2vec_codes": self.start.embed_encoded(self.some, "codes")}
        for arm in ARMS:
            found = taught(arguments, self.start, self.graphs, self.labels, arm, seed)
            facts[arm] = {key: found.facts[key] for key in ("labelled_batches", "unlabelled_batches", "metrics")}
            vectors |= {f"{arm}_{kind}": found.embed_encoded(self.some, kind) for kind in ("dense", "codes")}
        rows = {
            name: {str(size): forest(each, self.target, size, seed) for size in arguments.sizes}
            for name, each in vectors.items()
        }
        if not self.computed:
            model = make_regressor("forest", seed, ranks=False).fit(one_hot(self.labels[0]), self.labels[1])
            direct = agreement(model.predict(one_hot(self.some)).mean, self.target)["spearman"]
            rows["direct"] = {str(size): direct for size in arguments.sizes}
        kept.write_text(json.dumps({"rows": rows, "facts": facts}))
        return rows, facts


def summary_of(runs: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Means over draws by embedding and number of cells, and the lead of the dense layer that labels have taught.

    Args:
        runs: Correlations of every draw, as `Bench.run` gives them.
    """
    sizes = list(runs[0]["one_hot"])
    return {
        "spearman": {name: {n: interval([run[name][n] for run in runs]) for n in sizes} for name in runs[0]},
        "differences": {
            f"labels_dense_over_{other}": {
                n: interval([run["labels_dense"][n] - run[other][n] for run in runs]) for n in sizes
            }
            for other in runs[0]
            if other != "labels_dense"
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="table of NAS-Bench-201 with accuracies by epochs")
    parser.add_argument("--networks", type=Path, help="file of labelled networks, for (b)")
    parser.add_argument("--images", type=Path, help="npz file of images, 32 x 32, to train cells on for (b)")
    parser.add_argument("--label-epochs", type=int, default=12, help="number of epochs behind the labels")
    parser.add_argument("--label-images", type=int, default=1600, help="number of training images, for (b)")
    parser.add_argument("--label-validation", type=int, default=400, help="number of validation images, for (b)")
    parser.add_argument("--label-held-out", type=int, default=100, help="number of images in labels, for (b)")
    parser.add_argument("--labelled", type=int, default=608, help="number of labelled cells")
    parser.add_argument("--pretrain-epochs", type=int, default=20)
    parser.add_argument("--unlabelled", type=int, default=704, help="number of unlabelled cells beside them")
    parser.add_argument("--epochs", type=int, default=80, help="number of epochs of an arm")
    parser.add_argument("--batch", type=int, default=32, help="number of networks in a batch of an arm")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate of an arm")
    parser.add_argument("--cells", type=int, default=4000, help="number of cells to learn from and to predict")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 100, 608])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("runs/infonas_labels"))
    parser.add_argument("--name", default="infonas_labels")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(arguments)
    print("reconstruction", bench.start.facts["metrics"], flush=True)
    runs: list[dict[str, dict[str, float]]] = []
    facts: dict[str, Any] = {}
    for seed in arguments.seeds:
        rows, facts = bench.run(seed)
        runs.append(rows)
        print(seed, json.dumps(rows), flush=True)
    result = {
        "settings": {key: value for key, value in vars(arguments).items() if not isinstance(value, Path)},
        "seeds": arguments.seeds,
        "reconstruction": bench.start.facts["metrics"],
        "arms": facts,
        "labels": bench.facts(),
        **summary_of(runs),
    }
    print(json.dumps(result["differences"], indent=1))
    if not arguments.dry:
        record(arguments.name, result, packages=("scipy", "scikit-learn"))


if __name__ == "__main__":
    main()
