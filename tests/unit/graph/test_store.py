"""Results in the store: whole, checked, and safe from two at once."""

import fcntl
import os
import select
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

from odflow.errors import StoreError
from odflow.graph.content import Digests
from odflow.graph.disk import held
from odflow.graph.execute import InProcess, execute
from odflow.graph.result import Result
from odflow.graph.store import Store
from odflow.graph.upkeep import collect, verify

KEY = "0" * 64


@pytest.fixture
def stage(bench: Any) -> Any:
    Path("in.txt").write_text("in")
    return bench.stages["folder"](source=Path("in.txt"))


def make(store: Store, stage: Any) -> Result:
    with store.claim(KEY, "folder") as staging:
        job = execute(stage, staging / "work", name="folder", workers=InProcess())
        return store.publish(KEY, stage, [*job.said, "a line"], 1.5)


def test_what_was_published_is_found(stage: Any) -> None:
    store = Store(Path("store"))
    assert store.find(KEY, stage) is None
    made = make(store, stage)
    found = store.find(KEY, stage)
    assert found == made
    assert found.said == ["a line"]
    assert found.path("folder") == Path(f"store/results/{KEY}/outputs/folder")
    assert (found.path("folder") / "empty").is_dir()
    assert found.outputs["folder"].content == Digests().content(found.path("folder"))
    there = {path.name for path in Path("store").iterdir()}
    assert there - {"digests.sqlite"} == {"results", "staging", "version"}
    assert not list(Path("store/staging").iterdir())


def test_nothing_is_made_by_looking(stage: Any) -> None:
    Store(Path("store")).find(KEY, stage)
    assert not Path("store").exists()


@pytest.mark.parametrize("harm", ["remove", "truncate", "grow", "folder", "manifest"])
def test_a_damaged_result_is_none_and_can_be_made_again(
    stage: Any, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(Path("store"))
    result = make(store, stage)
    victim = result.path("folder") / "deep" / "copy.txt"
    victim.chmod(0o644)
    if harm == "remove":
        victim.unlink()
    elif harm == "truncate":
        os.truncate(victim, 1)
    elif harm == "grow":
        victim.write_text("in and more")
    elif harm == "folder":
        victim.unlink()
        victim.mkdir()
    else:
        victim = result.folder.parent / "result.json"
        victim.write_text("{")
    assert store.find(KEY, stage) is None
    assert str(victim) in caplog.text
    assert make(store, stage) == store.find(KEY, stage)


def test_files_in_the_store_are_read_only(stage: Any) -> None:
    result = make(Store(Path("store")), stage)
    files = [path for path in result.folder.rglob("*") if path.is_file()]
    assert files
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in files)


def test_a_result_without_an_output_that_the_stage_declares_by_now(bench: Any, stage: Any) -> None:
    store = Store(Path("store"))
    make(store, stage)
    assert store.find(KEY, bench.stages["write"]()) is None


def test_a_kill_between_decision_and_move_is_finished_by_the_next(
    stage: Any, tree: Callable[[Path], dict[str, bytes]]
) -> None:
    """Every state that a kill can leave after result.json was written ends as the same result."""
    whole = Store(Path("whole"))
    make(whole, stage)
    expected = tree(Path(f"whole/results/{KEY}/outputs"))
    for moved in range(3):
        store = Store(Path(f"store{moved}"))
        with store.claim(KEY, "folder") as staging:
            work = staging / "work"
            execute(stage, work, name="folder", workers=InProcess())
            (work / "left over").touch()
            (staging / "result.json").write_bytes(Path(f"whole/results/{KEY}/result.json").read_bytes())
            (staging / "outputs").mkdir()
            for name in ["folder", "listing.txt"][:moved]:
                (work / name).rename(staging / "outputs" / name)
        assert store.find(KEY, stage) is None
        with store.claim(KEY, "folder"):
            assert store.find(KEY, stage) is not None
        assert tree(Path(f"store{moved}/results/{KEY}/outputs")) == expected


def test_a_newer_store_is_refused(stage: Any) -> None:
    make(Store(Path("store")), stage)
    Path("store/version").write_text("99\n")
    with pytest.raises(StoreError, match=r"^store: is a store of version 99; this odflow knows 1\."):
        Store(Path("store"))


def test_a_place_where_no_store_can_be(stage: Any) -> None:
    Path("file").touch()
    with pytest.raises(StoreError, match=r"^file: is not a store \(Not a directory\)"):
        Store(Path("file"))


