"""Run the command line: ``python -m odflow``."""

import sys

from odflow.cli import main
from odflow.graph.request import leave

if __name__ == "__main__":
    sys.exit(leave(main()))
