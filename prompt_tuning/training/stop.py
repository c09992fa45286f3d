"""Signals that ask a run to save and stop."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Interrupted(Exception):
    """Raised by `train` after it has saved; the same call goes on from there."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}; saved, run again to go on")
        self.signal = number


class StopRequest:
    """The first signal that came, if any."""

    signal: int | None = None

    def check(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self.signal is not None:
            raise Interrupted(self.signal)


_listening: list[StopRequest] = []  # the request of whoever listens, for those it calls


@contextlib.contextmanager
def listen() -> Iterator[StopRequest]:
    """Note SIGTERM, SIGUSR1 (SLURM's warning) and SIGINT; a second SIGINT kills at once.

    Within another `listen` it gives the same request: a signal reaches whoever looks next.
    """
    if _listening and threading.current_thread() is threading.main_thread():
        yield _listening[0]
        return
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if request.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, handle) for number in SIGNALS}
    _listening.append(request)
    try:
        yield request
    finally:
        _listening.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
