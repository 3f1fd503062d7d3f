"""The run specification: everything a run needs, as plain data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Constraint, Objective
from nasplug.ledger.facts import part_of
from nasplug.plugins.component import Component, plain
from nasplug.plugins.watchdog import WARNING
from nasplug.run.baseline import BaselineSpec
from nasplug.run.giving_up import GIVE_UP_AFTER
from nasplug.run.hyperparameters import with_hyperparameters
from nasplug.run.keeping import read_keep
from nasplug.run.parts import PART, parse_part, sequence

if TYPE_CHECKING:
    from yaml import SafeLoader

    from nasplug.contract.records import Scalar


#: Options that change how fast or where a run goes, not what a trial that ends by itself returns; a resumed run may
#: change them. `time_limit` decides which trials may end by themselves: those recorded as timeouts stay so on resume.
FREE_OPTIONS = frozenset(
    {
        *("executor", "workers", "device", "gpus", "storage", "time_limit", "keep", "rehearse", "give_up_after"),
        *("hook_warning", "hook_limit"),
    }
)

#: Arguments of components that say where files lie. Only the last part of a path belongs to a study: data may move.
#: Arguments of an evaluator that say who watches, and change no trial.
_WATCHING = frozenset({"loggers"})
_PATHS = re.compile(r"(.*_)?(path|paths|file|files|folder|dir|directory|root)")


@dataclass(frozen=True)
class BudgetSpec:
    """How long the search may go on.

    Attributes:
        trials: Number of trials, rejected and failed ones included.
        epochs: Training epochs of each trial, unless its proposal says otherwise.
        seconds: Proposes nothing new after this wall time; counted anew by each invocation.
    """

    trials: int | None = None
    epochs: int = 1
    seconds: float | None = None


@dataclass(frozen=True)
class RunOptions:
    """How the search is run.

    Attributes:
        executor: Executor of the trials: `inline`, `process`, or that of a package.
        workers: Trials evaluated at the same time.
        batch: Trial k is proposed with the results of exactly the first k - batch + 1 trials. This, and not the number
            of workers, decides what a strategy knows, so it changes the trials; more workers than `batch` stay idle.
        seed: Seed of every random stream.
        threads: Torch threads per trial. Part of the result, since they change floating-point sums.
        device: `cpu`, `cuda` or `auto`.
        gpus: Part of a GPU that a trial gets, such as 0.5, with that part of its memory, or several; None shares those
            that there are evenly among the workers.
        storage: The study file, or None for memory.
        time_limit: Seconds after which `process` kills a trial.
        keep: Rule for the files that stay: `all`, `front` for the non-dominated trials, or `best N` such as `best 10`.
            Files of a trial that can be neither any more are deleted, and its record says so.
        remeasure: Train a repeated proposal again instead of copying the earlier result.
        clock: Name of a metric that says how many seconds a trial takes. The trials of a batch then run side by side
            on a simulated clock, and are observed in the order in which they end, as an asynchronous search on so many
            machines would see them. For searches on tables; equal for any number of workers all the same.
        rehearse: Whether one batch is trained and validated before the first trial, with all costs, so that a mistake
            that would meet every trial is found before the budget is spent. It changes no trial.
        give_up_after: Number of trials that fail in the same way, without one that succeeds, after which the run ends;
            0 never ends it.
        hook_warning: Seconds after which a hook, constructor or silent piece of work is named; 0 for never.
        hook_limit: Seconds that a hook or constructor may take, and work without a word; then the run ends.
    """

    executor: Component = field(default_factory=lambda: Component("inline"))
    workers: int = 1
    batch: int = 4
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    gpus: float | None = None
    storage: str | None = None
    time_limit: float | None = None
    keep: str = "all"
    remeasure: bool = False
    clock: str | None = None
    rehearse: bool = True
    give_up_after: int = GIVE_UP_AFTER
    hook_warning: float = WARNING
    hook_limit: float | None = None


@dataclass(frozen=True)
class RunSpec:
    """A search as plain data: two equal specifications give equal trials.

    Attributes:
        space: Search space.
        strategy: Strategy that proposes.
        task: Data and training; may be None if the evaluator needs none.
        evaluator: Turns proposals into metrics.
        build: Wrappers of every built network, applied in this order.
        target: Name of the hardware target.
        costs: Cost plugins; those that objectives and constraints name are added by themselves.
        stoppers: Plugins that stop trainings early.
        callbacks: Lightning callbacks for every trial.
        trackers: Trackers that follow the run.
        objectives: Objectives to optimise; empty means the first objective of the task.
        constraints: Hard bounds.
        enqueue: Genotypes to evaluate before the strategy is asked.
        baseline: Network to compare with, trained as the trials are and no trial itself.
        budget: Budget of the search.
        run: Options of the run.
        plugins: Paths of single-file plugins.
    """

    space: Component
    strategy: Component = field(default_factory=lambda: Component("random"))
    task: Component | None = None
    evaluator: Component = field(default_factory=lambda: Component("lightning"))
    build: tuple[Component, ...] = ()
    target: str | None = None
    costs: tuple[Component, ...] = ()
    stoppers: tuple[Component, ...] = ()
    callbacks: tuple[Component, ...] = ()
    trackers: tuple[Component, ...] = ()
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    enqueue: tuple[Json, ...] = ()
    baseline: BaselineSpec | None = None
    budget: BudgetSpec = field(default_factory=BudgetSpec)
    run: RunOptions = field(default_factory=RunOptions)
    plugins: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, object]) -> Self:
        """Reads plain data, e.g. out of a YAML file.

        `hyperparameters` is short for a space `with_hyperparameters`.

        Raises:
            SpecError: An unknown key, a missing space, or a value of the wrong form. Names of components are looked
                up later, by `nasplug.run.assemble.compose`.
        """
        if not isinstance(data, Mapping):
            raise SpecError("a specification is a mapping of keys", where="specification")
        names = [*(item.name for item in dataclasses.fields(cls)), "hyperparameters"]
        for key in data:
            if key not in names:
                raise SpecError(f"there is no key {key!r}", where="specification", fix=did_you_mean(str(key), names))
        if data.get("space") is None:
            raise SpecError("no search space is given", where="specification", fix="add `space: NAME`")
        given = {key: value for key, value in data.items() if value is not None}
        given["space"] = with_hyperparameters(given["space"], given.pop("hyperparameters", None))
        parsed: dict[str, Any] = {}
        for key, value in given.items():
            if key in PART:
                parsed[key] = parse_part(key, value)
            elif key == "baseline":
                parsed[key] = BaselineSpec.parse(value)
            elif key == "objectives":
                parsed[key] = _objectives(value)
            elif key == "constraints":
                parsed[key] = tuple(
                    item if isinstance(item, Constraint) else Constraint.parse(str(item))
                    for item in sequence(value, key)
                )
            elif key in ("enqueue", "plugins"):
                parsed[key] = tuple(sequence(value, key))
                if key == "plugins" and not all(isinstance(item, str) for item in parsed[key]):
                    raise SpecError(f"cannot read {value!r:.100}", where=key, fix="write paths: [my_plugin.py]")
            elif key == "budget":
                parsed[key] = _options(BudgetSpec, value, key)
            elif key == "run":
                parsed[key] = _options(RunOptions, value, key)
            elif isinstance(value, str):
                parsed[key] = value
            else:
                raise SpecError(f"expected a name, got {value!r}", where=key)
        spec = cls(**parsed)
        spec._check()
        return spec

    def _check(self) -> None:
        run, budget = self.run, self.budget
        for name, value, least in (
            ("run.workers", run.workers, 1),
            ("run.batch", run.batch, 1),
            ("run.threads", run.threads, 1),
            ("run.seed", run.seed, 0),
            ("run.give_up_after", run.give_up_after, 0),
            ("run.hook_warning", run.hook_warning, 0),
            ("budget.epochs", budget.epochs, 0),
            ("budget.trials", 1 if budget.trials is None else budget.trials, 1),
        ):
            if value < least:
                raise SpecError(f"{value} is too small", where=name, fix=f"give at least {least}")
        for name, limit in (("run.hook_limit", run.hook_limit), ("budget.seconds", budget.seconds)):
            if limit is not None and limit <= 0:
                raise SpecError(f"expected seconds > 0, got {limit}", where=name)
        read_keep(run.keep)
        if run.executor.name == "inline" and run.workers > 1:
            raise SpecError(
                f"the inline executor has one worker, not {run.workers}",
                where="run.workers",
                fix="run.executor: process",
            )
        for where, names in (
            ("objectives", [objective.name for objective in self.objectives]),
            ("costs", [cost.name for cost in self.costs]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise SpecError(f"{sorted(twice)[0]!r} is named twice", where=where)

    def to_plain(self) -> dict[str, Json]:
        """Plain data that `parse` reads back; values that are defaults are left out."""
        data: dict[str, Json] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name in ("budget", "run"):
                value = {
                    option.name: plain(getattr(value, option.name))
                    for option in dataclasses.fields(value)
                    if getattr(value, option.name) != getattr(type(value)(), option.name)
                }
            elif item.name == "objectives":
                value = {objective.name: objective.direction for objective in value}
            elif item.name == "constraints":
                value = [str(constraint) for constraint in value]
            elif item.name == "baseline":
                value = None if value is None else value.to_plain()
            else:
                value = plain(value)
            if value:
                data[item.name] = value
        return data

    def fingerprint(self) -> dict[str, Json]:
        """The part of the plain data that decides the trials: everything but `FREE_OPTIONS` and places of files."""
        watched = {name: value for name, value in self.evaluator.args.items() if name not in _WATCHING}
        seen = self.replace(evaluator=dataclasses.replace(self.evaluator, args=watched))
        data: dict[str, Json] = {key: _portable(value, key) for key, value in seen.to_plain().items()}
        if self.plugins:
            data["plugins"] = [_last(path) for path in self.plugins]
        data["run"] = {key: value for key, value in part_of(data, "run").items() if key not in FREE_OPTIONS}
        # A longer run begins with the trials of a shorter one, so its length may grow when resumed.
        for key in ("trackers", "baseline"):  # neither changes a trial
            data.pop(key, None)
        data["budget"] = {key: value for key, value in part_of(data, "budget").items() if key == "epochs"}
        return data

    def replace(self, **changes: Any) -> Self:
        """A changed copy."""
        return dataclasses.replace(self, **changes)


def _portable(value: Json, name: str) -> Json:
    """Plain data with the last parts of paths alone, and components without arguments by name: `x` is `{x: {}}`."""
    if isinstance(value, Mapping):
        if len(value) == 1 and next(iter(value.values())) == {}:
            return str(next(iter(value)))
        return {key: _portable(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item, name) for item in value]
    return _last(value) if isinstance(value, str) and _PATHS.fullmatch(name) else value


def _last(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path


Options = TypeVar("Options", BudgetSpec, RunOptions)


def read_spec(path: str | Path, overrides: Sequence[str] = ()) -> RunSpec:
    """Reads a YAML file and applies `key.path=value` overrides.

    Raises:
        SpecError: The file is missing or no YAML mapping, or an override cannot be applied.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"there is no file {str(path)!r}", where="specification", fix="check the path") from None
    except (UnicodeDecodeError, IsADirectoryError, ValueError) as error:
        raise SpecError("not a YAML file", where=str(path), why=" ".join(str(error).split())) from error
    data = _read_yaml(text, str(path))
    if not isinstance(data, dict):
        raise SpecError("a specification is a mapping of keys", where=str(path))
    for override in overrides:
        apply_override(data, override)
    return RunSpec.parse(data)


