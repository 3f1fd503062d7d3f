"""Enhanced Q-NAS beside ResNet-18, VGG-11 and GoogLeNet on slices of chest CT, all trained alike from scratch.

Slices of one source (a paper or a case) stay in one part, as the archive divides them; `check_sources` refuses others.
A search sees training and validation slices; its best network is trained anew, with every network by the same task, and
tested once for each seed: balanced accuracy and AUC, and the difference of the found network to each peer with the same
seed, with intervals of Student's t over seeds. Peers may start from weights in a file (`--weights NAME=FILE`), which
the record names. What is finished is kept in `--work`; `--minutes` starts nothing after that time.

    uv run python benchmarks/covid_ct.py --data ../shared/data/covid_ct/covid_ct.npz --scale tiny
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _inference import interval
from _record import record

import nasplug as nas


@dataclass(frozen=True)
class Scale:
    """Sizes of a run: side of the slices, slices per part (None takes all), and what trainings may use.

    `width` is a factor on the filters of all functions. With the published `prior`, two thirds of the genes are
    pools or nothing, so that a short search finds tiny networks.
    """

    side: int
    limit: int | None
    trials: int
    epochs: int
    final_epochs: int
    seeds: int
    nodes: int
    width: float
    prior: str = "published"


SCALES = {
    "tiny": Scale(32, 60, 4, 1, 2, 1, 6, 0.125),  # for busy cores: it shows that every arm runs, and decides nothing
    "brief": Scale(32, None, 10, 2, 8, 4, 8, 0.25, "uniform"),  # for a share of one core
    "short": Scale(48, None, 12, 3, 12, 2, 8, 0.25),  # for one core and half an hour
    "small": Scale(64, None, 40, 5, 30, 3, 10, 0.5),
    "full": Scale(96, None, 300, 20, 100, 5, 20, 1.0),
}
#: Peer by name: the network of timm or torchvision, as it comes. The first layer of 4,096 units of timm's VGG is a
#: convolution, which takes a processor five times as long as the product that it is.
PEERS = {"resnet18": "timm", "googlenet": "torchvision", "vgg11_bn": "torchvision", "vgg11_bn_gentle": "torchvision"}
#: Factor on the learning rate, where that of all others does not teach a network anything.
GENTLE = {"vgg11_bn_gentle": 0.1}
#: The network of the search, and those that take as long as all others together.
FOUND, LAST = "enhanced_qnas", ("vgg11_bn", "vgg11_bn_gentle")


def check_sources(split: np.ndarray, group: np.ndarray, y: np.ndarray) -> None:
    """Refuses slices of one source in two parts. A group is numbered within its class."""
    for label in np.unique(y):
        for source in np.unique(group[y == label]):
            parts = np.unique(split[(y == label) & (group == source)])
            if len(parts) > 1:
                raise SystemExit(f"source {source} of class {label} is in parts {parts.tolist()}")


def parts_of(path: Path, scale: Scale) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images (N, 1, H, W) from 0 to 1 and labels (N,) of each part."""
    import torch

    with np.load(path) as file:
        x, y, split, group = (file[name] for name in ("x", "y", "split", "group"))
    check_sources(split, group, y)
    images = torch.from_numpy(x.astype(np.float32) / 255)[:, None]
    images = torch.nn.functional.interpolate(images, size=(scale.side, scale.side), mode="area").numpy()
    found = {}
    for index, name in enumerate(("train", "val", "test")):
        where = np.flatnonzero(split == index)
        if scale.limit is not None:
            where = np.random.default_rng(0).permutation(where)[: scale.limit]
        found[name] = images[where], y[where].astype(np.int64)
    return found


def archive(parts: dict, work: Path) -> Path:
    """The parts as an archive that the source `npz` reads; the search never opens the test."""
    path = work / "covid_ct.npz"
    arrays = {}
    for name, (x, y) in parts.items():
        arrays |= {f"x_{name}": np.rint(255 * x[:, 0]).astype(np.uint8), f"y_{name}": y}
    np.savez(path, **arrays)
    return path


