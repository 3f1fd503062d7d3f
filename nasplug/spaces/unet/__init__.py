"""U-Nets for slices and volumes."""

from nasplug.spaces.unet.space import UNetSpace

__all__ = ["UNetSpace"]
