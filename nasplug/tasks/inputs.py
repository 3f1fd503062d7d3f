"""What networks are called with, as people say it."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs, InputsLike, TensorSpec


def stated_inputs(input_shape: Sequence[int] | None, inputs: InputsLike | None, example_input: object) -> Inputs | None:
    """Reads the short form, the long one or an example, of which at most one must be there.

    Args:
        input_shape: Shape of one input of floating-point numbers.
        inputs: Inputs as `nasplug.Inputs.of` reads them.
        example_input: Batch that the network could be called with.

    Returns:
        The inputs; None if nobody says them.

    Raises:
        TaskError: Two are given, or one cannot be read.
    """
    given = {"input_shape": input_shape, "inputs": inputs, "example_input": example_input}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise TaskError(
            f"{named[0]} and {named[1]} are both given",
            where="inputs",
            fix="give input_shape=(3, 32, 32) for one float input, inputs=... or example_input=... for others",
        )
    if example_input is not None:
        from nasplug.tasks.batches import inputs_of_batch

        return inputs_of_batch(example_input, "example_input")
    if inputs is not None:
        return Inputs.of(inputs)
    if input_shape is None:
        return None
    return Inputs((TensorSpec(tuple(input_shape)),)) if input_shape else Inputs.of(())
