"""What most spaces say of their networks: they classify images."""

from __future__ import annotations

from nasplug.contract.io import Inputs, check_images


class ClassifiesImages:
    """Mixin of spaces whose networks take one image (C, H, W) of floating-point numbers and return a vector.

    Example:
        >>> class MySpace(ClassifiesImages, ChoiceSpace): ...
    """

    produces: tuple[str, ...] = ("vector",)

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses everything but one image.

        Args:
            inputs: Inputs that the task feeds.

        Raises:
            SpecError: The networks cannot take such inputs.
        """
        check_images(inputs)
