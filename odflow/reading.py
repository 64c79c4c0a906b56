"""Whatever a file holds, its reader reads it or names it: the last net below what readers tell themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar

from odflow.errors import InputError, OdflowError

F = TypeVar("F", bound=Callable[..., Any])

_LONGEST = 200


@contextmanager
def reading(place: object, what: str, kind: type[OdflowError] = InputError) -> Iterator[None]:
    """Turn whatever reading a file raises into an error that names it.

    Errors of odflow's pass: a reader tells better what it knows of. So do an ImportError, which
    is about the installation, and interrupts.

    Args:
        place: the file, and perhaps a place in it.
        what: the file should be, with its article: "a label map".
        kind: of the error.

    Raises:
        OdflowError: of that kind, in one line.
    """
    try:
        yield
    except (OdflowError, ImportError):
        raise
    except OSError as error:
        raise kind(f"{place}: cannot be read ({error.strerror or error}).") from error
    except Exception as error:
        raise kind(f"{place}: cannot be read as {what} ({_reason(error)}).") from error


def reads(what: str, kind: type[OdflowError] = InputError) -> Callable[[F], F]:
    """Decorate a function, or a generator, that reads the file of its first argument; see `reading`.

    Args:
        what: the file should be, with its article.
        kind: of the error.
    """

    def decorate(read: F) -> F:
        @wraps(read)
        def whole(path: Any, *args: Any, **options: Any) -> Any:
            with reading(path, what, kind):
                return read(path, *args, **options)

        @wraps(read)
        def each(path: Any, *args: Any, **options: Any) -> Any:
            with reading(path, what, kind):
                yield from read(path, *args, **options)

        return each if isgeneratorfunction(read) else whole  # type: ignore[return-value]

    return decorate


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    said = " ".join(str(error).split())[:_LONGEST]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
