"""Finds English that a reader of the field has to read twice, in sources and pages.

Only what a rule can decide is here; the rest needs reading.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: What must not occur in any text, and what to write instead.
PHRASES = {
    r":(?:py:)?(?:attr|class|const|data|exc|func|meth|mod|obj|ref|term):`": "single backticks, no Sphinx role",
    r"(?<!`)``(?!`)": "single backticks",
    r"(?<!\bthere )\b(?:is|are|was|were) no\b(?! (?:better|faster|fewer|larger|less|longer|more|smaller|worse)\b|$)": (
        "'is not a', or 'expected X, got Y'"
    ),
    r"\b(?:has|have|had) not(?=[,.;:)\"']|$)": "'does not have it'",
    r"\b(?:has|have|makes?) no sense\b": "what is allowed, such as 'temperature must be > 0'",
    r"\bnearest right word\b": "'with a suggestion'",
    r"\bhas no end\b": "'no stopping criterion', 'unlimited'",
    r"\bwhose way\b": "'whose control flow'",
    r"\bsent away\b": "'excluded'",
    r"(?<![\w.,/×-])(?<![-+<>=*] )1 (?:[a-z]+ )?(?:epochs|files|images|layers|networks|rows|runs|seeds|trials)\b": (
        "a noun that agrees with its number"
    ),
    r"(?:[\"']s[\"'] ?(?:if|\*)|else [\"']s[\"'])": "nasplug.contract.wording.plural",
}
#: Words that no description of an argument begins with: prepositions, pronouns and question words in place of the noun.
OPENERS = frozenset(
    re.findall(
        r"\w+",
        "after as at before between both by called during for from has how in into its made not of on only per set "
        "their those to what where which who whose why with without",
    )
)
#: Docstrings describe in the third person: "Returns", not "Return".
IMPERATIVES = frozenset(
    re.findall(
        r"\w+",
        "Add Advance Answer Apply Ask Build Call Check Compute Continue Convert Create Draw Find Get Give "
        "Initialize Keep Load Look Make Move Parse Propose Raise Read Rebuild Remove Replace Restore Return "
        "Run Sample Save Take Tell Train Update Use Write",
    )
)
#: Nouns that messages count.
NOUNS = (
    "architectures|branches|cells|channels|choices|classes|columns|cores|decisions|edges|elements|entries|epochs|"
    "evaluations|examples|features|files|generations|graphs|images|individuals|inputs|jobs|labels|layers|networks|nodes|"
    "objectives|operations|options|outputs|parameters|plugins|points|processes|proposals|queries|rows|rungs|runs|seeds|"
    "steps|tensors|trainings|trials|units|values|vertices|weights|workers"
)
_COUNTED = re.compile(rf" (?:(?!and |of |or )[a-z]+(?<!s) )?(?:{NOUNS})\b(?![=(])")
#: Values in messages that are words, not numbers.
_WORDS = frozenset({"__name__", "kind", "label", "name", "split", "variant", "word"})
_SECTION = re.compile(r"\s*(Args|Attributes|Returns|Raises|Yields|Examples?|Note):")
_ARGUMENT = re.compile(r"(\s{4,})\*{0,2}\w+(?:, \w+)*: (\S+)")


_PHRASES = [(re.compile(pattern, re.IGNORECASE | re.MULTILINE), advice) for pattern, advice in PHRASES.items()]


@functools.lru_cache(maxsize=1)
def _nodes(source: str) -> tuple[ast.AST, ...]:
    """All nodes of a source, which several rules go through."""
    return tuple(ast.walk(ast.parse(source)))


@dataclass(frozen=True)
class Finding:
    """A place and what to write there instead."""

    line: int
    text: str
    advice: str


def phrases(text: str) -> Iterator[Finding]:
    """Phrases of the table, line by line; fenced code of a page included, since readers read it."""
    # Most texts have none of most phrases, which one search of the whole says.
    here = [(pattern, advice) for pattern, advice in _PHRASES if pattern.search(text)]
    for number, line in enumerate(text.splitlines() if here else (), 1):
        for pattern, advice in here:
            if pattern.search(line):
                yield Finding(number, line.strip(), advice)


def arguments(source: str) -> Iterator[Finding]:
    """Descriptions of arguments and attributes that do not begin with a noun."""
    section = indent = ""
    for number, line in enumerate(source.splitlines(), 1):
        header = _SECTION.fullmatch(line)
        if header or line.strip() in ('"""', ""):
            section, indent = header[1] if header else "", ""
            continue
        match = _ARGUMENT.match(line)
        if section not in ("Args", "Attributes") or not match:
            continue
        indent = indent or match[1]
        if match[1] == indent and match[2].strip(",.;").lower() in OPENERS:
            yield Finding(number, line.strip(), "begin with a noun: 'Seed of every random stream.'")


def helps(source: str) -> Iterator[Finding]:
    """Help of options that does not begin with a noun or a verb; `only` is one word that may stand there."""
    for node in _nodes(source):
        if isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
            text = str(node.value.value)
            if text.split(" ")[0] in OPENERS - {"only", "set"} or text.startswith("so many"):
                yield Finding(node.value.lineno, text, "begin with a noun: 'number of trials'")


def imperatives(source: str) -> Iterator[Finding]:
    """Docstrings that command instead of describing."""
    for node in _nodes(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "").split(maxsplit=1)[:1]
            if first and first[0] in IMPERATIVES:
                yield Finding(node.body[0].lineno, f"{node.name}: {first[0]} ...", f"the third person: {first[0]}s")


def counts(source: str) -> Iterator[Finding]:
    """Numbers in f-strings whose noun is always in the plural."""
    for node in _nodes(source):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            if value.conversion == -1 and _is_count(value.value) and _COUNTED.match(str(after.value)):
                text = f"{{{ast.unparse(value.value)}}}{after.value}"
                yield Finding(node.lineno, text, "nasplug.contract.wording.plural(count, noun)")


def _is_count(value: ast.expr) -> bool:
    if isinstance(value, ast.Name | ast.Attribute):
        return (value.id if isinstance(value, ast.Name) else value.attr) not in _WORDS
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in ("len", "sum", "max", "min", "int")
    return isinstance(value, ast.BinOp)


def findings(path: Path) -> list[Finding]:
    """Everything to mend in a source file or page."""
    text = path.read_text(encoding="utf-8")
    found = list(phrases(text))
    if path.suffix == ".py":
        found += [*arguments(text), *helps(text), *imperatives(text), *counts(text)]
    return sorted(found, key=lambda finding: finding.line)
