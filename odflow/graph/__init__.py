"""The DAG of stages: what depends on what, what has to run, and where results are kept."""

from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, OutputFolder, Stage, output

__all__ = ["InputFile", "InputFolder", "InputPath", "Job", "OutputFile", "OutputFolder", "Stage", "output"]
