"""Pipelines as drawings."""

from typing import Any

from odflow.graph.drawing import dot, mermaid

TEXT = """\
stages:
  end: {uses: join, parts: ['${write.written}', '${write.written}']}
  write: {}
"""


def test_mermaid(bench: Any) -> None:
    bench.write(TEXT)
    assert mermaid(bench.read()).splitlines() == [
        "flowchart LR",
        '    write_["write"]',
        '    end_["end (join)"]',
        "    write_ -->|written| end_",
    ]


def test_dot(bench: Any) -> None:
    bench.write(TEXT)
    assert '    "write" -> "end" [label="written"];' in dot(bench.read()).splitlines()
