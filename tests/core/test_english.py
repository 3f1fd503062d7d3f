"""Sources and pages are written in the English of the field, as far as rules can tell."""

from __future__ import annotations

import textwrap

import pytest

from tests.docs import english
from tests.docs.pages import ROOT

#: What users read: sources with their docstrings and messages, pages, examples.
TREES = ("nasplug", "plugins", "docs", "examples", "benchmarks", "README.md", "CONTRIBUTING.md")


def _files():
    for name in TREES:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            inside = path.relative_to(ROOT).parts
            if path.suffix in (".md", ".py", ".yaml") and not {"tests", ".venv", "build", "dist"} & set(inside):
                yield path


def test_everything_reads_well():
    files = list(_files())
    assert len(files) > 400, "the check looks at nothing"
    lines = [
        f"{path.relative_to(ROOT)}:{finding.line}: {finding.text}\n    write: {finding.advice}"
        for path in files
        if path.name != "CHANGELOG.md"
        for finding in english.findings(path)
    ]
    assert not lines, "\n" + "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "See :class:`Study`.",
        "the value ``None``",
        "this is no study",
        "layers that are no layers of torch",
        "which 'x' has not",
        "needs HasGraph, which 'x' has not, so",
        "a temperature of 0 has no sense",
        "in one message with the nearest right word",
        "the search has no end",
        "a network whose way depends on values",
        "random search is there unless sent away",
        "resumed after 1 trials",
        "1 finished trials of 1 epoch",
        "f\"{n} trial{'s' * (n != 1)}\"",
        "f\"{n} trial{'' if n == 1 else 's'}\"",
    ],
)
def test_phrases_that_need_a_second_reading_are_found(text):
    assert [finding.line for finding in english.phrases(f"fine\n{text}\n")] == [2]


@pytest.mark.parametrize(
    "text",
    [
        "there is no GPU",
        "There are no weights.",
        "this study is not a file",
        "the cost is no longer logged",
        "bounds are no better than those of another unit",
        "it has not been measured",
        "the network has no trainable parameters",
        "```python",
        "101 trials, 1 trial, 0.1 epochs, 1x1 layers, block-1 layers",
    ],
)
def test_good_english_passes(text):
    assert list(english.phrases(text)) == []


def test_arguments_begin_with_a_noun():
    source = '''
        def draw(seed, size, epochs, name):
            """Draws.

            Args:
                seed: Of all draws.
                size: How many.
                epochs: Number of epochs, of which the last
                    counts: for what it is worth.
                *name: For messages.

            Returns:
                tuple: Of numbers.
            """
    '''
    found = list(english.arguments(textwrap.dedent(source)))
    assert [finding.text.split(":")[0] for finding in found] == ["seed", "size", "*name"]


@pytest.mark.parametrize(
    ("text", "bad"),
    [("of the whole search", True), ("how many", True), ("so many graphs", True), ("number of graphs", False)],
)
def test_help_begins_with_a_noun_or_a_verb(text, bad):
    assert bool(list(english.helps(f"add('--x', help={text!r})"))) is bad


def test_docstrings_are_in_the_third_person():
    source = 'def one():\n    """Return it."""\n\ndef two():\n    """Returns it."""\n\ndef three():\n    pass\n'
    assert [finding.text for finding in english.imperatives(source)] == ["one: Return ..."]


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("f'{len(trials)} trials'", True),
        ("f'after {epochs} finished epochs'", True),
        ("f'{2 * rows:,} rows'", True),
        ("f'{self.budget.trials} trials'", True),
        ("f\"{plural(len(trials), 'trial')} trained\"", False),
        ("f'the {split} images'", False),
        ("f'{name!r} values'", False),
        ("f'{count} of {total}'", False),
    ],
)
def test_counts_go_through_the_helper(text, bad):
    assert bool(list(english.counts(text))) is bad
