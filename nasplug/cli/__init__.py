"""The command line: one module per command, imported when the command is used."""

from __future__ import annotations

from nasplug.cli.app import COMMANDS, main

__all__ = ["COMMANDS", "main"]
