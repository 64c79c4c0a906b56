"""Write the table of docs/sample-configs.md: what odflow makes of each of a folder's pipeline configs.

python docs/sample_configs.py FOLDER > docs/sample-configs.md
"""

import sys
from pathlib import Path

from odflow.errors import ConfigError
from odflow.odapi.coverage_report import STATES, CoverageReport
from odflow.odapi.pipeline_config import read_pipeline_config
from odflow.training.translation import translate

INTRODUCTION = """# The Object Detection API's sample configs

What `python -m odflow odapi.translate` makes of the API's own TF2 sample configs: how many of the
fields that each sets are honoured, approximated, not applicable or unsupported; or why the config is
refused. Which fields these are, and how they are approximated, stands in the `translation.md` that the
command writes. `python docs/sample_configs.py FOLDER` writes this page; a test keeps it current.
"""


def page(folder: Path) -> str:
    """The page for all configs of a folder."""
    head = f"| config | {' | '.join(STATES)} |\n| --- |{' --- |' * len(STATES)}\n"
    translated, refused = [], []
    for file in sorted(folder.glob("*.config")):
        config = read_pipeline_config(file)
        try:
            _, coverage = translate(config, file.name)
        except ConfigError as error:
            refused.append(f"- `{file.name}`: {str(error).partition(': ')[2]}\n")
            continue
        counts = CoverageReport.of(config, coverage).counts()
        translated.append(f"| {file.stem} | {' | '.join(str(counts[state]) for state in STATES)} |\n")
    told = f"{len(translated)} of {len(translated) + len(refused)} are translated."
    tail = f"\n## Refused\n\n{''.join(refused)}" if refused else ""
    return f"{INTRODUCTION}\n{told}\n\n{head}{''.join(translated)}{tail}"


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1])))
