"""Single-line mutants of a source file: what can be changed, where, and into what.

A mutant replaces some characters of one line. Strings, annotations, decorators, arguments of errors and warnings,
`__all__`, `if TYPE_CHECKING:` and `if __name__ == "__main__":` are never touched: no test of behaviour could tell.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any

#: Operators and what replaces them.
COMPARISONS = {
    **{ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">")},
    **{ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: (r"is\s+not", "is")},
    **{ast.In: ("in", "not in"), ast.NotIn: (r"not\s+in", "in")},
}
ARITHMETIC = {
    **{ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*")},
    **{ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&")},
}


@dataclass(frozen=True)
class Mutant:
    """One change of one line.

    Attributes:
        file: Path below the root, with slashes.
        line: Number of the line, from 1.
        kind: Kind of the change.
        before, after: The line, without spaces around it.
        column: First changed character, from 0, the indentation not counted.
        statement: Line of the statement that holds the change, before which code can be inserted.
        imported: Whether the line runs when its module is imported.
    """

    file: str
    line: int
    kind: str
    before: str
    after: str
    column: int
    statement: int
    imported: bool

    def apply(self, source: str) -> str:
        """The source with the change in place."""
        lines = source.splitlines(keepends=True)
        lines[self.line - 1] = lines[self.line - 1].replace(self.before, self.after)
        return "".join(lines)

    def located(self, source: str) -> Mutant | None:
        """The same change in a source of which other lines may have changed; None if its own line has."""
        same = [m for m in sites(self.file, source) if (m.before, m.after) == (self.before, self.after)]
        return min(same, key=lambda m: abs(m.line - self.line), default=None)

    def compiles(self, source: str) -> bool:
        """Whether the changed source is Python."""
        try:
            compile(self.apply(source), self.file, "exec")
        except SyntaxError:
            return False
        return True


class _Finder:
    """Walks over the tree of one file."""

    def __init__(self, file: str, source: str) -> None:
        self.file, self.lines = file, source.splitlines()
        self.statement, self.imported = 1, True
        self.found: list[Mutant] = []

    def position(self, line: int, byte: int) -> int:
        """Characters before a position that is given in bytes."""
        return len(self.lines[line - 1].encode()[:byte].decode())

    def add(self, kind: str, line: int, start: int, end: int, text: str) -> None:
        """Keeps a change of characters `start` to `end` of a line."""
        old = self.lines[line - 1]
        indent = len(old) - len(old.lstrip())
        new = (old[:start] + text + old[end:]).strip()
        self.found.append(
            Mutant(self.file, line, kind, old.strip(), new, start - indent, self.statement, self.imported)
        )

    def replace(self, kind: str, node: ast.AST, text: str) -> None:
        """Keeps a change of a whole node, if it stands on one line."""
        line = node.lineno  # type: ignore[attr-defined]
        if line == node.end_lineno:  # type: ignore[attr-defined]
            ends = (node.col_offset, node.end_col_offset)  # type: ignore[attr-defined]
            self.add(kind, line, *(self.position(line, at) for at in ends), text)

    def between(self, kind: str, left: ast.expr, right: ast.expr, old: str, new: str) -> None:
        """Keeps a change of the operator between two nodes."""
        line = left.end_lineno
        if line is None or line != right.lineno:
            return
        start, end = self.position(line, left.end_col_offset or 0), self.position(line, right.col_offset)
        pattern = re.escape(old) if "\\" not in old else old
        if match := re.search(
            rf"(?<![\w]){pattern}(?![\w])" if old[0].isalpha() else pattern, self.lines[line - 1][start:end]
        ):
            self.add(kind, line, start + match.start(), start + match.end(), new)

    def block(self, statements: list[ast.stmt], imported: bool) -> None:
        """Walks over a list of statements."""
        for statement in statements:
            self.visit_statement(statement, imported)

    def visit_statement(self, node: ast.stmt, imported: bool) -> None:
        """Changes of one statement, then of those inside it."""
        self.imported = imported
        if not (isinstance(node, ast.If) and self.lines[node.lineno - 1].lstrip().startswith("elif")):
            decorators = getattr(node, "decorator_list", [])
            self.statement = min([node.lineno, *(one.lineno for one in decorators)])
        if isinstance(node, ast.If) and re.search(r"TYPE_CHECKING|__name__", self.lines[node.lineno - 1]):
            return
        called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if called or isinstance(node, (ast.Raise, ast.Continue, ast.Break, ast.AugAssign, ast.Delete)):
            self.replace("statement", node, "pass")
        elif isinstance(node, ast.Assign):
            if any(isinstance(target, ast.Name) and target.id.startswith("__") for target in node.targets):
                return
            if all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets):
                self.replace("statement", node, "pass")
        elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
            self.replace("return", node, "return None")
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params", "bases", "exc", "cause", "msg"):
                continue
            kept = self.statement
            if name in ("body", "orelse", "finalbody") and isinstance(value, list):
                within = imported and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
                self.block(value, within)
            elif name in ("handlers", "cases"):
                for part in value:
                    if getattr(part, "guard", None) is not None:
                        self.visit(part.guard)
                    self.block(part.body, imported)
            else:
                for part in value if isinstance(value, list) else [value]:
                    if isinstance(part, ast.AST):
                        self.visit(part)
            self.statement, self.imported = kept, imported

    def visit(self, node: ast.AST) -> None:
        """Changes of expressions."""
        if isinstance(node, (ast.JoinedStr, ast.arg)):
            return
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if re.search(r"(Error|Failure|Warning|warn|log|debug|info|TypeVar|cast)$", called):
                return
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
                self.between("comparison", left, right, *COMPARISONS[type(operator)])
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            texts = (ast.JoinedStr, ast.List, ast.Tuple)
            sides = (node.left, node.right)
            if not any(
                isinstance(s, texts) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides
            ):
                self.between("arithmetic", node.left, node.right, *ARITHMETIC[type(node.op)])
        elif isinstance(node, ast.BoolOp):
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                self.between("boolean", left, right, *words)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.replace("not", node, ast.get_source_segment("\n".join(self.lines), node.operand) or "")
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, bool):
                self.replace("flag", node, str(not node.value))
            elif isinstance(node.value, (int, float)):
                self.replace("constant", node, repr(node.value + 1))
        for child in ast.iter_child_nodes(node):
            self.visit(child)


def sites(file: str, source: str) -> list[Mutant]:
    """All changes of a file, a few of which may not compile.

    Args:
        file: Path below the root.
        source: Text of the file.
    """
    finder = _Finder(file, source)
    finder.block(ast.parse(source).body, imported=True)
    return [mutant for mutant in finder.found if mutant.before != mutant.after and "\n" not in mutant.after]


def probed(source: str, marks: list[tuple[int, str]], module: str, call: str) -> str:
    """The source with calls before some statements and at the beginning of every function.

    Args:
        source: Text of a file.
        marks: Lines of statements, and the report before each.
        module: Report of every function.
        call: Code with `{}` for the report.
    """
    lines = source.splitlines(keepends=True)
    before: dict[int, list[str]] = {}
    for line, name in marks:
        before.setdefault(line, []).append(call.format(repr(name)))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for statement in node.body[1:] if ast.get_docstring(node) else node.body[:1]:
                first = min([statement, *getattr(statement, "decorator_list", [])], key=lambda part: part.lineno)
                if first.lineno > node.lineno and lines[first.lineno - 1][: first.col_offset].strip(" @") == "":
                    before.setdefault(first.lineno, []).append(call.format(repr(module)))
                break
    for line in sorted(before, reverse=True):
        old = lines[line - 1]
        indent = old[: len(old) - len(old.lstrip())]
        lines.insert(line - 1, "".join(f"{indent}{text}\n" for text in before[line]))
    return "".join(lines)


def interval(killed: int, count: int) -> list[float]:
    """95 % interval of a share (Wilson, 1927)."""
    if not count:
        return [0.0, 1.0]
    z, share = 1.959964, killed / count
    middle, spread = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    scale = 1 + z * z / count
    return [round(max((middle - spread) / scale, 0.0), 4), round(min((middle + spread) / scale, 1.0), 4)]


def share(entries: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """Mutants, equivalent ones, and which share of the others is killed; unfinished ones count as not killed."""
    real = [entry for entry in entries if not entry.get("equivalent")]
    killed = sum(entry[key] == "killed" for entry in real)
    rate = round(killed / len(real), 4) if real else None
    equivalent, unfinished = len(entries) - len(real), sum(entry["status"] == "open" for entry in real)
    counts = {"mutants": len(entries), "equivalent": equivalent, "killed": killed, "unfinished": unfinished}
    return counts | {"share": rate, "interval": interval(killed, len(real))}
