"""How well the tests see: single-line mutants of every package, and which of them the tests kill.

    python benchmarks/mutants.py                              # draws, runs, records; goes on where it was stopped
    python benchmarks/mutants.py --rerun survivors            # runs the survivors against the tests as they are now
    python benchmarks/mutants.py --judge NUMBER "why"         # this survivor behaves like the original
    python benchmarks/mutants.py --try NUMBER TEST...         # runs one against tests that are named
    python benchmarks/mutants.py --seed 1 --count 60          # a further sample, for tests written after the first

Mutants are drawn per package (`_mutation.py` says from what) and put, one at a time, into a copy of the tree. Tests run
in tiers until one fails: (1) files of tests of the module's name, and those of the same folder that import it or what
it defines; (2) the files of tests of the package that name most often what the module defines and the line says; (3)
all fast tests of the package that reach the line. What reaches it is recorded by one run of all of them with probes
before the lines of all mutants that are left. A run beyond its time limit is a kill, once the same tests without the
mutant have kept the limit; a failed test counts only if it passes without the mutant.

Runs are forks of one process that has imported the heavy libraries and no part of nasplug.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _mutation import Mutant, probed, share, sites

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benchmarks" / "results" / "mutants.json"
#: Every package beside the core; the template is none.
PLUGINS = tuple(sorted(path.parent.name for path in ROOT.glob("plugins/[!_]*/pyproject.toml")))
#: Share of the mutants that every plugin gets; the core gets the rest.
SHARE = 13 / 220
#: Third-party modules that tests import anyway.
HEAVY = (
    *("pytest", "hypothesis", "numpy", "scipy.stats", "scipy.optimize", "torch", "pytorch_lightning", "torchmetrics"),
    *("msgspec", "yaml", "rich.live", "jsonargparse", "moocore", "optuna", "sklearn.datasets", "PIL.Image"),
    *("safetensors.torch", "sklearn.ensemble", "torchvision", "timm"),
)
LIMIT = 300.0
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
PROBE = """import os
from pathlib import Path
seen = set()


def at(name):
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    if (name, test) not in seen:
        seen.add((name, test))
        with Path(__file__).with_name("_reached.txt").open("a") as file:
            file.write(f"{name}\\t{test}\\n")
