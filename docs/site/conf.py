"""Settings of the site. Pages are the Markdown files of the repository, where they are; see `build.py`."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from torch import nn

import nasplug.contract.records

# Annotations of records name torch for type checkers only.
nasplug.contract.records.nn = nn  # type: ignore[attr-defined]

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

project = "nasplug"
author = "The nasplug maintainers"
project_copyright = "The nasplug maintainers, MIT licence"
version = release = version_of("nasplug")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "places",
]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/tutorials/*.md",
    "docs/_reference/*.md",
    "docs/_reference/*/*.md",
    "plugins/*/README.md",
    "plugins/*/CHANGELOG.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "dist", "runs", "plugins/_template", "**/node_modules", "**/.*", "**/__pycache__"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]
default_role = "code"
highlight_language = "python"
copybutton_exclude = ".linenos, .gp"

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "nasplug"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fbf", "color-brand-content": "#1f5fbf"},
    "dark_css_variables": {"color-brand-primary": "#8ab4f8", "color-brand-content": "#8ab4f8"},
}