def test_a_claim_waits_for_another_process_and_goes_with_it(stage: Any, project: Path) -> None:
    script = textwrap.dedent(
        f"""\
        from pathlib import Path
        from odflow.graph.store import Store
        with Store(Path("store")).claim("{KEY}", "the test"):
            print("held", flush=True)
            input()
        """
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiter = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    )
    assert not select.select([waiter.stdout], [], [], 1.5)[0], "it waits"
    holder.send_signal(signal.SIGKILL)
    out, _ = waiter.communicate("\n", timeout=120)
    assert out == "held\n"
    holder.communicate()
    assert make(Store(Path("store")), stage)


def test_work_is_not_discarded_while_somebody_writes_there(stage: Any) -> None:
    store = Store(Path("store"))
    with store.claim(KEY, "folder") as staging:
        (staging / "work").mkdir(parents=True)
        busy = staging.with_suffix(".busy")
        with held(busy, "an outlived process"), pytest.raises(KeyboardInterrupt):
            store.discard(KEY, lambda: True)
        assert (staging / "work").is_dir()
        with held(busy, "an outlived process"):
            looked: list[bool] = []

            def release_after_two_looks() -> bool:
                looked.append((staging / "work").is_dir() and busy.exists())
                if len(looked) == 2:
                    busy.unlink()  # what the end of its holder does
                return False

            store.discard(KEY, release_after_two_looks)
        assert looked == [True, True]
        assert not staging.exists()
        assert not busy.exists()


def test_locks_that_killed_processes_left_go_with_the_next_use(stage: Any) -> None:
    store = Store(Path("store"))
    make(store, stage)
    left = [Path("store/staging") / f"{KEY}.{kind}" for kind in ("lock", "busy")]
    for path in left:
        path.write_text("{}")
    other = Path("store/staging/other.lock")
    with held(other, "another run"), store.in_use():
        assert list(Path("store/staging").iterdir()) == [other]
    assert not list(Path("store/staging").iterdir())


def test_all_that_make_a_store_at_once_keep_others_out(tmp_path: Path) -> None:
    """Each of them, though the file that they lock is made at the same time."""
    users = 6

    def use(folder: Path, number: int) -> int:
        store = Store(folder)
        together.wait()
        with store.in_use():
            together.wait()
            for leaver in range(number):  # one after the other leaves, so each is the last once
                left[leaver].wait()
            with (folder / "version").open() as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        left[number].set()
        return number

    for turn in range(20):
        together, left = Barrier(users), [Event() for _ in range(users)]
        with ThreadPoolExecutor(users) as pool:
            assert sum(pool.map(use, [tmp_path / str(turn)] * users, range(users))) == sum(range(users))


def test_gc_leaves_alone_what_the_process_of_a_killed_run_still_writes(stage: Any) -> None:
    """It may outlive its run; the next run of the key waits for it."""
    store = Store(Path("store"))
    with store.claim(KEY, "folder") as staging:
        (staging / "work").mkdir(parents=True)
    left, busy = Path("store/staging") / ("1" * 64), staging.with_suffix(".busy")
    left.mkdir()
    with held(busy, "an outlived process"):
        assert collect(store, keep_runs=0).results == 1
        assert busy.exists()
        assert (staging / "work").is_dir()
        assert not left.exists()
    assert collect(store, keep_runs=0).results == 1
    assert not staging.exists()


def test_gc_overwrites_nothing_of_a_users_where_the_store_has_folders_of_these_names(bench: Any) -> None:
    """ODFLOW_STORE may name a folder with a results/ of its own."""
    for name in (
        "results/best.csv",
        "results/run1/model.h5",
        "staging/x.lock",
        "trees/oak",
        "runs/mine.json",
    ):
        Path("store", name).parent.mkdir(parents=True, exist_ok=True)
        Path("store", name).write_text("precious")
    Path("store/results", KEY).mkdir()
    store = Store(Path("store"))
    assert collect(store, keep_runs=0).results == 1
    left = {path.relative_to("store").as_posix() for path in Path("store").rglob("*") if path.is_file()}
    assert left == {
        "results/best.csv",
        "results/run1/model.h5",
        "staging/x.lock",
        "trees/oak",
        "runs/mine.json",
        "version",
    }
    assert verify(store) == []
