"""Which family an operation belongs to, told from its label: decides the colour of its box."""

from __future__ import annotations

import re

#: Family -> (pattern over lower-case labels, colour name of `nasplug.report.figures.PALETTE`). First match wins.
FAMILIES: dict[str, tuple[str, str]] = {
    "input and output": (r"^(input|output|in|out)\d*$", "muted"),
    "identity": (r"^(no_?op|none|zero(ize)?)\b|skip|ident", "muted"),
    "pooling": (r"pool|^(max|avg|gap)(_|\b|\d)", "c2"),
    "attention": (r"att|transformer|mhsa|\bself", "c5"),
    "residual block": (r"^bv\d|res(idual|net|_|\d|block|\b)|bottleneck|mbconv|mb_|fused|inverted|block", "c3"),
    "convolution": (r"conv|^(sep|dil|dw|pw|c)_?\d|separable|dilated|depthwise|pointwise|\d\s*x\s*\d", "c1"),
    "dense": (r"linear|dense|mlp|^fc|^ff", "c4"),
    "norm and activation": (r"norm|^(bn|ln|gn)\b|relu|gelu|silu|swish|sigmoid|tanh|softmax|drop", "c6"),
    "merge": (r"^(add|sum|concat|cat|merge|mul|\+)", "c7"),
}
_COMPILED = {family: re.compile(pattern) for family, (pattern, _) in FAMILIES.items()}
OTHER = "other"


def family(label: str) -> str:
    """The family of an operation, `OTHER` if the label tells nothing."""
    lowered = label.lower()
    return next((name for name, pattern in _COMPILED.items() if pattern.search(lowered)), OTHER)


def colour(name: str) -> str:
    """The colour name of a family."""
    return FAMILIES[name][1] if name in FAMILIES else "c8"
