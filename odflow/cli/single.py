"""One stage by itself."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from odflow.cli.commands import jobs_flag, json_flag
from odflow.cli.flags import add_fields, flag, given_fields
from odflow.cli.parser import Parser
from odflow.errors import ConfigError, InputError
from odflow.graph.checking import Place, check_stages
from odflow.graph.explain import faults, wrong_path
from odflow.graph.pipeline import Node
from odflow.graph.registry import Registry
from odflow.graph.stage import Stage


def run_single(name: str, words: list[str], registry: Registry) -> int:
    """Run the stage of a name with the flags in `words`.

    Returns:
        The exit code 0.

    Raises:
        ConfigError: a flag is wrong; all that are, a line each.
        OdflowError: the stage failed.
    """
    stage = registry.get(name)
    given = _parser(name, stage).parse(words)
    made = _make(name, stage, given_fields(stage, given), given.out)
    from odflow.engines.threads import Threads
    from odflow.graph.execute import run_alone
    from odflow.graph.job import Console

    audience = Console(name, sys.stderr if given.json else None)
    job = run_alone(
        made,
        given.out,
        name=name,
        workers=Threads(given.jobs),
        audience=audience,
        overwrite=given.overwrite,
    )
    if given.json:
        outputs = {field: str(given.out / getattr(made, field)) for field in stage.output_fields()}
        print(
            json.dumps({"stage": name, "outputs": outputs, "said": job.said, "counts": job.counts}, indent=1)
        )
    return 0


def clear_away(name: str, words: list[str], registry: Registry) -> None:
    """Remove what a stage that died left in its folder, but for what it can go on from.

    Args:
        name, words, registry: what `run_single` was given.
    """
    from odflow.graph.execute import clear_staging

    stage = registry.get(name)
    given = _parser(name, stage).parse(words)
    if given.out:
        clear_staging(stage, given.out, name)


def _parser(name: str, stage: type[Stage]) -> Parser:
    parser = Parser(name, inspect.getdoc(stage) or "", f"outputs, in DIR:\n{_outputs(stage)}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the outputs (needed)")
    about = "replace what is at the outputs' places in DIR though this stage did not write it; never an input"
    parser.add_argument("--overwrite", action="store_true", help=about)
    jobs_flag(parser)
    json_flag(parser)
    add_fields(parser, stage)
    return parser


def _make(name: str, stage: type[Stage], fields: dict[str, object], out: Path | None) -> Stage:
    problems = [] if out else [f'{name}: "--out" is missing: folder for the outputs.']
    try:
        made = stage(**fields)
    except ValidationError as error:
        problems += [f"{name}: {line}" for _, line in faults(error, stage, fields, flag)]
    if problems:
        raise ConfigError(*problems)
    for field, paths in made.input_paths().items():
        wrong = (wrong_path(path, stage.inputs()[field].kind) for path in paths)
        problems += [f"{name}: {flag(field)}: {fault}" for fault in wrong if fault]
    if problems:
        raise InputError(*problems)
    node = Node(name, name, made)
    check_stages(
        [node], lambda _, line, at: problems.append(_problem(name, line, at)), out or Path(), alone=True
    )
    if problems:
        raise ConfigError(*problems)
    return made


def _problem(name: str, line: str, place: Place) -> str:
    return f"{name}: {flag(str(place[0]))}: {line}" if place else f"{name}: {line}"


def _outputs(stage: type[Stage]) -> str:
    rows = [
        (str(stage.model_fields[name].default), stage.model_fields[name].description or "")
        for name in stage.output_fields()
    ]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"  {name.ljust(width)}  {about}".rstrip() for name, about in rows)
