"""How numbers, durations and names are written in reports and terminals."""

from __future__ import annotations

import json
import math
import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: object) -> str:
    """A number in at most four digits: `0.9871`, `7.07 M`, `1.2e-05`; anything else as text.

    >>> number(7_070_000), number(0.98714), number(12_345), number(1.5e-6), number(float("nan"))
    ('7.07 M', '0.9871', '12,345', '1.5e-06', 'not a number')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return text(value)
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if float(value).is_integer() and size < 1e5:
        return f"{int(value):,}"
    if size >= 1e15:
        return f"{value:.3g}"
    if size >= 1e4:
        for factor, letter in _LARGE:
            # 999,950 is a million already: rounding must not leave four digits before the point.
            if size >= 0.9995 * factor:
                return f"{value / factor:.3g} {letter}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Wall time for humans.

    >>> duration(0.0312), duration(42.3), duration(95), duration(7300), duration(200_000)
    ('31 ms', '42 s', '1 min 35 s', '2 h 1 min', '2 d 7 h')
    """
    if not 0 <= seconds < math.inf:
        return "unknown"
    if seconds < 1e-3:
        return "<1 ms"
    # What is rounded up to the next unit is written in it: not 1000 ms, not 60 s.
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    for unit, name, rest, rest_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // rest} {rest_name}"
    return f"{whole} s"


def text(value: object) -> str:
    """Anything as one line that is safe to print and to write as UTF-8.

    Control characters (terminal escapes among them) and lone surrogates become `�`.
    """
    raw = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return "".join([c if c.isprintable() else (" " if c.isspace() else "�") for c in raw])


def clean(page: str) -> str:
    """A text of many lines without control characters and lone surrogates, which become `�`."""
    return _UNPRINTABLE.sub("�", page)


def shorten(value: object, limit: int) -> str:
    """`text` of at most `limit` characters, the middle left out.

    >>> shorten("conv_3_1_64, conv_3_1_128", 15)
    'conv_3_…3_1_128'
    """
    line = text(value)
    if len(line) <= limit:
        return line
    head = (limit - 1) // 2
    return f"{line[:head]}…{line[len(line) - (limit - 1 - head) :]}"
