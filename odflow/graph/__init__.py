"""The DAG of stages: what depends on what, what has to run, and where results are kept."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odflow.graph.job import Job
    from odflow.graph.stage import (
        InputFile,
        InputFolder,
        InputPath,
        InputPaths,
        Needs,
        OutputFile,
        OutputFolder,
        Stage,
        output,
    )

__all__ = [
    "InputFile",
    "InputFolder",
    "InputPath",
    "InputPaths",
    "Job",
    "Needs",
    "OutputFile",
    "OutputFolder",
    "Stage",
    "output",
]


def __getattr__(name: str) -> Any:
    """Import what a stage needs when it is asked for: `--help` has no time for pydantic."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("odflow.graph.job" if name == "Job" else "odflow.graph.stage"), name)
