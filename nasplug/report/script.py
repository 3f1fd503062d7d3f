"""The script of the page: its parts in one, and the policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

#: Parts of the script in their order; each declares what the later ones use.
PARTS = (
    "format",
    "model",
    "chart",
    "scatter",
    "lines",
    "parallel",
    "importance",
    "table",
    "network",
    "details",
    "explore",
    "live",
)


def source() -> str:
    """Returns the script as one strict function."""
    folder = files("nasplug.report") / "templates" / "script"
    parts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in PARTS]
    return "\n(() => {\n'use strict';\n" + "\n".join(parts) + "})();\n"


def policy(script: str, *, live: bool) -> str:
    """Returns the content security policy of a page: this script and no other, styles and pictures of the page itself.

    Args:
        script: Text of the script element, as it stands in the page.
        live: Whether the page may ask its own server for news.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    connect = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
