"""Work that trains a network with many bits, measures how much fewer bits hurt each layer, and assigns bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.evaluate.telling import Telling
from nasplug.evaluate.weights import save_weights
from nasplug.run.seeding import undisturbed
from nasplug_darts_lp.layers.calibration import ready, settle
from nasplug_darts_lp.sensitivity import hessian, losses
from nasplug_darts_lp.sensitivity.assigning import limit_of, uniform, within
from nasplug_darts_lp.sensitivity.pricing import Pricer

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

    from nasplug.evaluate.workrun import WorkRun
    from nasplug_darts_lp.sensitivity.capability import HasPrecisions, Pair

#: File of the trained weights in the folder of the work.
FILE = "weights.safetensors"


def assign(
    run: WorkRun,
    cost: str,
    keep: float | None,
    most: float | None,
    measure: str,
    epochs: int,
    batches: int,
    count: int,
) -> dict[str, Json]:
    """Trains, measures and assigns.

    Args:
        run: The work.
        cost: Name of the limited cost.
        keep: Share of the cost of the network with the most bits; None where a number is given.
        most: Largest cost.
        measure: Kind of the sensitivities, `loss` or `hessian`.
        epochs: Epochs of the training before; 0 takes the model's own weights.
        batches: Number of training batches that sensitivities are measured on.
        count: Number of assignments.

    Returns:
        `genotypes` of the assignments, best first; `uniform`, the genotype of the same bits everywhere, or None;
        `limit`, and `costs` of the assignments; `harms` by layer.
    """
    space: Any = run.space  # its capability is checked before the search starts
    if run.task is None:
        raise SpecError("sensitivities are measured on a task", where="darts_lp.sensitivity", fix="add `task:`")
    pricer = Pricer(space, run.task, run.target, cost)
    limit = limit_of(pricer, space.precisions, space.assigned, keep, most)  # before anything is trained
    torch.set_num_threads(run.threads)
    found = _measured(run, space, measure, epochs, batches)
    chosen = within(pricer, space.precisions, space.assigned, found, limit, count)
    same = uniform(pricer, space.precisions, space.assigned, limit)
    networks = [space.assigned(bits) for bits in chosen]
    return {
        "genotypes": [cast("Json", network.genotype) for network in networks],
        "costs": [pricer(network) for network in networks],
        "uniform": None if same is None else space.assigned(same).genotype,
        "limit": limit,
        "harms": {name: list(map(float, layer)) for name, layer in zip(space.precisions, found, strict=True)},
    }


def _measured(run: WorkRun, space: HasPrecisions, measure: str, epochs: int, batches: int) -> list[list[float]]:
    """Sensitivities by layer and pair; the trained weights are kept."""
    from nasplug.run.seeding import seed_everything

    most = space.assigned({name: pairs[-1] for name, pairs in space.precisions.items()})
    seed_everything(run.seed("sensitivity"))
    network: nn.Module = space.build(most, run.task)  # type: ignore[attr-defined]
    if epochs:
        _train(run, network, epochs)
    save_weights(network.cpu(), run.folder / FILE)
    weights = network.state_dict()

    def layer_at(name: str, pair: Pair) -> nn.Module:
        bits = {each: pairs[-1] for each, pairs in space.precisions.items()} | {name: pair}
        layer = space.build(space.assigned(bits), run.task).get_submodule(name)  # type: ignore[attr-defined]
        own = {key: weights[f"{name}.{key}"] for key in ("weight", "bias") if f"{name}.{key}" in weights}
        layer.load_state_dict(own, strict=False)
        return cast("nn.Module", layer.to(next(held.parameters()).device))

    held = network
    if measure == "hessian":
        held = space.bare()
        held.load_state_dict({name: weights[name] for name in held.state_dict() if name in weights}, strict=False)

    def visit(module: LightningModule, seen: list[Any]) -> list[list[float]]:
        module.eval()
        if not ready(held):
            settle(held, module, seen[: losses.RANGES])
        harms = hessian.harms if measure == "hessian" else losses.harms
        return harms(held, module, seen, space.precisions, layer_at, lambda share: run.progress(0.5 + share / 2))

    return _visited(run, held, batches, visit)


def _train(run: WorkRun, network: nn.Module, epochs: int) -> None:
    from nasplug.evaluate.trainer import DEFAULTS, as_callback, device_options, fit, quiet
    from nasplug.lightning.distribution import data_for, lightning_of

    assert run.task is not None
    module = run.task.module(network, {})
    lightning = lightning_of(module)
    with quiet():
        trainer = lightning.Trainer(
            **{**DEFAULTS, **device_options(run.device), "limit_val_batches": 0, "enable_checkpointing": False},
            max_epochs=epochs,
            callbacks=[as_callback(Telling, lightning)(run, 2 * epochs)],
            default_root_dir=run.folder,
        )
        data = data_for(run.data(), module, lightning)
        fit(trainer, lambda: trainer.fit(module, datamodule=data))


def _visited(
    run: WorkRun, network: nn.Module, batches: int, visit: Callable[[LightningModule, list[Any]], list[list[float]]]
) -> list[list[float]]:
    """Answers what a function makes of a module inside of a Trainer, and of training batches."""
    from nasplug.evaluate.trainer import DEFAULTS, as_callback, device_options, fit, quiet
    from nasplug.lightning.distribution import data_for, lightning_of

    assert run.task is not None
    module = run.task.module(network, {})
    lightning = lightning_of(module)
    visiting = as_callback(_Visiting, lightning)(batches, visit)
    options: Mapping[str, Any] = {**DEFAULTS, **device_options(run.device), "limit_val_batches": 1}
    with quiet():
        trainer = lightning.Trainer(
            **options,
            inference_mode=False,
            callbacks=[visiting],
            default_root_dir=run.folder,
            enable_checkpointing=False,
        )
        data = data_for(run.data(), module, lightning)
        fit(trainer, lambda: trainer.validate(module, datamodule=data, verbose=False))
    answer: list[list[float]] = visiting.answer
    return answer


class _Visiting:
    """Mixin of a Lightning callback that shows training batches to a function before the validation.

    Args:
        batches: Number of batches.
        visit: The function.
    """

    answer: list[list[float]]

    def __init__(self, batches: int, visit: Callable[[LightningModule, list[Any]], list[list[float]]]) -> None:
        super().__init__()
        self._batches, self._visit = batches, visit

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows them."""
        trainer.datamodule.setup("fit")  # type: ignore[attr-defined]
        loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        with undisturbed():
            seen = list(islice(loader, self._batches))
        self.answer = self._visit(pl_module, seen)