#: Kinds of plain scalars of YAML 1.2, what they look like, and the characters that they begin with.
_SCALARS = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^(?:[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+0123456789.",
    ),
)


def _read_yaml(text: str, where: str) -> Json:
    import yaml

    try:
        read: Json = yaml.load(text, Loader=_yaml_loader(where))
        return read
    except (yaml.YAMLError, ValueError) as error:  # a date that does not exist is a ValueError
        raise SpecError("this is not YAML", where=where, why=" ".join(str(error).split())) from error
    except RecursionError as error:
        raise SpecError("this is not a specification: brackets are nested too deeply", where=where) from error


def _yaml_loader(where: str) -> type[SafeLoader]:
    """A safe loader of YAML 1.2's scalars that refuses keys that stand twice.

    YAML 1.1, which PyYAML reads, takes `1e-3` for a text, `010` for 8, `1:30` for 90, `on` and `no` for booleans and
    2026-01-01 for a date, and of a key that stands twice the last one.
    """
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, Any] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise SpecError(
                        f"the key {key.value!r} occurs twice, in lines {seen[key.value]} and {key.start_mark.line + 1}",
                        where=where,
                        why="only one of the two could count",
                        fix="remove one of them",
                    )
                seen[key.value] = key.start_mark.line + 1
        return dict(yaml.SafeLoader.construct_mapping(loader, node, deep))

    def lazily(loader: Any, node: Any) -> Iterator[dict[Any, Any]]:
        data: dict[Any, Any] = {}
        yield data
        data.update(mapping(loader, node))

    Loader.add_constructor("tag:yaml.org,2002:map", lazily)

    def integer(loader: Any, node: Any) -> int:
        text = node.value.replace("_", "")
        prefix = text.lstrip("+-")[:2]
        return int(text.replace("0o", ""), 8) if prefix == "0o" else int(text, 16 if prefix == "0x" else 10)

    Loader.add_constructor("tag:yaml.org,2002:int", integer)
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in patterns if tag.rpartition(":")[2] in ("null", "merge")]
        for first, patterns in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for kind, pattern, firsts in _SCALARS:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(pattern), list(firsts))
    return Loader


