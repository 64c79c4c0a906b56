"""The terminal is the user's: no name, remark or error out of somebody's file moves its cursor."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TEXTS = {
    "colour": "\x1b[31mred",
    "clears the screen": "\x1b[2J\x1b[H",
    "sets the clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "line end": "a\nb",
    "line end of Windows": "a\r\nb",
    "over the line": "done\rfailed",
    "backspace": "good\b\b\b\bbad",
    "NUL": "a\0b",
    "tab": "a\tb",
    "vertical tab": "a\vb\fc",
    "separators": "a\x1cb\x1dc\x1ed\x1fe",
    "DEL": "a\x7fb",
    "C1": "a\x9b2Jb\x90c\x85d",
    "line separator": "a\u2028b\u2029c",
    "right to left": "a\u202egpj.exe",
    "isolate": "a\u2066b\u2069",
    "mark": "a\u200fb\u200eb",
    "zero width": "a\u200bb\ufeffc",
    "no UTF-8": "a\udcff\udc9bb",
    "surrogate": "a\ud800b",
    "looks escaped": "a\\x1b\\nb",
}
UNSAFE = re.compile(
    "[^\\S \n]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
HOW = {"say": 0, "leave_out": 0, "log": 0, "warn": 0, "bar": 0, "error": 1, "crash": 1}
Odflow = Callable[..., Any]


def check(told: Any, lines: int | None = None) -> list[str]:
    """The lines of both streams, in which nothing is unsafe."""
    both = (told.stdout + told.stderr).decode("utf-8")
    assert not UNSAFE.findall(both), both.encode()
    found = [line for line in both.splitlines() if "said" in line or "left out" in line]
    assert len(both.splitlines()) == both.count("\n")
    if lines is not None:
        assert len(found) == lines, both
    return found


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "texts.json").write_text(json.dumps(list(TEXTS.values())))
    (tmp_path / "p.yaml").write_text("stages:\n  echo:\n    texts: texts.json\n    how: say\n")
    return tmp_path


@pytest.mark.parametrize("how", HOW)
def test_what_a_stage_tells(how: str, texts: Path, odflow: Odflow) -> None:
    lines = {"bar": 0, "crash": 1}.get(how, len(TEXTS))
    for words in (
        ["echo", "--texts", "texts.json", "--how", how, "--out", "out"],
        ["run", "p.yaml", "--set", f"echo.how={how}"],
        ["run", "p.yaml", "--set", f"echo.how={how}", "--debug", "--force", "echo"],
        ["status", "p.yaml"],
        ["plan", "p.yaml"],
    ):
        told = odflow(*words, text=False)
        assert told.returncode == (HOW[how] if words[0] in ("echo", "run") else 0), told.stderr
        wanted = lines if words[0] in ("echo", "run") and "--debug" not in words else None
        check(told, wanted)


def test_what_a_cached_stage_said_and_what_json_tells(texts: Path, odflow: Odflow) -> None:
    first = check(odflow("run", "p.yaml", text=False), len(TEXTS))
    assert check(odflow("run", "p.yaml", text=False), len(TEXTS)) == first
    assert "echo: said a\\nb" in first
    told = odflow("run", "p.yaml", "--json", text=False)
    record = json.loads(told.stdout)
    assert record["stages"]["echo"]["said"] == [f"said {text}" for text in TEXTS.values()]
    check(type(told)(told.args, 0, b"", told.stderr), len(TEXTS))
    single = odflow("echo", "--texts", "texts.json", "--out", "out", "--json", text=False)
    assert json.loads(single.stdout)["said"] == [f"said {text}" for text in TEXTS.values()]


def test_what_another_machine_said(texts: Path, odflow: Odflow, environment: dict[str, str]) -> None:
    shared = {**environment, "ODFLOW_REMOTE": f"file://{texts}/shared"}
    first = check(odflow("run", "p.yaml", text=False, env=shared), len(TEXTS))
    laptop = {**shared, "ODFLOW_STORE": "laptop"}
    assert check(odflow("run", "p.yaml", text=False, env=laptop), len(TEXTS)) == first
    for manifest in (texts / "shared/results").iterdir():
        data = json.loads(manifest.read_text())
        data["outputs"] = {text: made for text in TEXTS.values() for made in data["outputs"].values()}
        manifest.write_text(json.dumps(data))
    third = odflow("run", "p.yaml", text=False, env={**shared, "ODFLOW_STORE": "third"})
    check(third)
    assert b"So its stage will run" in third.stderr


def names() -> list[str]:
    """What a file system takes as a name."""
    found = [text for text in TEXTS.values() if "\0" not in text and "\ud800" not in text]
    return [text.replace("/", "") for text in found]


def test_names_on_the_command_line_and_of_files(texts: Path, odflow: Odflow) -> None:
    """All names at once, and one path after another in what is told with a path."""
    whole = "".join(names())
    folder = texts / "there"
    for name in names():
        (folder / name).mkdir(parents=True)
        (folder / name / "x.jpg").write_bytes(b"no image")
    pipeline = f"p{whole}.yaml"
    (texts / os.fsdecode(os.fsencode(pipeline))).write_text((texts / "p.yaml").read_text())
    for words, code in (
        (["run", pipeline, "--workdir", f"w{whole}"], 0),
        (["status", pipeline, "--workdir", f"w{whole}"], 0),
        (["plan", pipeline, "--set", f"echo.{whole}=3"], 2),
        (["run", pipeline, "--set", f"echo.how={whole}"], 2),
        (["run", f"no{whole}"], 2),
        ([whole], 2),
        (["gc", "--keep-runs", whole], 2),
        (["echo", f"--{whole}", "3"], 2),
        (["echo", "--texts", whole, "--out", whole], 2),
        (["filter", "--detections", f"there/{names()[0]}/x.jpg", "--out", "out"], 2),
        (["contact_sheet", "--detections", "texts.json", "--images", "there", "--out", "out"], 2),
    ):
        told = odflow(*words, text=False)
        assert told.returncode == code, told.stderr
        check(told)
        if code and words[0] not in ("plan", "run"):
            assert len(told.stderr.splitlines()) == 1, told.stderr


def test_names_in_a_damaged_store(texts: Path, odflow: Odflow) -> None:
    odflow("run", "p.yaml", text=False)
    (result,) = (texts / ".odflow/results").iterdir()
    (result / "outputs/text.txt").unlink()
    for name in names():
        (result / "outputs/text.txt" / name).mkdir(parents=True)
        (result / "outputs/text.txt" / name / "file").touch()
    told = odflow("verify", text=False)
    assert told.returncode == 1
    check(told)
    check(odflow("run", "p.yaml", text=False))
