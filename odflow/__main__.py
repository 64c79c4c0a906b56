"""Run the command line: ``python -m odflow``."""

import sys

from odflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
