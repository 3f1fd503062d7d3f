"""arch2vec and info-NAS on NAS-Bench-101: reconstruction, generation, and what embeddings know of accuracies.

1. arch2vec is pretrained on 90 % of the 423,624 cells, which takes about a quarter of an hour of one CPU core, or read
   from `--encoder`.
2. Cells are trained on Fashion-MNIST, halved to 14 x 14 pixels, in small networks (one cell per stack, 8 channels), and
   run on held-out images: the labels of info-NAS. This is far less than the published 608 cells in full-sized networks
   on CIFAR-10. Kept in `--work`.
3. info-NAS goes on from the arch2vec encoder with these labels, on a part of the cells; so does a reference that sees
   the same batches without labels. Published is a joint training from nothing.
4. Regressors learn the mean test accuracy (CIFAR-10, 108 epochs) of n random cells from each embedding, and predict
   others: all of them, and those above 0.8 alone, as published. Labelled cells are in neither part.

Without `--images` steps 2 and 3 are left out.

Run: python benchmarks/infonas_embedding.py TABLE --images fashion_mnist_12k.npz --encoder enc.safetensors
"""

from __future__ import annotations

import argparse
import inspect
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _record import record
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import EncodedGraphs, Encoding
from nasplug_infonas.generation import acceptor, quality
from nasplug_infonas.iodata import IOData
from nasplug_infonas.models.regressor import RegressorSettings
from nasplug_infonas.models.vae import VAESettings
from nasplug_infonas.predictor import agreement
from nasplug_infonas.pretrain import PretrainSettings, graphs_of, pretrain
from nasplug_infonas.regressors import make_regressor, normal_scores
from nasplug_infonas.semisupervised import InfoNASSettings, train_infonas
from nasplug_tables import TabularBenchmark
from nasplug_tables.spaces.nasbench101 import NASBench101

import nasplug as nas
from nasplug.data import Npz, Split

SPACE = NASBench101()
ENCODING = Encoding.of_space(SPACE)
#: Larger batches than the published 32 cost less than half per cell; the weight of the divergence is that of 32.
PRETRAINING = PretrainSettings(epochs=8, batch_size=128, lr=3e-3, beta=1 / 224, schedule="cosine")
#: Then the decoder sees all of the codes, which edges need.
FINISH = replace(PRETRAINING, epochs=1, lr=1e-3)


def encoder(arguments: argparse.Namespace, graphs: EncodedGraphs) -> Embedder:
    """The pretrained arch2vec encoder."""
    if arguments.encoder.is_file():
        return Embedder.load(arguments.encoder)
    first = pretrain(graphs, ENCODING, settings=PRETRAINING)
    found = pretrain(graphs, ENCODING, settings=FINISH, sizes=VAESettings(dropout=0.0), start=first)
    found.save(arguments.encoder)
    return found


def halved(source: Path, target: Path) -> Path:
    """Images of half the height and width, by the mean of 2 x 2 pixels."""
    if not target.is_file():
        with np.load(source, allow_pickle=False) as file:
            arrays = {key: file[key] for key in ("x_train", "y_train", "x_test", "y_test")}
        for key in ("x_train", "x_test"):
            x = arrays[key].reshape(len(arrays[key]), 14, 2, 14, 2).mean(axis=(2, 4))
            arrays[key] = np.round(x).astype(np.uint8)
        np.savez_compressed(target, **arrays)
    return target


def labels(arguments: argparse.Namespace) -> tuple[IOData, dict[str, Any]]:
    """Trained cells on held-out images, and how they were trained."""
    kept = arguments.work / "networks.npz"
    settings = {"limit": 1600, "val_fraction": 0.25, "batch_size": 64, "lr": 5e-3}
    network = {"channels": 8, "cells": 1}
    facts = {"task": settings, "network": network, "epochs": arguments.label_epochs, "images": "14 x 14, Fashion-MNIST"}
    if not kept.is_file():
        source = Npz(str(halved(arguments.images, arguments.work / "fashion14.npz")))
        study = nas.search(
            nas.ImageClassification(
                source,
                settings["batch_size"],
                settings["limit"],
                split=Split(val_fraction=settings["val_fraction"]),
                training=nas.Training(lr=settings["lr"]),
            ),
            space=NASBench101(**network),
            strategy="random",
            trials=arguments.networks,
            epochs=arguments.label_epochs,
            storage=arguments.work / "labels.sqlite",
            progress=False,
        )
        IOData.from_study(study, 400).save(kept)
    data = IOData.load(kept)
    scores = [network.score for network in data.networks]
    accuracies = {"lowest": min(scores), "median": statistics.median(scores), "highest": max(scores)}
    return data, {**facts, "networks": len(scores), "held_out_images": len(data.images), "val_acc": accuracies}


