"""The command line: ``python -m odflow``."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from odflow import __version__
from odflow.cli.commands import COMMANDS, start
from odflow.cli.parser import Parser
from odflow.errors import ConfigError, OdflowError, nearest
from odflow.graph.registry import Registry
from odflow.graph.remote_url import without_secrets
from odflow.graph.streams import take_any_text
from odflow.terminal import OneLine

INTERRUPTED, BROKEN_PIPE = 130, 141
_log = logging.getLogger("odflow")


def main(
    arguments: Sequence[str] | None = None, registry: Registry | None = None, *, apart: bool = False
) -> int:
    """Run one command.

    Args:
        arguments: what stands after ``python -m odflow``; those of this process if left out.
        registry: the stages; those that are installed if left out.
        apart: this process, which has but one thread, is there for the command alone: signals wake it,
            and a stage by itself runs in a child of it.

    Returns:
        The exit code: 0 done, 1 a stage failed, 2 the command, the configuration or
        an input is wrong, 3 a gate said no, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    take_any_text()
    _set_up_logging(debug)
    try:
        words = [word for word in words if word != "--debug"]
        code = _dispatch(words, registry or Registry.installed(), apart)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        _log.error("interrupted. The same command goes on from here.")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read standard output has gone; Python's own flush at the end must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OdflowError as error:
        for line in error.lines:
            _log.error("%s", line)
        _log.debug("", exc_info=error)
        return error.exit_code
    except Exception as error:  # a plug-in may fail in any way at all
        line, code = _told(error)
        _log.error("%s", line)
        _log.debug("", exc_info=error)
        return code


def _told(error: Exception) -> tuple[str, int]:
    """A line for what nothing below turned into an error of odflow's, and the exit code."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # of --out, --workdir, PIPELINE, ...
        return f"{error.filename}: is longer than the file system takes. Give a shorter name.", 2
    first = next(iter(str(error).splitlines()), "")
    return f"unexpected {type(error).__name__}: {first} (--debug shows where)", 1


def _dispatch(words: list[str], registry: Registry, apart: bool) -> int:
    if not words or words[0].startswith("-"):
        return _top(words, registry)
    name, rest = words[0], words[1:]
    if name in COMMANDS:
        if apart:
            from odflow.engines.wake import wake_on_signals

            wake_on_signals()
        return start(name, rest, registry)
    if name in registry.names():
        return _run_stage(name, rest, registry, apart)
    raise ConfigError(
        f'"{name}" is neither a command nor a stage.{nearest(name, [*COMMANDS, *registry.names()])}'
    )


def _run_stage(name: str, words: list[str], registry: Registry, apart: bool) -> int:
    def work() -> int:
        from odflow.cli.single import run_single

        return run_single(name, words, registry)

    if not apart:
        return work()
    from odflow.cli.apart import Death, run_apart

    def mourn(death: Death) -> OdflowError:
        from odflow.cli.single import clear_away
        from odflow.engines.death import told_death

        clear_away(name, words, registry)
        return told_death(name, death.code, death.peak, "--debug shows what libraries say.")

    return run_apart(work, mourn)


def _top(words: list[str], registry: Registry) -> int:
    width = max(len(name) for name in COMMANDS)
    commands = "\n".join(f"  {name.ljust(width)}  {command.help}" for name, command in COMMANDS.items())
    parser = Parser(
        "",
        "From a frozen detector and a folder of images to a better detector.",
        f"commands:\n{commands}\n\nstages, each a command by itself:\n  {' '.join(registry.names())}\n\n"
        "Every command explains itself: python -m odflow COMMAND --help\n"
        "Results are kept in .odflow, or in the folder that ODFLOW_STORE names.\n"
        "Exit codes: 0 done, 1 a stage failed, 2 wrong command, configuration or input, 3 a gate said no,\n"
        "130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"odflow {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the logs of libraries")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.parse(words)
    parser.print_help()
    return 0


def _set_up_logging(debug: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Format())
    _log.handlers = [handler]
    _log.propagate = False
    _log.setLevel(logging.DEBUG if debug else logging.INFO)
    if logging.lastResort:  # what packages warn of
        logging.lastResort.setFormatter(handler.formatter)
    if not debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        for noisy in ("tensorflow", "absl"):
            logging.getLogger(noisy).setLevel(logging.ERROR)


class _Format(OneLine):
    """The message alone; before it who remarks, where that is a stage, and that it is a warning.

    What packages say, in tracebacks too, goes without the secrets of URLs.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno == logging.WARNING:
            text = f"warning: {text}"
        stage = record.name.removeprefix("odflow.")
        own = record.name == "odflow" or stage in ("run", "store", "record")
        return text if own else f"{stage}: {text}"

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message."""
        text = super().formatMessage(record)
        return text if record.name.startswith("odflow") else without_secrets(text)

    def formatException(self, ei: Any) -> str:
        """The traceback."""
        return without_secrets(super().formatException(ei))
