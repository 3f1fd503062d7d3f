"""The shape of the sources: types that say something, short files, few parameters, no large circles of imports."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    ROOT / "nasplug",
    *sorted(path for path in (ROOT / "plugins").glob("*/nasplug_*") if path.is_dir()),
]
SOURCES = {path: path.read_text(encoding="utf-8") for package in PACKAGES for path in sorted(package.rglob("*.py"))}
TREES = {path: ast.parse(text) for path, text in SOURCES.items()}

#: Bounds that may be lowered and never raised. Arithmetic on arrays is where `Any` is left.
ANY_PER_1000_LINES = {
    "nasplug": 10.0,
    "nasplug_ablation": 17.0,
    "nasplug_bogk": 6.0,
    "nasplug_cgap": 17.0,
    "nasplug_darts_lp": 18.5,
    "nasplug_emonas": 12.0,
    "nasplug_infonas": 15.0,
    "nasplug_npu": 27.0,
    "nasplug_optuna": 9.0,
    "nasplug_qnas": 16.0,
    "nasplug_ray": 14.0,
    "nasplug_reduction": 14.0,
    "nasplug_slurm": 14.0,
    "nasplug_tables": 23.0,
    "nasplug_zerocost": 12.0,
}
PARAMETERS, WIDE_FUNCTIONS = 12, 5
CIRCLE = 3
LINES = 500


def uses_of_any(text: str) -> int:
    """How often a source says `Any`, without its imports, comments and texts."""
    imports = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(
        token.string == "Any" and token.type == tokenize.NAME and token.start[0] not in imports for token in tokens
    )


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_types_say_something(package):
    texts = [text for path, text in SOURCES.items() if path.is_relative_to(package)]
    share = 1000 * sum(map(uses_of_any, texts)) / sum(text.count("\n") for text in texts)
    assert share <= ANY_PER_1000_LINES[package.name], f"{share:.1f} times Any per 1,000 lines"


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    names = [item.arg for item in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def wide(trees: dict[Path, ast.Module]) -> list[str]:
    """Functions with more than `PARAMETERS` parameters."""
    return [
        f"{path.name}:{node.lineno}: {node.name} takes {len(parameters(node))}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and len(parameters(node)) > PARAMETERS
    ]


def test_few_functions_take_many_parameters():
    folders = ("benchmarks", "examples", "tests")
    others = {
        path: ast.parse(path.read_text(encoding="utf-8")) for name in folders for path in (ROOT / name).rglob("*.py")
    }
    found = wide(TREES | others)
    assert len(found) <= WIDE_FUNCTIONS, "\n".join(found)


def test_files_hold_one_idea():
    long = [
        f"{path.relative_to(ROOT)}: {text.count(chr(10))}" for path, text in SOURCES.items() if text.count("\n") > LINES
    ]
    assert not long, "\n".join(long)


def module_of(path: Path) -> str:
    package = next(package for package in PACKAGES if path.is_relative_to(package))
    parts = [package.name, *path.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(node: ast.AST, known: set[str]) -> Iterator[str]:
    """Modules that a source imports at any time, inside functions as well, but not those for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from imports(ast.Module([other], []), known)
            continue
        if isinstance(child, ast.Import):
            yield from (item.name for item in child.names if item.name in known)
        elif isinstance(child, ast.ImportFrom) and child.module is not None and child.level == 0:
            for item in child.names:
                inner = f"{child.module}.{item.name}"
                if inner in known or child.module in known:
                    yield inner if inner in known else child.module
        yield from imports(child, known)


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Sets of modules each of which reaches all others, of two modules or more."""
    reached: dict[str, set[str]] = {}
    for start in edges:
        found, todo = set(), [start]
        while todo:
            for following in edges[todo.pop()] - found:
                found.add(following)
                todo.append(following)
        reached[start] = found
    sets = {
        frozenset({other for other in reached[one] if one in reached[other]}) for one in edges if one in reached[one]
    }
    return sorted(sorted(names) for names in sets if len(names) > 1)


def test_circles_of_imports_are_small():
    names = {path: module_of(path) for path in TREES}
    known = set(names.values())
    edges = {names[path]: set(imports(tree, known)) for path, tree in TREES.items()}
    assert sum(map(len, edges.values())) > 500, "the check looks at nothing"
    large = [circle for circle in circles(edges) if len(circle) > CIRCLE]
    assert not large, "\n".join(" -> ".join(circle) for circle in large)


# -- the checks themselves -------------------------------------------------------------------------------------------


def test_any_is_counted_where_it_is_a_type():
    assert (
        uses_of_any("from typing import Any\n\ndef f(x: Any) -> 'dict[str, int]':\n    '''Any text.'''  # Any\n") == 1
    )


def test_functions_of_many_parameters_are_found():
    names = ", ".join(f"p{i}" for i in range(PARAMETERS))
    source = f"def fits(self, {names}): ...\ndef wide({names}, *, more): ...\n"
    assert wide({Path("x.py"): ast.parse(source)}) == ["x.py:2: wide takes 13"]


def test_lazy_imports_count_and_those_for_type_checkers_do_not():
    source = "if TYPE_CHECKING:\n    import a.b\nelse:\n    import a.c\ndef f():\n    from a import d\n"
    assert set(imports(ast.parse(source), {"a", "a.b", "a.c", "a.d"})) == {"a.c", "a.d"}


def test_circles_are_found():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert circles(edges) == [["a", "b", "c"], ["d", "e"]]
