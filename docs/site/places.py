"""A Sphinx extension: links of our pages lead to the same places on the site as in the repository.

Pages link to each other, to scripts, to records and to folders, relative to themselves. Pages stay links between
pages, and files are shown or downloaded; a folder has no page, so its link becomes plain text.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class FoldersArePlainText(SphinxTransform):
    """Replaces links to folders by their text."""

    default_priority = 5

    def apply(self, **kwargs: object) -> None:
        """Looks at every element that leads somewhere."""
        here = Path(self.env.doc2path(self.env.docname)).parent
        for node in list(self.document.findall(nodes.Element)):
            target = str(node.get("reftarget") or node.get("refuri") or "")
            if not target or "://" in target or target.startswith("#"):
                continue
            if (here / target.partition("#")[0]).is_dir():
                node.replace_self(node.children or [nodes.Text(target)])


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds the transform."""
    app.add_transform(FoldersArePlainText)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
