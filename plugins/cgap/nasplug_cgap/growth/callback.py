"""Continuous growth and pruning inside of a Lightning Trainer."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.io import Inputs
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.wording import plural
from nasplug.cost.counts import count_macs, count_params
from nasplug.surgery import Surgery, repeat, scores
from nasplug_cgap.growth.refusals import refuse
from nasplug_cgap.growth.settings import Settings
from nasplug_cgap.growth.sizes import Sizes
from nasplug_cgap.growth.steps import changing, grow, prune, silence, sow

if TYPE_CHECKING:
    from nasplug.contract.protocols import HardwareTarget

#: Keys of the edits, and of torch's version, in a checkpoint.
EDITS, TORCH = "nasplug_cgap_edits", "nasplug_cgap_torch"


class Growing(Callback):
    """Grows and prunes a network while it trains.

    The network is cut to a seed before the first step, grows beside its most important channels until its capacity,
    loses the least important weights and then channels, and trains on as a small dense network.
    Logged at every epoch: `cgap/params`, `cgap/macs`, `cgap/train_flops` (sum so far), `cgap/width/GROUP`,
    and the estimates of the hardware target. A checkpoint resumes in any phase.

    Args:
        settings: Settings.
        network: Function that finds the network in the LightningModule.
        inputs: Inputs of the network, or None to take them from the module's `example_input_array`.
        target: Hardware target whose estimates can be limits.
        edit: Function that takes the record of each change.
        seed: Seed of the noise on new channels.
        edits: Changes that the network has gone through already, where a trial continues the training of another one.
    """

    def __init__(
        self,
        settings: Settings,
        network: Callable[[LightningModule], nn.Module],
        inputs: Inputs | None,
        target: HardwareTarget | None = None,
        edit: Callable[[JsonObject], None] | None = None,
        seed: int = 0,
        edits: Sequence[JsonObject] = (),
    ) -> None:
        super().__init__()
        self.settings = settings
        self.phase = "sow"
        self.edits: list[JsonObject] = list(edits)
        self.train_flops = 0.0
        self._network_of, self._inputs, self._target = network, inputs, target
        self._say, self._seed = edit, seed
        self._surgery: Surgery | None = None
        self._masks: dict[str, Tensor] = {}
        self._scores: list[dict[str, Tensor]] = []
        self._per_input = 0.0
        self._start: float | None = None
        self._restored = False
        self._reference: int | None = None

    # -- before training -----------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuses what cannot follow a changing network, and lets a checkpoint's structure come before its weights."""
        network = self._network_of(pl_module)
        self._expect_checkpoints(network, pl_module)
        if stage != "fit":
            return
        refuse(trainer)
        if self._inputs is None:
            from nasplug.lightning.calls import inputs_of_example

            self._inputs = inputs_of_example(pl_module.example_input_array)
        if self._inputs is None:
            raise SpecError(
                "the inputs of the network are not known",
                where="cgap",
                fix="set example_input_array in the LightningModule, or inputs=... of the plugin",
            )
        self._sizes = Sizes(network, self._inputs, self._target)
        self._measure_limits(network)
        changing(Surgery(network, self._inputs), self.settings)

    def _expect_checkpoints(self, network: nn.Module, pl_module: LightningModule) -> None:
        """Makes the module repeat the changes of a checkpoint before its weights are loaded."""
        load = pl_module.on_load_checkpoint

        def rebuilt(checkpoint: dict[str, Any]) -> None:
            edits = checkpoint.get(EDITS, [])
            _check_torch(str(checkpoint.get(TORCH, torch.__version__)))
            if edits and not self.edits:
                repeat(network, edits)
                for record in edits:
                    self._record(record)
            elif edits != self.edits:
                raise SpecError(
                    f"the checkpoint has {plural(len(edits), 'change')} of structure, and the network "
                    f"{len(self.edits)} already",
                    where="cgap",
                    fix="load it into a module built anew, with a callback built anew",
                )
            load(checkpoint)

        pl_module.on_load_checkpoint = rebuilt  # type: ignore[method-assign]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cuts the network to its seed, unless it comes from a checkpoint."""
        network = self._network_of(pl_module)
        assert self._inputs is not None
        self._measure_limits(network)  # a checkpoint knows the network that shares refer to
        self._surgery = Surgery(network, self._inputs, trainer.optimizers)
        if self.phase == "sow":
            self._done(sow(self._surgery, self.settings, self._sizes, self._capacity))
            self.phase = "grow"
        self._count(network)

    # -- while it trains -----------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the masks of a checkpoint from its weights: what is silent is exactly zero."""
        self.surgery.optimizers = tuple(trainer.optimizers)
        if self._restored and self.phase == "prune":
            self._mask(pl_module, share=None)
        self._restored = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Keeps silent weights silent, counts work, and changes the structure when it is time."""
        self.train_flops += self._per_input * _size(batch)
        if self.phase == "done":
            return
        if self._masks:
            self._silence(pl_module)
        left = self._left(trainer)
        if left is None:
            return
        step = trainer.global_step
        if left < self.settings.score_batches:
            self._refuse_others()
            self._scores.append(
                scores(self.surgery.network, changing(self.surgery, self.settings), self._by, seed=step)
            )
        if not left:
            self._step(pl_module, step, int(trainer.estimated_stepping_batches))
            self._scores = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs widths and sizes."""
        network = self.surgery.network
        values = {f"cgap/width/{name}": float(size) for name, size in self.surgery.sizes.items()}
        values |= {"cgap/params": float(count_params(network)), "cgap/train_flops": self.train_flops}
        assert self._inputs is not None
        values["cgap/macs"] = float(count_macs(network, self._inputs))
        if self._target is not None:
            names = dict.fromkeys(self._capacity, 0.0)
            values |= {f"cgap/{name}": value for name, value in self._sizes.of(network, names).items()}
        pl_module.log_dict(values)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Everything but the edits, which must be there before the weights."""
        return {
            "phase": self.phase,
            "train_flops": self.train_flops,
            "start": self._start,
            "reference": self._sizes.reference_params,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where the checkpoint was written."""
        self.phase, self.train_flops, self._start = (state_dict[key] for key in ("phase", "train_flops", "start"))
        self._reference = state_dict["reference"]
        self._restored = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Keeps the edits beside the weights."""
        checkpoint[EDITS] = [dict(record) for record in self.edits]
        checkpoint[TORCH] = str(torch.__version__)

    # -- the work ------------------------------------------------------------------------------------------------

    @property
    def surgery(self) -> Surgery:
        """Surgery of the network in training."""
        assert self._surgery is not None, "training has not started"
        return self._surgery

    @property
    def _by(self) -> Any:
        return self.settings.score

    def _refuse_others(self) -> None:
        """Refuses to edit a network whose layers somebody else has exchanged meanwhile."""
        known = {name for name, _ in self.surgery.channels.twin.named_parameters()}
        other = known ^ {name for name, _ in self.surgery.network.named_parameters()}
        if other:
            doing = "grows" if self.phase == "grow" else "shrinks"
            raise SpecError(
                f"the layers of the network were exchanged while it still {doing}",
                where="cgap",
                why=f"{min(other)!r} came or went since the last change",
                fix="let the other plugin begin after pruning.until of the training",
            )

    def _measure_limits(self, network: nn.Module) -> None:
        if self._reference is not None:
            self._sizes.reference_params = self._reference
        self._capacity = self._sizes.limits(self.settings.growth.capacity, "capacity", network)
        keep = self.settings.pruning.keep
        self._keep = None if keep is None else self._sizes.limits(keep, "keep", network)

    def _left(self, trainer: Trainer) -> int | None:
        """Training steps until the next change of structure, 0 where it is due, None where none is to come."""
        steps = int(trainer.estimated_stepping_batches)
        epoch = max(1, steps // max(1, trainer.max_epochs or 1))
        settings = self.settings.growth if self.phase == "grow" else self.settings.pruning
        every = max(1, round(epoch * settings.every))
        return -trainer.global_step % every

    def _step(self, pl_module: LightningModule, step: int, steps: int) -> None:
        progress = step / steps
        if self.phase == "grow":
            full = progress <= self.settings.growth.until and self._grow(self.settings.growth.rate, step)
            if full or progress >= self.settings.growth.until:
                self.phase, self._start = "prune", progress
            return
        start = self._start or 0.0
        done = min(1.0, (progress - start) / max(self.settings.pruning.until - start, 1e-9))
        self._prune(pl_module, done)
        if done >= 1.0:
            self._wake()

    def _grow(self, rate: float, step: int) -> bool:
        """Grows once; whether the capacity is reached."""
        record, full = grow(
            self.surgery, self.settings, self._sizes, self._capacity, self._mean(), rate, self._seed + step
        )
        self._done(record)
        return full

    def _prune(self, pl_module: LightningModule, done: float) -> None:
        """Prunes once, up to a share of all that is to go."""
        cubic = 1 - (1 - done) ** 3
        self._mask(pl_module, share=self.settings.pruning.weights * cubic)
        limit = None
        if self._keep is not None:
            now = self._sizes.of(self.surgery.network, self._keep, "keep")
            limit = {name: now[name] + (end - now[name]) * min(1.0, cubic) for name, end in self._keep.items()}
        self._done(prune(self.surgery, self.settings, self._sizes, self._keep, limit, self._mean()))
        self._mask(pl_module, share=None)

    def _wake(self) -> None:
        """Ends pruning: what is silent trains again."""
        self.phase, self._masks = "done", {}

    def _mean(self) -> Mapping[str, Tensor]:
        return {name: torch.stack([each[name] for each in self._scores]).mean(0) for name in self._scores[0]}

    def _mask(self, pl_module: LightningModule, share: float | None) -> None:
        """Chooses silent weights anew, or takes those that are zero."""
        network = self._network_of(pl_module)
        groups = changing(self.surgery, self.settings)
        if share is not None:
            self._masks = silence(network, groups, share)
            self._silence(pl_module)
        else:
            weights = dict(network.named_parameters())
            names = {member.tensor for group in groups for member in group.members if member.role == "out"}
            self._masks = {name: (weights[name] != 0).to(weights[name]) for name in names if name in weights}

    @torch.no_grad()
    def _silence(self, pl_module: LightningModule) -> None:
        weights = dict(self._network_of(pl_module).named_parameters())
        for name, mask in self._masks.items():
            weights[name].mul_(mask)

    def _done(self, record: JsonObject | None) -> None:
        if record is not None:
            self._record(record)
            self._count(self.surgery.network)

    def _record(self, record: JsonObject) -> None:
        self.edits.append(record)
        if self._say is not None:
            self._say(record)

    def _count(self, network: nn.Module) -> None:
        self._per_input = self._sizes.train_flops(network)


def _check_torch(written: str) -> None:
    """Says that a training goes on with another torch, which may compute and draw other numbers."""
    if written != str(torch.__version__):
        warnings.warn(
            f"cgap: the checkpoint was written with torch {written}, and this is torch {torch.__version__}: the "
            "structure is the recorded one, but the training goes on with other numbers than it would have",
            stacklevel=2,
        )


def _size(batch: object) -> int:
    """Number of inputs in a batch: the first axis of its first tensor."""
    from nasplug.surgery.state import tensors_in

    with contextlib.suppress(StopIteration):
        return int(next(tensors_in(batch)).shape[0])
    return 0
