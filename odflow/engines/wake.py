"""The main thread hears of a signal at once, whatever it waits for."""

from __future__ import annotations

import os
import signal
import threading

_CALL = signal.SIGURG  # does nothing where nobody asks for it


def wake_on_signals() -> None:
    """Have signals wake the main thread, which calls their handlers; for the rest of this process.

    The system gives a signal of a process to any of its threads. CPython then only notes it: a main
    thread that waits for a lock (a future, a queue) calls the handler once that lock is free, which may
    be in hours. So another thread reads the notes and interrupts that wait.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(_CALL, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    main = threading.main_thread().ident or 0

    def wake() -> None:
        while numbers := os.read(reading, 64):
            if set(numbers) != {_CALL}:
                signal.pthread_kill(main, _CALL)

    threading.Thread(target=wake, name="wake", daemon=True).start()
