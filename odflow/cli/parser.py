"""argparse whose errors are one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from odflow.errors import ConfigError, nearest

PROGRAM = "python -m odflow"


class Parser(argparse.ArgumentParser):
    """A parser of one command.

    Args:
        command: its name; "" for the program itself.
        description: shown by --help.
        epilog: shown at the end of it.
    """

    def __init__(self, command: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"{PROGRAM} {command}".strip(),
            usage=f"{PROGRAM} {command or 'COMMAND'} [flags]",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse(self, words: list[str]) -> argparse.Namespace:
        """Understand the words after the command.

        Raises:
            ConfigError: they cannot be understood; a misspelt flag comes with the nearest right one.
        """
        found, unknown = self.parse_known_args(words)
        if unknown:
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            self.error(f'"{unknown[0]}" is unknown.{nearest(unknown[0].partition("=")[0], flags)}')
        return found

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise ConfigError(
            f"{self.prog.removeprefix(f'{PROGRAM} ')}: {message.rstrip('.?')}{_end(message)} See --help."
        )


def _end(message: str) -> str:
    return "?" if message.endswith("?") else "."
