"""Writes the pages of the reference that follow from the code: one for every hook, and the public names by topic."""

from __future__ import annotations

import html
import re
from pathlib import Path

import nasplug
from nasplug.contract.hookspecs import CatalogSpecs, StudySpecs

ROOT = Path(__file__).resolve().parents[2]
#: Hooks in the order of calls: who calls, name, when.
ORDER = [
    ("process", "register", "once per process, for every installed package"),
    ("driver", "hardware_target", "once per study, if its specification names a target"),
    ("driver", "prepare", "once per study, before its first trial runs"),
    ("driver", "propose", "whenever another trial may start"),
    ("worker", "build", "at the start of a trial, and wherever its network is built again"),
    ("worker", "cost", "before training, and for the trained network"),
    ("worker", "evaluate", "once per trial, unless a constraint is broken"),
    ("worker", "inherit", "if the trial starts from the weights of another one"),
    ("worker", "configure_data", "when the evaluator asks for its data"),
    ("worker", "configure_callbacks", "when the evaluator makes its Trainer"),
    ("worker", "should_prune", "for every measurement that a trial reports"),
    ("worker", "edit", "if training changed the structure of the network"),
    ("driver", "observe", "when the result of a trial may be known"),
    ("driver", "recommend", "when somebody asks which network to take"),
    ("driver", "sections", "when a report is written"),
]
LANES = ("process", "driver", "worker")
#: Public names by topic; names that are not listed here stand under "Everything else".
TOPICS: dict[str, tuple[str, str, list[str]]] = {
    "searching": ("Searching", "", ["search", "run_spec", "read_spec", "load_study", "component"]),
    "studies": ("Studies and trials", "", ["Study", "StudyView", "Trial", "Measurement", "Failure", "Architecture"]),
    "tasks": ("Tasks and data", "", ["LightningTask", "ImageClassification", "Training", "Inputs", "TensorSpec"]),
    "spaces": (
        "Spaces and ranges",
        "",
        ["ChoiceSpace", "TableSpace", "Choice", "nest", "Graph", "Categorical", "FloatRange", "IntRange"],
    ),
    "plugins": (
        "For authors of plugins",
        "",
        ["Catalog", "Component", "Proposal", "Evaluation", "TrialRun", "WorkRun", "Work", "Outcome", "Candidate"],
    ),
}
COMMAND = "Pages of this folder are written by `docs/site/build.py`."


def write(folder: Path) -> None:
    """Writes all pages into a folder."""
    for old in folder.rglob("*.md"):
        old.unlink()
    hooks = [name for _, name, _ in ORDER]
    known = {name for specs in (CatalogSpecs, StudySpecs) for name in vars(specs) if not name.startswith("_")}
    if known != set(hooks):
        raise SystemExit(f"the order of calls lacks {sorted(known - set(hooks))} or has too much")
    for index, name in enumerate(hooks):
        _page(folder / "hooks" / f"{name}.md", _hook(index))
    listed = {name for _, _, names in TOPICS.values() for name in names}
    rest = [name for name in sorted(nasplug.__all__) if name not in listed and name not in ("errors", "__version__")]
    topics = {**TOPICS, "rest": ("Everything else", "", rest)}
    for slug, (title, _, names) in topics.items():
        _page(folder / "api" / f"{slug}.md", _names(title, names))
    _page(folder / "api" / "errors.md", _module("Errors", "nasplug.contract.errors"))
    _page(folder / "index.md", _index(hooks, [*topics, "errors"]))


def _page(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _index(hooks: list[str], topics: list[str]) -> str:
    trees = [("Hooks, in the order of calls", [f"hooks/{name}" for name in hooks])]
    trees.append(("Names of nasplug", [f"api/{topic}" for topic in topics]))
    blocks = "\n\n".join(
        f":::{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n\n" + "\n".join(pages) + "\n:::"
        for caption, pages in trees
    )
    return f"# Reference\n\nFrom the code, with shapes, units and errors.\n\n{blocks}\n"


def _hook(index: int) -> str:
    lane, name, when = ORDER[index]
    owner = "CatalogSpecs" if lane == "process" else "StudySpecs"
    who = {"process": "every process", "driver": "the driver", "worker": "the process of the trial"}[lane]
    users = "\n".join(f"- `{place}`" for place in _implementations(name)) or "- none in this repository"
    return (
        f"# `{name}`\n\nCalled in {who}, {when}. "
        "What each argument is for, with examples, stands in [hooks](../../hooks.md).\n\n"
        f"{_timeline(index)}\n\n```{{eval-rst}}\n.. autofunction:: nasplug.contract.hookspecs.{owner}.{name}\n```\n\n"
        f"## Implementations here\n\n{users}\n"
    )


def _implementations(name: str) -> list[str]:
    """Files of the repository whose classes implement a hook."""
    pattern = re.compile(rf"@(?:nas\.|nasplug\.)?hookimpl[^\n]*\n\s+def {name}\(")
    files = [*ROOT.glob("nasplug/**/*.py"), *ROOT.glob("plugins/*/nasplug_*/**/*.py")]
    return sorted(str(file.relative_to(ROOT)) for file in files if pattern.search(file.read_text(encoding="utf-8")))


def _timeline(index: int) -> str:
    """A drawing of all hooks in time, this one marked."""
    step, top, height = 56, 44, 40
    width = 90 + step * len(ORDER)
    box = f"0 0 {width} {top + height * len(LANES) + 8}"
    lines = [
        f'<svg role="img" viewBox="{box}" style="width:100%;font:12px sans-serif">',
        f"<title>{html.escape(ORDER[index][1])} in the order of calls</title>",
    ]
    for row, lane in enumerate(LANES):
        y = top + height * row + height / 2
        lines.append(f'<text x="4" y="{y + 4}" fill="currentColor">{lane}</text>')
        lines.append(f'<line x1="80" x2="{width - 6}" y1="{y}" y2="{y}" stroke="currentColor" opacity="0.25"/>')
    points = []
    for column, (lane, name, _) in enumerate(ORDER):
        x, y = 104 + step * column, top + height * LANES.index(lane) + height / 2
        points.append(f"{x},{y}")
        marked = column == index
        colour = "var(--color-brand-primary)" if marked else "currentColor"
        lines.append(f'<circle cx="{x}" cy="{y}" r="{7 if marked else 4}" fill="{colour}"/>')
        if marked:
            anchor = "end" if column > len(ORDER) - 3 else "start" if column < 2 else "middle"
            lines.append(
                f'<text x="{x}" y="20" text-anchor="{anchor}" fill="{colour}" font-weight="bold">{name}</text>'
                f'<line x1="{x}" x2="{x}" y1="26" y2="{y - 8}" stroke="{colour}"/>'
            )
    lines.insert(2, f'<polyline points="{" ".join(points)}" fill="none" stroke="currentColor" opacity="0.35"/>')
    return "\n".join([*lines, "</svg>"])


def _names(title: str, names: list[str]) -> str:
    parts = []
    for name in names:
        value = getattr(nasplug, name)
        if isinstance(value, type):
            directive, options = "autoclass", "\n   :members:\n   :exclude-members: __init__"
        elif callable(value) and hasattr(value, "__code__"):
            directive, options = "autofunction", ""
        else:
            directive, options = "autodata", ""
        parts.append(f"```{{eval-rst}}\n.. {directive}:: nasplug.{name}{options}\n```")
    return f"# {title}\n\n" + "\n\n".join(parts) + "\n"


def _module(title: str, module: str) -> str:
    return f"# {title}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n   :show-inheritance:\n```\n"
