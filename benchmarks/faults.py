"""The long fault campaign: random faults of many kinds, counted by what became of them.

    python benchmarks/faults.py --minutes 30 --seed 0
    python benchmarks/faults.py --seed 50 --parts workers crash --each reduction ablation   # once for each of these

Goes on where an earlier call with the same seed ended (`--out` holds the counts of every seed, so that calls with
different seeds may run side by side; `--parts` restricts one to some parts; `--earlier` adds those of a record), and
writes the sum of all seeds to `benchmarks/results/faults.json`: per kind how many faults were injected, and how many
ended in a lost trial, a run that hung, code of a stranger that ran, a silent difference, an error without a message, or
a file changed while refused.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from nasplug.contract.wording import plural

sys.path.insert(0, str(Path(__file__).parents[1]))

from _record import record

from tests.faults import corruption, crashes, executors, hostile, kills, plugins, strangers, studies
from tests.faults.tally import Tally

#: Shares of the steps: part of the campaign and its weight.
WEIGHTS = {
    **{
        "corrupt": 60,
        "forge": 10,
        "hostile": 12,
        "strangers": 2,
        "kill": 2,
        "crash": 2,
        "disk": 4,
        "plugin": 3,
        "hang": 1,
    },
    **{"executor": 3, "clock": 3, "death": 0.1, "workers": 0.1, "driver": 0.1, "heavy": 0.03},
}
#: Trials are judged by an evaluator of the campaign that can die.
MORTAL = (
    "random",
    "regularized_evolution",
    "climb",
    "qnas",
    "optuna.tpe",
    "random, pruned",
    "qnas, pruned",
    "climb, pruned",
)


#: Parts for which every strategy is taken, whatever it takes.
ANY = ("crash", "driver", "disk")


class Campaign:
    """All parts, with what they need made once.

    Args:
        folder: Folder for files.
        tally: Gets the outcomes.
    """

    def __init__(self, folder: Path, tally: Tally) -> None:
        self.folder, self.tally = folder, tally
        self.samples = studies.samples(folder / "samples")
        self.cases = kills.cases()
        self.quiet: dict[str, tuple[str, float]] = {}
        self.readers = strangers.Readers(folder / "strangers", tally)
        self.again = 0

    def expected(self, case: kills.Case) -> tuple[str, float]:
        """Returns what a quiet run of a case gives, and how long it takes."""
        if case.name not in self.quiet:
            if case.name not in kills.HEAVY:  # the first run of a kind imports its plugin
                kills.quiet_run(case, self.folder / "quiet" / f"{case.name} first")
            self.quiet[case.name] = kills.quiet_run(case, self.folder / "quiet" / case.name)
        return self.quiet[case.name]

    def step(self, part: str, seed: int, case: kills.Case | None = None) -> None:
        """Injects one fault, or kills one run until it is done.

        Args:
            part: Part of the campaign.
            seed: Seed of what happens.
            case: Search; default: any that the part takes.
        """
        rng, tally, work = random.Random(seed), self.tally, self.folder / "work"
        if part == "corrupt":
            corruption.corrupt(rng.choice(self.samples), rng.choice(corruption.DAMAGES), seed, work, tally)
        elif part == "forge":
            corruption.forge(rng.choice(self.samples), seed, work, tally)
        elif part == "hostile":
            rng.choice(hostile.HOSTILE)(seed, self.folder, tally)
        elif part == "strangers":
            names = [*strangers.formats()]  # in turn; those on purpose are always the same, so one round of them does
            name = names[self.again % len(names)]
            self.readers.read(name, range(seed * 10, seed * 10 + 10), every=self.again < len(names))
            self.again += 1
        elif part == "executor":
            executors.answer_oddly(rng.choice((*executors.HARMLESS, *executors.LIES)), seed, tally)
        elif part == "clock":
            executors.move_clock(rng.choice(("day", "sleep")), seed, tally, self.folder)
        elif part == "death":
            crashes.die_in_workers(rng.choice([case for case in self.cases if case.name in MORTAL]), seed, work, tally)
        elif part == "plugin":
            plugins.misbehave(rng.choice(plugins.HOOKS), rng.choice([*plugins.RAISED, *plugins.VALUES]), tally)
        elif part == "hang":
            plugins.hang(rng.choice(plugins.HANGING), tally, after=rng.randrange(4))
        else:
            heavy = part == "heavy"
            case = case or rng.choice([c for c in self.cases if part in ANY or (c.name in kills.HEAVY) == heavy])
            expected, seconds = self.expected(case)
            if part == "disk":
                kills.fill_disk(case, expected, seed, work, tally)
            elif part == "workers":
                kills.kill_workers_until_done(case, expected, seed, work, tally)
            elif part == "crash":
                crashes.crash_until_done(case, expected, seed, work, tally)
            elif part == "driver":
                run = {"executor": "process", "workers": rng.choice((1, 2))}
                crashes.crash_until_done(case, expected, seed, work, tally, run, most=12)
            else:
                kills.kill_until_done(case, expected, seconds, seed, work, tally)


def before(record: Path) -> tuple[list[int], Tally]:
    """Returns the seeds of a record, and what it counts."""
    data = json.loads(record.read_text())
    counts = {
        kind: {name: n for name, n in found.items() if name != "injected"} for kind, found in data["by_kind"].items()
    }
    return data["seeds"], Tally(counts, data["notes"])


def sums(tally: Tally) -> dict[str, int]:
    """Returns how many faults of several kinds there were, and how many of the kills met runs with worker processes."""
    groups = {
        "kills": ("kill", "crash", "death of a worker"),
        "corrupt_studies": ("study file",),
        "files_of_strangers": ("damaged file", "file of a stranger", "hostile file"),
        "plugins": ("plugin",),
        "executors_and_clocks": ("executor", "clock"),
        "full_disks": ("full disk",),
    }
    counted = {kind: sum(found.values()) for kind, found in tally.counts.items()}
    found = {
        name: sum(count for kind, count in counted.items() if kind.partition(":")[0] in parts)
        for name, parts in groups.items()
    }
    workers = ("crash: process", "kill: process", "death of a worker")
    return found | {"kills_with_workers": sum(count for kind, count in counted.items() if kind.startswith(workers))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs") / "faults", help="folder with the counts so far")
    parser.add_argument("--parts", nargs="+", choices=[*WEIGHTS], default=[*WEIGHTS], help="only these parts")
    parser.add_argument("--each", nargs="+", metavar="NAME", help="once for every search whose name begins with one")
    parser.add_argument("--earlier", type=Path, help="record of other seeds, to which this adds")
    arguments = parser.parse_args()
    weights = {part: WEIGHTS[part] for part in arguments.parts}
    out = arguments.out / str(arguments.seed)
    out.mkdir(parents=True, exist_ok=True)
    tally = Tally.load(out / "tally.json")
    done_file = out / "steps.txt"
    done = int(done_file.read_text()) if done_file.is_file() else 0
    folder = Path(tempfile.mkdtemp(prefix="nasplug-faults-"))
    deadline = time.monotonic() + 60 * arguments.minutes
    try:
        campaign = Campaign(folder, tally)
        named = [case for case in campaign.cases if case.name.startswith(tuple(arguments.each or ()))]
        every = [(part, case) for case in named for part in weights] if arguments.each else []
        while time.monotonic() < deadline and (not arguments.each or done < len(every)):
            seed = arguments.seed * 10_000_000 + done
            part, case = random.Random(seed).choices([*weights], [*weights.values()])[0], None
            if every:
                part, case = every[done]
            campaign.step(part, seed, case)
            done += 1
            if done % 50 == 0 or every:
                tally.save(out / "tally.json")
                done_file.write_text(str(done))
            if done % 500 == 0:
                print(f"{plural(done, 'step')}, {plural(tally.injected, 'fault')}, bad: {tally.bad}", flush=True)
        tally.save(out / "tally.json")
        done_file.write_text(str(done))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seeds = sorted(int(path.parent.name) for path in arguments.out.glob("*/tally.json"))
    earlier, total = before(arguments.earlier) if arguments.earlier else ([], Tally())
    if not set(earlier).isdisjoint(seeds):
        parser.error(f"{arguments.earlier} counts some of the seeds {seeds} already")
    for seed in seeds:
        total.merge(Tally.load(arguments.out / str(seed) / "tally.json"))
    seeds = sorted([*earlier, *seeds])
    record("faults", {"seeds": seeds, "sums": sums(total), **total.to_json()})
    print("\n".join(total.notes))


if __name__ == "__main__":
    main()
