"""Files from strangers, in every format that specifications and studies are read from: refused, or harmless."""

from __future__ import annotations

import random
from pathlib import Path

import yaml

from nasplug.contract.errors import NasplugError
from nasplug.run.spec import read_spec
from tests.faults.tally import Hung, Tally, limit

GOOD = """
space: {qnas.conv: {functions: conv9, nodes: 4}}
strategy: {regularized_evolution: {population_size: 8}}
task: {image_classification: {limit: 300}}
objectives: {val_acc: max, params: min}
constraints: ["macs <= 1e6"]
stoppers: [median]
enqueue: [[1, 2, [3]], []]
hyperparameters: {lr: {low: 1e-4, high: 1e-1, log: true}, momentum: [0.8, 0.9], wd: 0.1}
budget: {trials: 4, epochs: 1, seconds: 10.5}
run: {storage: runs/search.sqlite, workers: 1, seed: 3, executor: inline}
plugins: [a.py]
"""
PIECES = (
    "[", "{", "]", "}", ":", "- ", "&a ", "*a", "<<: *a", "!!python/object/apply:os.system ['touch PWNED']",
    "!!binary x",
    "\x00", "\ufeff", "\u202e", "\x1b[31m", "null", "~", "2001-13-45", "0x", "1e400", ".nan", "[" * 5000, "{a: " * 3000,
    "? ", "|", ">", "'", '"', "%YAML 9.9", "---", "...", "\t", "!!set {a, b}", "!!omap [a: 1]", "!<tag:x> y", "1_000",
    "-1", "10" * 200, "{class_path: subprocess.Popen, init_args: {args: [touch, PWNED]}}", "true", "''",
)  # fmt: skip


def hostile_spec(seed: int, folder: Path, tally: Tally) -> None:
    """Reads a specification with random damage."""
    rng = random.Random(seed)
    text = GOOD
    for _ in range(rng.choice((1, 1, 2, 5))):
        start = rng.randrange(len(text))
        end = min(len(text), start + rng.choice((0, 0, 1, 5, 30)))
        text = text[:start] + rng.choice(PIECES) + text[end:]
    path = folder / "spec.yaml"
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(data))] + rng.randbytes(3)
    path.write_bytes(data)
    _count("hostile file: specification", lambda: read_spec(path), seed, folder, tally)


def hostile_override(seed: int, folder: Path, tally: Tally) -> None:
    """Applies an override of nonsense."""
    from nasplug.run.spec import RunSpec, apply_override

    rng = random.Random(seed)
    data = yaml.safe_load(GOOD)
    key = rng.choice((*data, "run.seed", "budget.trials", "space.qnas.conv.nodes", "a.b.c", "", ".", "run..x"))
    text = f"{key}={rng.choice(PIECES)}{rng.choice(('', rng.choice(PIECES)))}"

    def read() -> None:
        apply_override(data, text)
        RunSpec.parse(data)

    _count("hostile file: override", read, seed, folder, tally)


def hostile_weights(seed: int, folder: Path, tally: Tally) -> None:
    """Reads the weights and the description of an exported network with random damage."""
    import torch
    from safetensors.torch import save_file

    from nasplug.contract.records import Architecture, Proposal, Trial
    from nasplug.ledger.artifacts import check_artifact, checksum

    rng = random.Random(seed)
    path = folder / "weights.safetensors"
    save_file({"a": torch.zeros(3, 4), "b": torch.ones(2)}, path)
    trial = Trial(0, Proposal(Architecture("s", (), "")), "complete", checksums={"weights": checksum(path)})
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 4, 16))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.3:
        data = data[: rng.randrange(len(data))]
    changed = bytes(data) != path.read_bytes()
    path.write_bytes(bytes(data))

    def read() -> None:
        check_artifact(trial, "weights", path)
        assert not changed, "read silently"

    _count("hostile file: weights", read, seed, folder, tally)


def _count(kind: str, read: object, seed: int, folder: Path, tally: Tally) -> None:
    note = f"seed {seed}"
    try:
        with limit(20):
            read()  # type: ignore[operator]
        outcome = "survived"
    except Hung:
        outcome = "hung"
    except NasplugError:
        outcome = "refused"
    except BaseException as error:
        outcome, note = "traceback", f"{note}: {type(error).__name__}: {error}"
    if (folder / "PWNED").exists() or Path("PWNED").exists():
        outcome = "executed"
    tally.add(kind, outcome, note)


HOSTILE = (hostile_spec, hostile_override, hostile_weights)
