"""Parts of a task are objects: a name or a dictionary in their place is refused where it is given."""

from __future__ import annotations

from nasplug.contract.errors import TaskError


def check_parts(task: str, **parts: tuple[object, type]) -> None:
    """Refuses parts of another type, such as `data="digits"` from Python.

    A specification may name its parts, because each name is resolved before a task is made; from Python they are
    objects, or the whole task is a component, which may name them as a specification does.

    Args:
        task: Slug of the task, for the message.
        **parts: Values of arguments and the classes they must be instances of.

    Raises:
        TaskError: A value is an instance of another class.
    """
    for name, (value, wanted) in parts.items():
        if isinstance(value, wanted):
            continue
        named = f'nasplug.component("{task}", {name}={value!r})' if isinstance(value, str | dict) else None
        made = f"an instance of {wanted.__module__}.{wanted.__qualname__}"
        raise TaskError(
            f"`{name}` must be {made}, got {value!r}" if named else f"`{name}` must be {made}, got {type(value)}",
            where=task,
            fix=f"pass one, or name it in a component: {named}" if named else "pass one",
        )