"""


class Reports:
    """Plugin of pytest that writes down the outcome and the seconds of every test.

    Args:
        file: File for the lines.
    """

    def __init__(self, file: Path) -> None:
        self.file = file.open("w")

    def write(self, test: str, outcome: str, seconds: float) -> None:
        """Writes a line at once, since the process may be killed."""
        self.file.write(f"{test}\t{outcome}\t{seconds:.3f}\n")
        self.file.flush()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Outcome of one phase of a test."""
        self.write(report.nodeid, report.outcome, report.duration)

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot be collected."""
        if report.failed:
            self.write(report.nodeid, "failed", 0.0)


def package(file: str) -> str:
    """Package that a file belongs to."""
    return file.split("/")[1] if file.startswith("plugins/") else "core"


def near(file: str) -> str:
    """Folder of the tests nearest to a file: of its room in the core, of its plugin otherwise."""
    parts = file.split("/")
    if parts[0] == "plugins":
        return f"plugins/{parts[1]}/tests/"
    return f"tests/{parts[1]}/" if len(parts) > 2 else "tests/"


def tests_of(name: str) -> str:
    """Folder of the tests of a package."""
    return "tests" if name == "core" else f"plugins/{name}/tests"


class Tree:
    """A copy of the working tree in which mutants are put, and where tests run.

    Attributes:
        broken: Tests that fail without a mutant too; they are left out.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder, self.broken, self.clean = folder, set[str](), dict[tuple[str, ...], bool]()
        self.seconds: dict[str, float] = {}
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0"):
            if name and (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, folder / name)
        paths = [str(folder), *(str(folder / "plugins" / plugin) for plugin in PLUGINS)]
        installed = {str(root), *(str(root / "plugins" / plugin) for plugin in PLUGINS), str(root / "benchmarks")}
        sys.path[:] = [*paths, *(path for path in sys.path if path not in installed)]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / ".tmp")
        os.chdir(folder)
        self.stamp = int(time.time()) - 10_000_000
        for name in HEAVY:
            try:
                importlib.import_module(name)
            except ImportError:
                print(f"not here: {name}")
        tests = [
            path.relative_to(folder).as_posix() for path in folder.glob("**/test_*.py") if "_template" not in path.parts
        ]
        self.tests = {name: (folder / name).read_text() for name in sorted(tests)}

    def write(self, file: str, text: str) -> None:
        """Writes a source with a time of its own, so that no bytecode of another version is taken for it."""
        (self.folder / file).write_text(text)
        self.stamp += 10
        os.utime(self.folder / file, (self.stamp, self.stamp))

    def pytest(self, tests: list[str], limit: float, *options: str) -> tuple[int | None, list[str]]:
        """Runs tests in a fork: exit status (None if it had to be stopped) and the tests that failed."""
        shutil.rmtree(self.folder / ".tmp", ignore_errors=True)
        (self.folder / ".tmp").mkdir()
        skipped = [part for name in self.broken for part in ("--deselect", name)]
        lines = self.folder / "_tests.txt"
        pid = os.fork()
        if not pid:
            try:
                os.setsid()
                for stream in (0, 1, 2):
                    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
                import pytest

                # Processes that tests start would import this script as their program, and cannot.
                vars(sys.modules["__main__"]).pop("__file__", None)
                arguments = [*tests, "-q", "-n0", "-p", "no:cacheprovider", *skipped, *options]
                os._exit(int(pytest.main(arguments, plugins=[Reports(lines)])))
            finally:
                os._exit(70)
        end, status = time.monotonic() + limit, None
        while status is None and time.monotonic() < end:
            done, raw = os.waitpid(pid, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(raw)
            else:
                time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what the tests left running, too
        if status is None:
            os.waitpid(pid, 0)
        failed: list[str] = []
        for line in lines.read_text().splitlines() if lines.is_file() else []:
            test, outcome, seconds = line.split("\t")
            self.seconds[test] = max(self.seconds.get(test, 0.0), float(seconds))
            failed.extend([test] if outcome == "failed" else [])
        lines.unlink(missing_ok=True)
        return status, failed

    def passes(self, tests: tuple[str, ...], limit: float) -> bool:
        """Whether tests pass within the limit without a mutant; asked once."""
        if tests not in self.clean:
            self.clean[tests] = self.pytest([*tests], limit)[0] == 0
        return self.clean[tests]

    def killer(self, mutant: Mutant, tests: list[str]) -> str | None:
        """The test that kills a mutant, or None."""
        original = (self.folder / mutant.file).read_text()
        limit = LIMIT
        while tests:
            self.write(mutant.file, mutant.apply(original))
            try:
                status, failed = self.pytest(tests, limit, "-x")
            finally:
                self.write(mutant.file, original)
            if status in (0, 5):
                return None
            if status is None:
                if self.passes(tuple(tests), limit):
                    return "time limit"
                if limit > 4 * LIMIT:
                    return None
                limit *= 3
                continue
            return failed[0] if failed else f"exit status {status}"
        return None

    def suspects(self, killers: set[str]) -> set[str]:
        """Those of the tests that killed mutants that fail without a mutant too; they are left out from now on."""
        tests = sorted(test for test in killers if "::" in test or test.endswith(".py"))
        failed = sorted(set(self.pytest(tests, 12 * LIMIT)[1]) & killers) if tests else []
        found = {test for test in failed if not self.passes((test,), 2 * LIMIT)}  # alone: others may have disturbed it
        self.broken |= found
        return found

    def first(self, mutant: Mutant) -> list[str]:
        """Files of tests of the first tier, small ones first."""
        parts = mutant.file.removesuffix(".py").split("/")
        parts = parts[2:] if parts[0] == "plugins" else parts
        within = near(mutant.file)
        stem = parts[-1] if parts[-1] != "__init__" else parts[-2].removeprefix("nasplug_")
        dotted, parent = ".".join(parts).removesuffix(".__init__"), ".".join(parts[:-1])
        defined = [
            n.name for n in ast.parse((self.folder / mutant.file).read_text()).body if isinstance(n, DEFINITIONS)
        ]
        public = "|".join([stem, *(name for name in defined if not name.startswith("_"))])
        names = rf"(?:\([^)]*|[^\n]*)\b(?:{public})\b"  # on one line, or on several in brackets
        imports = rf"\b{re.escape(dotted)}\b(?!\.)|from \w*\.?{re.escape(parent)} import {names}"
        found = [
            name
            for name, text in self.tests.items()
            if name.startswith(within) and (name.endswith(f"/test_{stem}.py") or re.search(imports, text))
        ]
        return sorted(found, key=lambda name: (not name.endswith(f"/test_{stem}.py"), len(self.tests[name]), name))

    def second(self, mutant: Mutant) -> list[str]:
        """Files of tests of the second tier: those that name most often what is around the line and in its module."""
        tree = ast.parse((self.folder / mutant.file).read_text())
        here = [
            n for n in ast.walk(tree) if getattr(n, "lineno", 0) <= mutant.line <= (getattr(n, "end_lineno", 0) or 0)
        ]
        around = {n.name for n in here if isinstance(n, DEFINITIONS)}
        said = {n.value for n in here if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        words = {word for text in said for word in re.findall(r"\w{5,}", text)}
        weights = {node.name: 1 for node in tree.body if isinstance(node, DEFINITIONS)}
        weights |= dict.fromkeys(words, 5) | dict.fromkeys(around, 10)
        within, first, scores = tests_of(package(mutant.file)) + "/", self.first(mutant), dict[str, int]()
        for name, text in self.tests.items():
            if name.startswith(within) and not name.startswith("tests/faults/") and name not in first:
                counts = Counter(re.findall(r"\w+", text))
                scores[name] = sum(min(counts[word], 9) * weight for word, weight in weights.items() if len(word) > 4)
        best = sorted(scores, key=lambda name: (-scores[name], len(self.tests[name])))
        return [name for name in best if scores[name]][:5]

    def reaching(self, files: list[str], mutants: dict[int, Mutant]) -> dict[int, list[str]]:
        """Tests that reach the lines of mutants, quick ones first, from one run of all of them with probes.

        A test whose fixtures reach a line stands for its file, since other tests may share the fixture.
        """
        originals: dict[str, str] = {}
        reached = self.folder / "_reached.txt"
        reached.write_text("")
        (self.folder / "_reached.py").write_text(PROBE)
        for file in {mutant.file for mutant in mutants.values()}:
            originals[file] = (self.folder / file).read_text()
            marks = [(m.statement, str(number)) for number, m in mutants.items() if m.file == file and not m.imported]
            self.write(file, probed(originals[file], marks, file, '__import__("_reached").at({})'))
        try:
            for at in range(0, len(files), 6):  # so that one hanging test does not hide the others
                self.pytest(files[at : at + 6], 6 * LIMIT)
        finally:
            for file, text in originals.items():
                self.write(file, text)
        seen = {tuple(line.split("\t")) for line in reached.read_text().splitlines()}
        found = {}
        for number, mutant in mutants.items():
            at_import = mutant.imported or (str(number), "") in seen  # such as what fills a table of the module
            wanted = {mutant.file} if at_import else {str(number)}
            tests = set()
            for what, test in seen:
                if what in wanted and test:
                    name, _, phase = test.rpartition(" ")
                    tests.add(name if phase == "(call)" else name.partition("::")[0])
            tests = {test for test in tests if "::" not in test or test.partition("::")[0] not in tests}
            found[number] = sorted(tests, key=lambda test: (self.seconds.get(test, 30.0), test))
        return found


class Campaign:
    """All samples drawn so far, kept in the record."""

    def __init__(self) -> None:
        git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
        self.fresh, self.commit = True, git.stdout.strip()
        self.data: dict[str, Any] = {"seeds": [], "samples": {}, "mutants": []}
        if RECORD.is_file():
            self.data = json.loads(RECORD.read_text())

    def draw(self, seed: int, count: int) -> None:
        """Draws a sample, per package, one mutant a line."""
        if seed in self.data["seeds"]:
            return
        rng, found = random.Random(seed), {name: list[Mutant]() for name in ("core", *PLUGINS)}
        sources = {}
        for path in sorted([*(ROOT / "nasplug").rglob("*.py"), *(ROOT / "plugins").glob("*/nasplug_*/**/*.py")]):
            file = path.relative_to(ROOT).as_posix()
            if "_template" not in file:
                sources[file] = path.read_text()
                found[package(file)].extend(sites(file, sources[file]))
        each = max(round(SHARE * count), 1)
        drawn: list[tuple[int, str, Mutant]] = []
        taken = {(entry["file"], entry["line"]) for entry in self.data["mutants"]}
        for name, all_of_it in found.items():
            wanted = each if name != "core" else count - each * len(PLUGINS)
            for mutant in rng.sample(all_of_it, len(all_of_it)):
                if (mutant.file, mutant.line) not in taken and mutant.compiles(sources[mutant.file]) and wanted:
                    taken.add((mutant.file, mutant.line))
                    drawn.append((wanted * each if name != "core" else wanted, name, mutant))
                    wanted -= 1
        # Packages take turns, so that a campaign that is stopped early says something about all of them.
        drawn.sort(key=lambda each: (-each[0], each[1]))
        for _, _, mutant in drawn:
            number = len(self.data["mutants"])
            self.data["mutants"].append(
                {"number": number, "seed": seed, **asdict(mutant), "first": None, "status": None}
            )
        self.data["seeds"].append(seed)
        possible = {name: len(all_of_it) for name, all_of_it in found.items()}
        self.data["samples"][str(seed)] = {"commit": self.commit, "possible": possible}
        self.save()

    def save(self) -> None:
        """Writes the record, with the rates of what was run so far."""
        for seed, sample in self.data["samples"].items():
            run = [
                entry
                for entry in self.data["mutants"]
                if str(entry["seed"]) == seed and entry["status"] in ("killed", "survived", "open")
            ]
            for title, key in (("before_new_tests", "first"), ("now", "status")):
                named = {name: [e for e in run if package(e["file"]) == name] for name in ("core", *PLUGINS)}
                sample[title] = {"all": share(run, key)} | {name: share(part, key) for name, part in named.items()}
        made = "import json, _record; print(json.dumps(_record.made()))"
        head = self.data.get("machine") and {}
        if not head:
            out = subprocess.run([sys.executable, "-c", made], cwd=ROOT / "benchmarks", capture_output=True, text=True)
            head = {"benchmark": "mutants", "script": "mutants.py", **json.loads(out.stdout)}
        self.data = head | self.data
        written = RECORD.with_suffix(".part")
        written.write_text(json.dumps(self.data, indent=1) + "\n")
        written.replace(RECORD)

    def run(self, tree: Tree, chosen: list[dict[str, Any]]) -> None:
        """Runs mutants: the first tier of all, then the others of those that are left."""
        mutants: dict[int, Mutant] = {}
        names = set(Mutant.__dataclass_fields__)
        for entry in chosen:
            old = Mutant(**{name: value for name, value in entry.items() if name in names})
            mutant = old.located((tree.folder / old.file).read_text()) if (tree.folder / old.file).is_file() else None
            if mutant is None:
                self.note(entry, "gone", None, None, 0.0)
            else:
                mutants[entry["number"]] = mutant
        begin = {number: m for number, m in mutants.items() if self.entry(number)["status"] != "open"}
        self.tier(tree, 1, begin, {number: tree.first(mutant) for number, mutant in begin.items()})
        left = {number: m for number, m in mutants.items() if self.entry(number)["status"] == "open"}
        fresh = {number: m for number, m in left.items() if self.entry(number)["tier"] == 1}
        self.tier(tree, 2, fresh, {number: tree.second(mutant) for number, mutant in fresh.items()})
        for name in (*PLUGINS, "core"):
            mine = {
                number: m
                for number, m in left.items()
                if package(m.file) == name and self.entry(number)["status"] == "open"
            }
            if mine:
                folder = tests_of(name) + "/"
                reaching = tree.reaching([test for test in tree.tests if test.startswith(folder)], mine)
                tests = {}
                for number, mutant in mine.items():
                    known = (*tree.first(mutant), *tree.second(mutant))
                    tests[number] = [test for test in reaching[number] if not test.startswith(known)]
                    self.entry(number)["reached"] = len(reaching[number])
                self.tier(tree, 3, mine, tests, last=True)

    def attempt(self, tree: Tree, number: int, tests: list[str]) -> None:
        """Runs one mutant against named tests; those may be new, so that `first` stays as it is."""
        entry, begun = self.entry(number), time.monotonic()
        names = Mutant.__dataclass_fields__
        old = Mutant(**{name: value for name, value in entry.items() if name in names})
        mutant = old.located((tree.folder / old.file).read_text())
        if mutant is None:
            self.note(entry, "gone", None, None, 0.0)
            return
        killer = tree.killer(mutant, tests)
        if killer and not tree.suspects({killer}):
            self.note(entry, "killed", 2, killer, entry["seconds"] + time.monotonic() - begun)
        else:
            print(f"{number:4d} survived {' '.join(tests)}")

    def entry(self, number: int) -> dict[str, Any]:
        """What is recorded of a mutant."""
        found: dict[str, Any] = self.data["mutants"][number]
        return found

    def tier(
        self, tree: Tree, tier: int, mutants: dict[int, Mutant], tests: dict[int, list[str]], last: bool = False
    ) -> None:
        """Runs one tier, and runs again what was killed by a test that fails without a mutant too."""
        while mutants:
            for number, mutant in mutants.items():
                entry, begun = self.entry(number), time.monotonic()
                killer = tree.killer(mutant, tests[number])
                spent = time.monotonic() - begun + (entry["seconds"] if tier > 1 else 0.0)
                self.note(entry, "killed" if killer else "survived" if last else "open", tier, killer, spent)
            suspects = tree.suspects({str(self.entry(number)["killed_by"]) for number in mutants})
            mutants = {number: m for number, m in mutants.items() if self.entry(number)["killed_by"] in suspects}

    def note(self, entry: dict[str, Any], status: str, tier: int | None, killer: str | None, seconds: float) -> None:
        """Writes down what became of a mutant."""
        entry.update(status=status, tier=tier, killed_by=killer, seconds=round(seconds, 1))
        # What tests written later kill does not count as killed before them.
        if status != "open" and self.fresh and self.commit == self.data["samples"][str(entry["seed"])]["commit"]:
            entry["first"] = status
        print(
            f"{entry['number']:4d} {status:8s} {seconds:6.1f} s  {entry['file']}:{entry['line']} {killer or ''}",
            flush=True,
        )
        self.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=220, help="number of mutants to draw")
    parser.add_argument("--rerun", choices=["survivors"], help="run these against the tests as they are now")
    parser.add_argument("--judge", nargs=2, metavar=("NUMBER", "WHY"), help="call a survivor equivalent")
    parser.add_argument("--try", nargs="+", dest="named", metavar="NUMBER TEST", help="run one against these tests")
    arguments = parser.parse_args()
    campaign = Campaign()
    if arguments.named:
        number, *tests = arguments.named
        campaign.fresh = False
        with tempfile.TemporaryDirectory(prefix="nasplug-mutants-") as folder:
            campaign.attempt(Tree(ROOT, Path(folder)), int(number), tests)
            os.chdir(ROOT)
        return
    if arguments.judge:
        campaign.data["mutants"][int(arguments.judge[0])]["equivalent"] = arguments.judge[1]
        campaign.save()
        return
    campaign.fresh = not arguments.rerun
    if campaign.fresh:
        campaign.draw(arguments.seed, arguments.count)
    unfinished, survivors = (None, "open"), ("survived", "open")
    wanted = [
        entry
        for entry in campaign.data["mutants"]
        if entry["status"] in (survivors if arguments.rerun else unfinished) and not entry.get("equivalent")
    ]
    for entry in wanted if arguments.rerun else []:
        entry["status"] = "survived"  # runs through all tiers again
    folder = Path(tempfile.mkdtemp(prefix="nasplug-mutants-"))
    try:
        campaign.run(Tree(ROOT, folder), wanted)
    finally:
        os.chdir(ROOT)
        shutil.rmtree(folder, ignore_errors=True)
    for seed, sample in campaign.data["samples"].items():
        print(seed, sample["now"]["all"])


if __name__ == "__main__":
    main()
