"""A pipeline as a drawing, in text."""

from __future__ import annotations

from odflow.graph.pipeline import Pipeline


def mermaid(pipeline: Pipeline) -> str:
    """A Mermaid flowchart; an arrow bears the name of the output that it stands for."""
    lines = ["flowchart LR"]
    # Mermaid has reserved words, such as `end`, that an underscore keeps apart from names.
    lines += [f'    {name}_["{_label(pipeline, name)}"]' for name in pipeline.nodes]
    lines += [f"    {start}_ -->|{output}| {end}_" for start, output, end in _edges(pipeline)]
    return "\n".join(lines) + "\n"


def dot(pipeline: Pipeline) -> str:
    """A Graphviz digraph; an arrow bears the name of the output that it stands for."""
    lines = ["digraph {", "    rankdir=LR; node [shape=box];"]
    lines += [f'    "{name}" [label="{_label(pipeline, name)}"];' for name in pipeline.nodes]
    lines += [f'    "{start}" -> "{end}" [label="{output}"];' for start, output, end in _edges(pipeline)]
    return "\n".join([*lines, "}"]) + "\n"


def _label(pipeline: Pipeline, name: str) -> str:
    uses = pipeline.nodes[name].uses
    return name if uses == name else f"{name} ({uses})"


def _edges(pipeline: Pipeline) -> list[tuple[str, str, str]]:
    found = [
        (reference.stage, reference.output, name)
        for name, node in pipeline.nodes.items()
        for _, reference in node.references()
    ]
    return list(dict.fromkeys(found))
