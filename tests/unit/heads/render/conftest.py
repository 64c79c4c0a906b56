"""Settings of a small run, and Blender in a process of its own."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from odflow.heads.render.recipe import Settings


@pytest.fixture(scope="session")
def plain():
    return Settings(
        width=64,
        height=48,
        samples=1,
        seed=0,
        objects={"ball": "sphere", "box": "cube"},
        objects_per_image=(2, 6),
        min_visible=0.25,
        figure_share=1,
        light="any",
        ground="any",
        distance=(4, 7),
        elevation=(12, 60),
        azimuth=(0, 360),
        image_format="png",
    )


@pytest.fixture(scope="session")
def blender():
    """Runs a script with Blender and gives the last line that it prints."""
    if find_spec("bpy") is None:
        pytest.skip('needs Blender: pip install "odflow[blender]"')

    def run(script, *arguments):
        command = [sys.executable, "-c", script, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.splitlines()[-1]

    return run