def peer(name: str, weights: Path | None):
    """An untrained network for grey slices and two classes, or one with weights of a file where they fit."""
    import torch
    from torch import nn

    if PEERS[name] == "timm":
        import timm

        network = timm.create_model(name, num_classes=2, in_chans=1)
    else:
        import torchvision

        if name == "googlenet":
            network = torchvision.models.googlenet(weights=None, num_classes=2, aux_logits=False, init_weights=True)
            network.conv1.conv = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        else:
            network = torchvision.models.vgg11_bn(weights=None, num_classes=2)
            network.features[0] = nn.Conv2d(1, 64, 3, padding=1)
            nn.init.kaiming_normal_(network.features[0].weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(network.features[0].bias)
    if weights is not None:
        given = torch.load(weights, weights_only=True)
        own = network.state_dict()
        fitting = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
        network.load_state_dict({**own, **fitting})
    return network


def scores(network, x: np.ndarray, y: np.ndarray, device: str = "cpu") -> dict[str, float]:
    """Balanced accuracy and AUC."""
    import torch
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    network.eval()
    with torch.inference_mode():
        parts = torch.from_numpy(x).to(device).split(64)
        answers = torch.cat([network(part).softmax(1)[:, 1] for part in parts]).cpu().numpy()
    return {
        "balanced_accuracy": float(balanced_accuracy_score(y, answers > 0.5)),
        "auc": float(roc_auc_score(y, answers)),
    }


def train(network, parts: dict, scale: Scale, seed: int, device: str = "cpu", rate: float = 1.0) -> None:
    """The training of all networks: AdamW, one cycle, flips and shifts of an eighth of the side.

    Args:
        network: Network to train.
        parts: Images and labels of each part.
        scale: Sizes of the run.
        seed: Order, flips and shifts of the images.
        device: Device of the network.
        rate: Factor on the learning rate.
    """
    import torch

    x, y = (torch.from_numpy(each).to(device) for each in parts["train"])
    rng = torch.Generator().manual_seed(seed)
    steps = scale.final_epochs * -(-len(x) // 32)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3 * rate, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3 * rate, total_steps=steps)
    for _ in range(scale.final_epochs):
        network.train()
        order = torch.randperm(len(x), generator=rng)
        for batch in order.split(32):
            batch = batch.to(device)
            images = x[batch]
            if torch.rand((), generator=rng) < 0.5:
                images = images.flip(-1)
            far = scale.side // 8
            shift = torch.randint(-far, far + 1, (2,), generator=rng).tolist()
            images = torch.roll(images, shift, (-2, -1))
            optimizer.zero_grad()
            if len(batch) > 1:
                torch.nn.functional.cross_entropy(network(images), y[batch]).backward()
                optimizer.step()
            schedule.step()


def found(parts: dict, scale: Scale, seed: int, work: Path, device: str = "cpu"):
    """Builds the best network of a search by Enhanced Q-NAS; says what the search cost in seconds."""
    started = time.perf_counter()
    study = nas.search(
        nas.component(
            "qnas.classification",
            data=nas.component("npz", path=str(archive(parts, work))),
            training={"schedule": "cyclic"},
        ),
        space=nas.component("qnas.conv", nodes=scale.nodes, width=scale.width, prior=scale.prior),
        strategy=nas.component("qnas", preset="strong", evolution={"quantum_individuals": max(2, scale.trials // 4)}),
        trials=scale.trials,
        epochs=scale.epochs,
        seed=seed,
        storage=work / f"qnas-{seed}.sqlite",
        device=device,
        progress=False,
    )
    return study.space.build(study.best.architecture, study.task), time.perf_counter() - started


def one(
    name: str, parts: dict, scale: Scale, seed: int, work: Path, weights: Path | None = None, device: str = "cpu"
) -> dict[str, float]:
    """One network, found or of the peers, trained and tested; or what is kept of it."""
    import torch

    kept = work / f"{name}-{seed}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    torch.manual_seed(seed)
    network, seconds = found(parts, scale, seed, work, device) if name == FOUND else (peer(name, weights), 0.0)
    if name in LAST:  # another order of the same numbers in memory, which is faster on a processor
        network = network.to(memory_format=torch.channels_last)
    train(network.to(device), parts, scale, seed, device, GENTLE.get(name, 1.0))
    parameters = sum(each.numel() for each in network.parameters())
    said = {"params": parameters, "search_seconds": seconds, **scores(network, *parts["test"], device)}
    kept.write_text(json.dumps(said))
    return said


def table(runs: dict[str, dict[int, dict[str, float]]]) -> dict[str, dict]:
    """Means over seeds by network, and differences of the found one to each peer over the seeds that both have.

    Args:
        runs: Scores by network and seed.
    """
    result: dict[str, dict] = {}
    for name, by_seed in runs.items():
        if not by_seed:
            continue
        result[name] = {
            "params": float(np.mean([run["params"] for run in by_seed.values()])),
            "seeds": sorted(by_seed),
            **{key: interval([run[key] for run in by_seed.values()]) for key in ("balanced_accuracy", "auc")},
        }
        both = sorted(set(by_seed) & set(runs.get(FOUND, {})))
        if name != FOUND and both:
            result[name]["found_over_this"] = {
                key: interval([runs[FOUND][seed][key] - by_seed[seed][key] for seed in both])
                for key in ("balanced_accuracy", "auc")
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="covid_ct.npz")
    parser.add_argument("--scale", choices=SCALES, default="tiny")
    parser.add_argument("--weights", nargs="*", default=[], metavar="NAME=FILE", help="weights of a peer")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--seeds", type=int, help="number of seeds; the scale's if left out")
    parser.add_argument("--work", type=Path, default=Path("runs/covid_ct"))
    parser.add_argument("--minutes", type=float, default=1e6, help="time after which nothing is started")
    arguments = parser.parse_args()
    scale = SCALES[arguments.scale]
    weights = {name: Path(file) for name, _, file in (each.partition("=") for each in arguments.weights)}
    work = (arguments.work / arguments.scale).resolve()
    work.mkdir(parents=True, exist_ok=True)
    parts = parts_of(arguments.data, scale)
    seeds = list(range(arguments.seeds or scale.seeds))
    names = (FOUND, *arguments.peers)
    runs: dict[str, dict[int, dict[str, float]]] = {name: {} for name in names}
    until = time.monotonic() + 60 * arguments.minutes
    for name, seed in sorted(itertools.product(names, seeds), key=lambda each: (each[0] in LAST, each[1])):
        if (work / f"{name}-{seed}.json").is_file() or time.monotonic() < until:
            runs[name][seed] = one(name, parts, scale, seed, work, weights.get(name))
            print(seed, name, runs[name][seed], flush=True)
    result = table(runs)
    missing = [f"{name}, seed {seed}" for name in (FOUND, *PEERS) for seed in seeds if seed not in runs.get(name, {})]
    facts = {
        "seeds": seeds,
        "scale": arguments.scale,
        "settings": asdict(scale),
        "images": {name: len(y) for name, (_, y) in parts.items()},
        "weights": {name: file.name for name, file in weights.items()},
        "not_run": [
            *missing,
            *[f"seed {each}" for each in range(len(seeds), scale.seeds)],
            *[f"scale {each}" for each in SCALES if each != arguments.scale],
        ],
    }
    print(record("covid_ct", {**facts, "results": result, "runs": runs}))


if __name__ == "__main__":
    main()
