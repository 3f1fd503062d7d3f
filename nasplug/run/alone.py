"""The evaluator that trains one network by itself, where that of a search scores many at once."""

from __future__ import annotations

from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component, resolve
from nasplug.run.spec import RunSpec


def alone(spec: RunSpec, catalog: Catalog) -> RunSpec:
    """Returns the specification with the evaluator that trains networks one by one.

    An evaluator that scores without training each network, such as `supernet`, names the one that trains in its class
    attribute `trains_alone`.

    Args:
        spec: Specification of a search.
        catalog: Catalog to look slugs up in.
    """
    name = getattr(resolve("evaluator", spec.evaluator, catalog, where="evaluator"), "trains_alone", None)
    return spec if name is None else spec.replace(evaluator=Component(name))
