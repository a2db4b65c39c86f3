"""How long a request that failed is made again: pauses that grow, as long as the server asks for, up to a limit.

The limit counts from the last byte that came, and counts the requests themselves: a server that answers nothing is
given up as one that refuses is.
"""

from __future__ import annotations

import random
import threading
import time

from postmill.ingest.remote.answers import Answer, Meaning
from postmill.shards.runtime.addresses import plain
from postmill.shards.runtime.progress import log

LIMIT_S = 600.0  # without a byte of one range, or of one file
UNREACHED_S = 60.0  # the same where there was never a connection: most likely the address is wrong
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
LONGEST_ASKED_S = 300.0  # of what a server asks to wait
MOST_REQUESTS = 1000  # for one range: a server that gives a few bytes each time is not asked without end
_SAY_AGAIN_S = 10.0

_said: dict[str, float] = {}  # when something was last said of a server, for many ranges wait at once


class Stopped(Exception):
    """Whoever wanted the bytes wants them no more."""


class Patience:
    """What is left of it for one range or one file at ``address``.

    Args:
        address: For what is said.
        stop: Set when nobody wants the bytes any more.
    """

    def __init__(self, address: str, stop: threading.Event | None = None) -> None:
        self._address = plain(address)
        self._stop = stop
        self._requests = 0
        self._reached = False
        self.progressed()

    def progressed(self) -> None:
        """Begin anew, for bytes have come."""
        self._spent = 0.0
        self._pause = FIRST_PAUSE_S
        self._since = time.monotonic()

    def wait(self, answer: Answer) -> bool:
        """Wait before the next request; return False, at once, if there should be none.

        Raises:
            Stopped: Nobody wants the bytes any more.
        """
        self._requests += 1
        self._reached |= answer.meaning is not Meaning.UNREACHABLE
        pause = self._pause * random.uniform(0.5, 1.0)  # many that were refused at once must not come back at once
        if answer.retry_after is not None:
            pause += min(answer.retry_after, LONGEST_ASKED_S)
        self._spent += time.monotonic() - self._since
        left = (LIMIT_S if self._reached else min(LIMIT_S, UNREACHED_S)) - self._spent
        if pause > left or self._requests >= MOST_REQUESTS:
            return False
        self._pause = min(self._pause * 2, LONGEST_PAUSE_S)
        self._say(answer, pause, left)
        _rest(pause, self._stop)
        self._spent += pause
        self._since = time.monotonic()
        return True

    def _say(self, answer: Answer, pause: float, left: float) -> None:
        host = self._address.partition("://")[2].partition("/")[0]
        now = time.monotonic()
        if now - _said.get(host, -_SAY_AGAIN_S) >= _SAY_AGAIN_S:
            _said[host] = now
            # A warning, which is printed in worker processes too.
            log.warning(
                "%s: %s; asked again in %.1f s, and for %.0f s at most", self._address, answer.words, pause, left
            )


def _rest(seconds: float, stop: threading.Event | None) -> None:
    if stop is None:
        time.sleep(seconds)  # in the main thread, where a signal ends it
    elif stop.wait(seconds):
        raise Stopped
