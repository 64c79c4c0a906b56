"""Signals are heard by a main thread that waits."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WAITS = """
import signal, threading
from odflow.engines.wake import wake_on_signals

def tell(number, frame):
    print("heard", number, flush=True)
    raise SystemExit(7)

signal.signal(signal.SIGTERM, tell)
wake_on_signals()
threading.Thread(target=threading.Event().wait, daemon=True).start()  # may be given the signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # so that the system gives it to the other thread
print("waits", flush=True)
threading.Event().wait(600)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="has no signals of threads")
def test_a_signal_that_another_thread_gets_is_heard_at_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=120)[0] == f"heard {int(signal.SIGTERM)}\n"
    assert process.returncode == 7
