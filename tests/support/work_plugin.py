"""A plugin in one file whose strategy has something trained before it proposes."""

from __future__ import annotations

import time

import nasplug as nas
from nasplug.ledger.work import Work

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.strategy("trained", f"{__name__}:Trained", summary="Proposes what its work named.")


def name_networks(run, *, count, trouble="none"):
    run.progress(0.5, {"loss": 1.0})
    if trouble == "diverges":
        run.fail("nan", "the loss is nan")
    if trouble == "raises":
        raise ValueError("nothing fits")
    if trouble == "sleeps":
        time.sleep(600)
    rng = run.rng("networks")
    (run.folder / "seed.txt").write_text(str(run.seed("file")))
    return [run.space.sample(rng).genotype for _ in range(count)]


class Trained:
    def __init__(self, trouble: str = "none", time_limit: float | None = None) -> None:
        self.work = Work(f"{__name__}:name_networks", {"count": 3, "trouble": trouble}, time_limit=time_limit)
        self.seen: list[tuple[str, ...]] = []

    @nas.hookimpl
    def propose(self, study, count):
        outcome = study.work(self.work)
        self.seen.append(tuple(study.working))
        if outcome is None or study.proposed >= 3:
            return []
        genotype = (outcome.result or ["aaaaaa"] * 3)[study.proposed]
        return [study.proposal(study.space.architecture(tuple(genotype)), failure=outcome.failure)]
