"""`nasplug infonas`: trains encoders, embeds spaces, and labels networks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from nasplug.cli import output
from nasplug.cli.parser import natural, positive

if TYPE_CHECKING:
    from nasplug_infonas.embedder import Embedder


class InfonasCommand:
    """Train encoders of architectures (arch2vec, info-NAS), embed spaces with them, and label networks.

    Example:
      nasplug infonas pretrain --space nasbench101 --epochs 8 --out enc.safetensors
      nasplug infonas embed --space nasbench101 --encoder enc.safetensors --kind codes --out vectors.npz
      nasplug infonas label --study runs/random.sqlite --out networks.npz
      nasplug infonas train --space nasbench101 --networks networks.npz --start enc.safetensors --out info.safetensors
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the four commands and their options."""
        commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
        pretrain = commands.add_parser("pretrain", help="train arch2vec on the graphs of a space")
        train = commands.add_parser("train", help="train info-NAS on graphs and labelled networks")
        embed = commands.add_parser("embed", help="write the vectors of a whole space, for strategies")
        label = commands.add_parser("label", help="run the networks of a study on held-out images")
        for command in (pretrain, train, embed):
            command.add_argument("--space", required=True, help="name or YAML, as in a specification")
        for command in (pretrain, train):
            command.add_argument("--limit", type=positive, help="number of graphs; default: all of a finite space")
            command.add_argument("--epochs", type=positive, default=8 if command is pretrain else 10)
            command.add_argument("--batch-size", type=positive, default=32)
            command.add_argument("--lr", type=float, default=1e-3, help="learning rate; default 0.001")
            command.add_argument("--beta", type=float, help="weight of the divergence; default 1/(batch size x rows)")
            command.add_argument("--seed", type=natural, default=1)
            command.add_argument("--device", default="cpu", help="cpu, cuda or auto")
            command.add_argument("--threads", type=positive, default=1, help="torch threads; default 1")
        pretrain.add_argument(
            "--schedule", default="none", help="schedule of the learning rate: none, cosine or onecycle"
        )
        pretrain.add_argument(
            "--samples", type=natural, default=0, help="number of codes to decode, to count valid cells"
        )
        train.add_argument("--networks", required=True, metavar="FILE.npz", help="file from `nasplug infonas label`")
        train.add_argument("--start", metavar="FILE", help="encoder to begin with")
        train.add_argument("--error", default="mse", help="error of the regressor: mse or l1")
        train.add_argument("--top-k", type=natural, default=10, help="entries per target, 0 for all; default 10")
        train.add_argument("--width", type=positive, default=128, help="channels of the regressor; default 128")
        embed.add_argument("--encoder", required=True, metavar="FILE", help="encoder from pretrain or train")
        embed.add_argument("--kind", default="codes", help="codes, mean or dense; default codes")
        label.add_argument("--study", required=True, metavar="FILE", help="a study that trained and kept weights")
        label.add_argument("--images", type=positive, default=1000, help="validation images; default 1000")
        for command in (pretrain, train, embed, label):
            command.add_argument("--out", required=True, metavar="FILE", help="the file to write")
            command.add_argument("--json", action="store_true", help="print what was done as JSON")

    def run(self, arguments: argparse.Namespace) -> int:
        """Does one of them and prints what came of it."""
        facts: dict[str, Any] = {
            "pretrain": _pretrain,
            "train": _train,
            "embed": _embed,
            "label": _label,
        }[arguments.command](arguments)
        if arguments.json:
            output.print_json({"file": arguments.out, **facts})
            return 0
        print(f"wrote {arguments.out}")
        for name, value in facts.items():
            if isinstance(value, dict):
                for inner, number in value.items():
                    print(f"  {inner}: {number:.4f}" if isinstance(number, float) else f"  {inner}: {number}")
            elif value is not None:
                print(f"  {name}: {value}")
        return 0


def _space(arguments: argparse.Namespace) -> Any:
    import yaml

    from nasplug.cli.loading import find_plugins
    from nasplug.plugins.component import Component, instantiate

    parsed = Component.parse(yaml.safe_load(arguments.space), where="--space")
    return instantiate("space", parsed, find_plugins(arguments).catalog, where="--space")


def _pretrain(arguments: argparse.Namespace) -> dict[str, Any]:
    from nasplug_infonas.encoding import Encoding
    from nasplug_infonas.generation import acceptor, quality
    from nasplug_infonas.pretrain import PretrainSettings, graphs_of, pretrain

    space = _space(arguments)
    settings = PretrainSettings(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        beta=arguments.beta,
        schedule=arguments.schedule,
        seed=arguments.seed,
        device=arguments.device,
        threads=arguments.threads,
    )
    accept = acceptor(space) if arguments.samples else None  # refuses the space before the long part
    encoding = Encoding.of_space(space)
    embedder = pretrain(graphs_of(space, encoding, limit=arguments.limit), encoding, settings=settings)
    if accept is not None:
        embedder.facts["metrics"].update(quality(embedder, accept, arguments.samples))
    embedder.save(arguments.out)
    embedder.warn_if_poor("train it for more epochs, with a higher --lr or a --schedule")
    return embedder.facts


def _train(arguments: argparse.Namespace) -> dict[str, Any]:
    from nasplug_infonas.encoding import Encoding
    from nasplug_infonas.iodata import IOData
    from nasplug_infonas.models.regressor import RegressorSettings
    from nasplug_infonas.pretrain import graphs_of
    from nasplug_infonas.semisupervised import InfoNASSettings, train_infonas
    from nasplug_infonas.targets import TargetSettings

    space = _space(arguments)
    data = IOData.load(arguments.networks)
    start = _load(arguments.start) if arguments.start else None
    settings = InfoNASSettings(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        beta=arguments.beta,
        error=arguments.error,
        targets=TargetSettings(top_k=arguments.top_k or None),
        regressor=RegressorSettings(width=arguments.width),
        seed=arguments.seed,
        device=arguments.device,
        threads=arguments.threads,
    )
    encoding = Encoding.of_space(space) if start is None else start.encoding
    graphs = graphs_of(space, encoding, limit=arguments.limit)
    embedder = train_infonas(graphs, encoding, data, space, settings=settings, start=start)
    embedder.save(arguments.out)
    return {name: value for name, value in embedder.facts.items() if name not in ("settings", "started_from")}


def _embed(arguments: argparse.Namespace) -> dict[str, Any]:
    from nasplug_infonas.strategies.embedded import EmbeddedSpace, save_vectors

    space, embedder = _space(arguments), _load(arguments.encoder)
    cloud = EmbeddedSpace.of(space, embedder, arguments.kind)
    save_vectors(arguments.out, cloud, embedder, arguments.kind)
    return {"architectures": len(cloud), "numbers": cloud.vectors.shape[1]}


def _label(arguments: argparse.Namespace) -> dict[str, Any]:
    import nasplug
    from nasplug_infonas.iodata import IOData

    data = IOData.from_study(nasplug.load_study(arguments.study), arguments.images)
    data.save(arguments.out)
    return {"networks": len(data.networks), "images": len(data.images)}


def _load(path: str) -> Embedder:
    from nasplug_infonas.embedder import Embedder

    return Embedder.load(path)


command = InfonasCommand()