def apply_override(data: dict[str, Json], text: str) -> None:
    """Applies one `key.path=value` to the plain data of a specification, in place.

    Raises:
        SpecError: It cannot be read, or leads into something that has no keys.
    """
    path, separator, raw = text.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys):
        raise SpecError(f"cannot read the override {text!r}", where="--set", fix="write --set run.workers=4")
    node: Any = data
    while True:
        # Slugs have dots too: of `space.qnas.conv.nodes`, `qnas.conv` is one key if the file has it.
        known = [n for n in range(len(keys), 0, -1) if ".".join(keys[:n]) in node]
        length = known[0] if known else 1
        key, keys = ".".join(keys[:length]), keys[length:]
        if not keys:
            node[key] = _read_yaml(raw, f"--set {text}")
            return
        if node.get(key) is None:
            node[key] = {}
        if isinstance(node[key], str):  # `strategy: random` becomes `strategy: {random: {}}`
            node[key] = {node[key]: {}}
        node = node[key]
        if not isinstance(node, dict):
            raise SpecError(f"{key!r} has no keys of its own", where=f"--set {text}")


def _objectives(value: object) -> tuple[Objective, ...]:
    if isinstance(value, Mapping):
        return tuple(Objective(str(name), direction) for name, direction in value.items())
    if isinstance(value, Sequence) and all(isinstance(item, Objective) for item in value):
        return tuple(value)
    raise SpecError(f"cannot read {value!r}", where="objectives", fix="write {val_acc: max, params: min}")


