"""What one trial asks of the cluster, and whether there is a machine that could ever give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural


@dataclass(frozen=True, slots=True)
class Demand:
    """Resources of one worker, and so of one trial.

    Attributes:
        cpus: Number of cores; parts count.
        gpus: Number of GPUs; several, or a part of one.
        memory: Bytes of main memory that Ray sets aside; 0 for none.
        others: Resources that machines of the cluster were started with, by name.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: float = 0.0
    others: Mapping[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """Checks the numbers.

        Raises:
            SpecError: One cannot be.
        """
        for name, value in (("cpus", self.cpus), ("gpus", self.gpus), ("memory", self.memory)):
            if value < 0:
                raise SpecError(f"expected at least 0, got {value:g}", where=f"run.executor: ray, {name}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise SpecError(
                f"a trial gets whole GPUs or a part of one, not {self.gpus:g}",
                where="run.gpus",
                fix="give 0.5, 1, 2, ...",
            )

    def bundle(self) -> dict[str, float]:
        """Returns the resources as Ray names them."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory, **self.others}
        return {name: float(amount) for name, amount in named.items() if amount > 0}

    @property
    def gang(self) -> bool:
        """Whether it is reserved as one, so that a trial on several GPUs gets all of them or waits."""
        return self.gpus > 1

    def check_fits(self, nodes: Iterable[Mapping[str, float]]) -> None:
        """Checks that some machine has all of it, if nothing else ran there.

        Args:
            nodes: Resources of each machine that is alive.

        Raises:
            SpecError: There is none; it would wait forever.
        """
        machines = list(nodes)
        bundle = self.bundle()
        if any(all(node.get(name, 0.0) >= amount for name, amount in bundle.items()) for node in machines):
            return
        short = [
            f"{name} {_amount(name, amount)} (the most on one machine: {_amount(name, most)})"
            for name, amount in bundle.items()
            if (most := max((node.get(name, 0.0) for node in machines), default=0.0)) < amount
        ]
        raise SpecError(
            f"no machine of the cluster can run a trial: it asks for {', '.join(short) or 'more than any has at once'}",
            where="run.executor: ray",
            why=f"the cluster has {plural(len(machines), 'machine')}; a trial would wait for another one forever",
            fix="ask for less (run.threads, run.gpus, memory), add machines, or say `elastic: true` if the cluster "
            "grows by itself",
        )


def device_names(gpus: float) -> str:
    """Returns the devices of a worker that sees no other GPUs than its own: `cuda:0`, or `cuda:0,1`."""
    return "cuda:" + ",".join(map(str, range(max(1, int(gpus)))))


def _amount(name: str, amount: float) -> str:
    return f"{amount / 1e9:.3g} GB" if name == "memory" else f"{amount:g}"