def taught(
    arguments: argparse.Namespace, start: Embedder, data: IOData, graphs: EncodedGraphs, weight: float
) -> Embedder:
    """info-NAS from the pretrained encoder, or with weight 0 its reference."""
    kept = arguments.work / f"infonas-{weight:g}.safetensors"
    if kept.is_file():
        return Embedder.load(kept)
    settings = InfoNASSettings(
        epochs=arguments.epochs, weight=weight, beta=1 / 224, regressor=RegressorSettings(width=8, dense=128)
    )
    seen = slice(arguments.pairs)
    networks = tuple(replace(network, features=network.features[seen]) for network in data.networks)
    few = IOData(data.space, data.images[seen], data.labels[seen], networks)
    found = train_infonas(graphs[: arguments.cells], ENCODING, few, SPACE, settings=settings, start=start)
    found.save(kept)
    return found


def prediction(
    embeddings: dict[str, np.ndarray], accuracy: np.ndarray, sizes: list[int], repeats: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Agreement of predictions with accuracies, by regressor, embedding and number of labels; means over repeats."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for regressor in ("forest", "gp"):
        found[regressor] = {}
        for name, vectors in embeddings.items():
            found[regressor][name] = {}
            for size in sizes:
                if regressor == "gp" and size > 250:
                    continue  # cubic, and the question is about few labels
                runs = [_one(regressor, vectors, accuracy, size, seed) for seed in range(repeats)]
                found[regressor][name][str(size)] = {
                    key: {
                        "mean": round(statistics.mean(run[key] for run in runs), 4),
                        "sd": round(statistics.stdev(run[key] for run in runs), 4) if repeats > 1 else None,
                    }
                    for key in runs[0]
                }
            print(
                regressor, name, {n: v["all_spearman"]["mean"] for n, v in found[regressor][name].items()}, flush=True
            )
    return found


def _one(regressor: str, vectors: np.ndarray, accuracy: np.ndarray, size: int, seed: int) -> dict[str, float]:
    order = np.random.default_rng(seed).permutation(len(accuracy))  # the same cells for every embedding
    train, test = order[:size], order[size:]
    # The process learns ranks, and predicts ranks: its Pearson correlation is not one of accuracies.
    model = make_regressor(regressor, seed, ranks=regressor == "gp").fit(vectors[train], accuracy[train])
    predicted = model.predict(vectors[test]).mean
    good = accuracy[test] > 0.8
    whole, part = agreement(predicted, accuracy[test]), agreement(predicted[good], accuracy[test][good])
    keys = ("spearman", "kendall") if regressor == "gp" else ("pearson", "spearman", "kendall", "rmse")
    return {f"all_{key}": whole[key] for key in keys} | {f"above_80_{key}": part[key] for key in keys}


def kernel_prediction(graphs: list[nas.Graph], accuracy: np.ndarray, sizes: list[int], repeats: int) -> dict[str, Any]:
    """The same question to the graph kernels of nasplug-bogk, with its own defaults."""
    from nasplug_bogk.fitting import fit
    from nasplug_bogk.kernels import make_kernel
    from nasplug_bogk.strategy import BayesianOptimisation

    name = inspect.signature(BayesianOptimisation).parameters["kernel"].default
    found: dict[str, Any] = {"kernel": name}
    for size in sizes:
        if size > 250:
            continue
        runs = []
        for seed in range(repeats):
            order = np.random.default_rng(seed).permutation(len(accuracy))
            train, test = order[:size], order[size:]
            process = fit(make_kernel(name), [graphs[i] for i in train], normal_scores(accuracy[train]))
            predicted = process.mean([graphs[i] for i in test])
            good = accuracy[test] > 0.8
            whole, part = agreement(predicted, accuracy[test]), agreement(predicted[good], accuracy[test][good])
            keys = ("spearman", "kendall")
            runs.append({f"all_{k}": whole[k] for k in keys} | {f"above_80_{k}": part[k] for k in keys})
        found[str(size)] = {key: round(statistics.mean(run[key] for run in runs), 4) for key in runs[0]}
        print("bogk", size, found[str(size)], flush=True)
    return found


def one_hot(graphs: EncodedGraphs) -> np.ndarray:
    """The encoding itself, for comparison: operations one-hot and the upper triangle."""
    rows, columns = np.triu_indices(ENCODING.nodes, 1)
    operations = np.eye(len(ENCODING.labels) + 1, dtype=np.float32)[graphs.operations][:, :, :-1]
    return np.concatenate([operations.reshape(len(graphs), -1), graphs.adjacency[:, rows, columns]], axis=1)


def speed(graphs: EncodedGraphs) -> dict[str, float]:
    """CPU milliseconds per training step, by batch size."""
    found = {}
    for batch in (32, 128, 256):
        steps = 100
        settings = PretrainSettings(epochs=1, batch_size=batch, max_steps=steps, val_fraction=0.0)
        part = graphs[: batch * (steps + 1)]
        pretrain(part[: 4 * batch], ENCODING, settings=settings)
        started = time.process_time()
        pretrain(part, ENCODING, settings=settings)
        found[str(batch)] = round(1000 * (time.process_time() - started) / steps, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument(
        "--images", type=Path, help="npz with x_train, y_train, x_test, y_test, 28 x 28; none: arch2vec alone"
    )
    parser.add_argument("--encoder", type=Path, default=Path("runs/infonas_embedding/arch2vec.safetensors"))
    parser.add_argument("--networks", type=int, default=120, help="cells to train")
    parser.add_argument("--label-epochs", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=100, help="images per trained cell that info-NAS sees")
    parser.add_argument("--cells", type=int, default=40_000, help="unlabelled cells that info-NAS sees")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of info-NAS")
    parser.add_argument("--samples", type=int, default=10_000, help="codes to decode")
    parser.add_argument("--test", type=int, default=5000, help="cells to predict")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 250, 1000])
    parser.add_argument("--labels-only", action="store_true", help="stop when cells are trained")
    parser.add_argument("--work", type=Path, default=Path("runs/infonas_embedding"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    labelled = labels(arguments) if arguments.images else None
    if arguments.labels_only:
        return
    graphs = graphs_of(SPACE, ENCODING)
    arch2vec = encoder(arguments, graphs)
    drawn = quality(arch2vec, acceptor(SPACE), arguments.samples)
    print(arch2vec.facts["metrics"], drawn, flush=True)
    shuffled = graphs[np.random.default_rng(0).permutation(len(graphs))]
    taught_ones = {}
    if labelled is not None:
        taught_ones = {
            name: taught(arguments, arch2vec, labelled[0], shuffled, weight)
            for name, weight in (("reference", 0.0), ("infonas", 1.0))
        }

    benchmark = TabularBenchmark(arguments.table)
    known = set() if labelled is None else {item.key for item in labelled[0].architectures(SPACE)}
    rng = np.random.default_rng(1)
    rows = rng.choice(len(benchmark.table), arguments.test + max(arguments.sizes) + len(known), replace=False)
    cells = [benchmark.architecture(int(row)) for row in rows]
    chosen = [place for place, cell in enumerate(cells) if cell.key not in known]
    some = ENCODING.encode_space(SPACE, [cells[place] for place in chosen])
    accuracy = benchmark.values("test_acc")[rows[chosen]]
    embeddings = {
        "one_hot": one_hot(some),
        "arch2vec_mean": arch2vec.embed_encoded(some, "mean"),
        "arch2vec_codes": arch2vec.embed_encoded(some, "codes"),
    }
    for name, embedder in taught_ones.items():
        # The dense layer belongs to the regressor, which nothing teaches in the reference.
        for kind in ("mean", "codes") if name == "reference" else ("mean", "dense", "codes"):
            embeddings[f"{name}_{kind}"] = embedder.embed_encoded(some, kind)
    result = {
        "table": f"{arguments.table.name}: mean test accuracy of NAS-Bench-101, 108 epochs",
        "arch2vec": {"training": arch2vec.facts, "drawn": {"samples": arguments.samples, **drawn}},
        "seeds": list(range(arguments.repeats)),
        "cpu_ms_per_step": speed(graphs),
        "labels": None if labelled is None else labelled[1],
        "semisupervised": {
            name: {key: value for key, value in embedder.facts.items() if key != "started_from"}
            for name, embedder in taught_ones.items()
        },
        "prediction": {
            "cells": len(some),
            "repeats": arguments.repeats,
            "bogk": kernel_prediction(list(ENCODING.decode(some)), accuracy, arguments.sizes, arguments.repeats),
            "agreement": prediction(embeddings, accuracy, arguments.sizes, arguments.repeats),
        },
    }
    record(
        "infonas_embedding",
        result,
        packages=("scipy", "scikit-learn"),
        **({} if arguments.out is None else {"folder": arguments.out}),
    )


if __name__ == "__main__":
    main()
