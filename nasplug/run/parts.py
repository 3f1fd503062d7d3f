"""The parts of a specification that name components: one table for parsing, composing, the Python door and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug.contract.kinds import METHODS
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import Component

if TYPE_CHECKING:
    from nasplug.run.spec import RunSpec


@dataclass(frozen=True, slots=True)
class Part:
    """One key of a specification.

    Attributes:
        key: Key of the specification, and of the Python functions.
        kind: Kind of component.
        many: Whether it is a list.
        driver: Whether workers do without it.
        attributes: Attributes that the object must have beside the methods of its kind.
    """

    key: str
    kind: str
    many: bool = False
    driver: bool = False
    attributes: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[tuple[str, ...], ...]:
        """What the object must have, one of each group."""
        return (*((name,) for name in self.attributes), *METHODS[self.kind])


#: In the order in which they are made.
PARTS: tuple[Part, ...] = (
    Part("space", "space", attributes=("name",)),
    Part("task", "task", attributes=("input_shape", "outputs", "objectives")),
    Part("evaluator", "evaluator"),
    Part("costs", "cost", many=True),
    Part("build", "wrapper", many=True),
    Part("stoppers", "stopper", many=True),
    Part("callbacks", "callback", many=True),
    Part("strategy", "strategy", driver=True),
    Part("trackers", "tracker", many=True, driver=True),
)
#: The executor stands among the options of the run.
EXECUTOR = Part("executor", "executor", driver=True, attributes=("separate",))
PART: Mapping[str, Part] = {part.key: part for part in PARTS}


def parse_part(key: str, value: object) -> Component | tuple[Component, ...]:
    """Reads the component, or the list of components, of one key.

    Raises:
        SpecError: The value has another form.
    """
    if not PART[key].many:
        return Component.parse(value, where=key)
    return tuple(Component.parse(item, where=f"{key}[{i}]") for i, item in enumerate(sequence(value, key)))


def plain_or_object(key: str, value: object, objects: dict[str, object]) -> Component | list[Component] | None:
    """Returns the component for a part as Python callers give it; ready-made objects go into `objects`.

    Args:
        key: Key of the part.
        value: Slug, component, mapping or object; a sequence of those for the parts that are lists.
        objects: Gets ready-made objects by key (`task`, `costs[0]`).
    """
    if PART[key].many:
        return [_one(f"{key}[{i}]", item, objects) for i, item in enumerate(sequence(value, key))]
    return None if value is None else _one(key, value, objects)


def _one(where: str, value: object, objects: dict[str, object]) -> Component:
    if isinstance(value, (str, Mapping, Component)):
        return Component.parse(value, where=where)
    objects[where] = value
    return Component(f"{type(value).__module__}.{type(value).__qualname__}", is_path=True)


def check_members(value: object, part: Part, name: str, error: Callable[..., Exception]) -> None:
    """Refuses an object that is not of the kind.

    Args:
        value: The object.
        part: Kind of part that it should be.
        name: Name of the object, for messages.
        error: Class of the error to raise.
    """
    missing = [" or ".join(group) for group in part.members if not any(_has(value, member) for member in group)]
    if missing:
        wanted = ", ".join(" or ".join(group) for group in part.members)
        raise error(f"a {part.kind} has {wanted}; this one lacks {', '.join(missing)}", where=f"{part.kind} {name!r}")


def check_names(spec: RunSpec, catalog: Catalog) -> None:
    """Refuses names that no plugin announces, before any of them is imported.

    Args:
        spec: The specification.
        catalog: Catalog to look slugs up in.

    Raises:
        UnknownNameError: There is no component of such a name.
    """
    for part in PARTS:
        value = getattr(spec, part.key)
        for item in value if part.many else () if value is None else (value,):
            if not item.is_path:
                catalog.get(part.kind, item.name)
    catalog.get(EXECUTOR.kind, spec.run.executor.name)
    if spec.target is not None:
        catalog.get("target", spec.target.split(":")[0])


def _has(value: object, member: str) -> bool:
    """Like hasattr, without running properties, which may load data."""
    return hasattr(type(value), member) or member in getattr(value, "__dict__", {})


def sequence(value: object, where: str) -> Sequence[object]:
    """Returns the value if it is a list.

    Raises:
        SpecError: It is not.
    """
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise SpecError(f"expected a list, got {value!r}", where=where, fix=f"write `{where}: [...]`")
    return value
