"""Badges: two words in a small picture, for the top of a README."""

from __future__ import annotations

from html import escape

#: Colours of the right half, by what it says.
COLOURS = {"good": "#2e7d32", "bad": "#c62828", "plain": "#1565c0"}
#: Widths of characters in pixels at the size of 11: those that differ much from `_COMMON`.
_WIDTHS = {**dict.fromkeys("ijl.,:;'|! ", 4.0), **dict.fromkeys("frtI-()/", 5.0), **dict.fromkeys("mwMW%", 10.5)}
_COMMON = 7.0
#: Free space beside a text.
_BESIDE = 12


def badge(label: str, message: str, kind: str = "plain") -> str:
    """Draws a badge as SVG; text is selectable, and readable on light and on dark pages.

    Args:
        label: Left half: what it is about.
        message: Right half: what is said of it.
        kind: `good`, `bad` or `plain`; the colour of the right half.

    Returns:
        The SVG document.
    """
    left, right = (round(sum(_WIDTHS.get(each, _COMMON) for each in text)) + _BESIDE for text in (label, message))
    title = escape(f"{label}: {message}")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        f'<clipPath id="round"><rect width="{left + right}" height="20" rx="3"/></clipPath>',
        '<g clip-path="url(#round)">',
        f'<rect width="{left}" height="20" fill="#424242"/>',
        f'<rect x="{left}" width="{right}" height="20" fill="{COLOURS[kind]}"/>',
        "</g>",
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">',
        f'<text x="{left / 2:g}" y="14" textLength="{left - _BESIDE}">{escape(label)}</text>',
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - _BESIDE}">{escape(message)}</text>',
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