def _options(cls: type[Options], value: object, where: str) -> Options:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise SpecError(f"{where} is a mapping, not {value!r}", where=where)
    fields = {item.name: item for item in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            raise SpecError(f"there is no key {key!r}", where=where, fix=did_you_mean(str(key), fields))
    checked: dict[str, Any] = {}
    for key, item in value.items():
        kind = str(fields[key].type)
        if kind == "Component":
            checked[key] = Component.parse(item, where=f"{where}.{key}")
            continue
        checked[key] = None if item is None and "None" in kind else _scalar(item, kind, f"{where}.{key}")
    return cls(**checked)


def _scalar(value: object, kind: str, where: str) -> Scalar:
    """Checks one option against the name of its annotation; whole floats such as 1e2 count as integers."""
    if "bool" in kind and isinstance(value, bool):
        return value
    if not isinstance(value, bool):
        if "int" in kind and (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
            if abs(value) < 1 << 63:  # what a file and its libraries can hold
                return int(value)
        elif "float" in kind and isinstance(value, (int, float)) and abs(value) < 1e300:
            return float(value)
        if "str" in kind and isinstance(value, (str, Path)):
            return str(value)
    wanted = next(words for name, words in _WORDS.items() if name in kind)
    raise SpecError(f"expected {wanted}, got {value!r}", where=where)


#: What options of a type are called in messages.
_WORDS = {"bool": "true or false", "int": "an integer", "float": "a number", "str": "a text"}
