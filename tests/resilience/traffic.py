"""Load as careful clients make it: what was not answered is sent again, and what was acknowledged is written down."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from examples.demo.client import Answer, Client
from tests.resilience import calls
from tests.stream import scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.resilience.calls import Call
    from tests.resilience.installation import Installation

#: Calls after which three new sessions are begun, so that none becomes long while many are under way.
CALLS_PER_WAVE = 120
SESSIONS_AT_ONCE = 3
#: The share of calls that goes to one session, which becomes long.
TO_LONG_SESSION = 0.04
#: The share of acknowledged calls that are sent once more, as by a client that lost the answer.
AGAIN = 0.1
#: Seconds until a sender tries again.
RETRY_SECONDS = 0.05
#: Seconds in which a call must be acknowledged, whatever dies meanwhile.
PATIENCE = 180.0
SENDERS = 4
UPLOAD_EVERY = 2.0  # seconds


@dataclass
class Ledger:
    """Say what was sent, what was acknowledged, and which answers should not have come; thread-safe."""

    acknowledged: dict[str, dict[str, set[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    complaints: list[str] = field(default_factory=list)
    #: Times that a call got no answer, or was told to come back.
    failures: int = 0
    repeats: int = 0
    #: What the next item and the next call are numbered: no two of an installation are the same.
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    calls: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledge(self, call: Call) -> None:
        """Write down what a call brought."""
        with self._lock:
            self.acknowledged[call.session][call.kind].update(call.marks)

    def fail(self) -> None:
        """Count a try that came to nothing."""
        with self._lock:
            self.failures += 1

    def complain(self, call: Call, answer: object) -> None:
        """Note an answer that should not have come."""
        with self._lock:
            self.complaints.append(f"{call.path} {call.session} {call.marks[:3]}…: {answer}")

    def marks(self, kind: str) -> dict[str, set[int]]:
        """Return the acknowledged items of a kind by session."""
        with self._lock:
            return {
                session: set(kinds[kind])
                for session, kinds in self.acknowledged.items()
                if kind in kinds
            }

    def count(self) -> dict[str, int]:
        """Return how many items of each kind were acknowledged."""
        with self._lock:
            found: Counter[str] = Counter()
            for kinds in self.acknowledged.values():
                found.update({kind: len(marks) for kind, marks in kinds.items()})
            return dict(sorted(found.items()))


class Traffic:
    """Send from several threads until the end of the block; then every call that was begun is acknowledged.

    `pause` is the seconds between two calls of a sender, on average. With `repeats`, the server can tell calls apart,
    by ids or an `Idempotency-Key`, and some are sent again although they were acknowledged. Without it they are events
    of the mood API with neither: one that the server took and did not answer would count twice.
    """

    def __init__(
        self,
        installation: Installation,
        ledger: Ledger,
        *,
        seed: int,
        pause: float,
        repeats: bool = True,
    ) -> None:
        self.installation = installation
        self.ledger = ledger
        self.repeats = repeats
        self._pause = pause
        self._seed = seed
        self._ending = threading.Event()
        self._token = installation.token()
        self._threads = [
            threading.Thread(target=self._send, args=(number,), daemon=True)
            for number in range(SENDERS)
        ]
        if repeats:
            self._threads.append(threading.Thread(target=self._upload, daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive(), "a sender hangs"

    def _send(self, number: int) -> None:
        dice = random.Random(f"{self._seed}-{number}")  # noqa: S311 - dice, not keys
        with Client(self.installation.url, tries=1) as client:
            while not self._ending.is_set():
                call = self._next_call(dice)
                headers = dict(self._token if call.by_token else self.installation.by_key)
                if call.key is not None:
                    headers["Idempotency-Key"] = call.key

                def post(call: Call = call, headers: Mapping[str, str] = headers) -> Answer:
                    return client.post(call.path, call.body, headers)

                answer = self._deliver(call, post)
                if answer is not None and self.repeats and dice.random() < AGAIN:
                    self.ledger.repeats += 1
                    repeated = self._deliver(call, post)
                    if call.key is not None and repeated != answer:
                        self.ledger.complain(call, f"repeated: {repeated}, before: {answer}")
                self._ending.wait(dice.expovariate(1 / self._pause))

    def _next_call(self, dice: random.Random) -> Call:
        wave = next(self.ledger.calls) // CALLS_PER_WAVE
        session = f"visit-{wave}-{dice.randrange(SESSIONS_AT_ONCE)}"
        if dice.random() < TO_LONG_SESSION:
            session = "visit-long"

        def number() -> int:
            return next(self.ledger.numbers)

        if not self.repeats:
            return calls.mood_events(dice, session, number, is_marked=False)
        kind = calls.choose(dice)
        if kind == calls.FEEDBACK:
            # A session without events has no mood that anything could have come of.
            known = sorted(self.ledger.marks(calls.MOOD))
            if not known:
                return calls.mood_events(dice, session, number)
            session = dice.choice(known)
        if kind == calls.CLICK:
            known = sorted(self.ledger.marks(calls.SEARCH))
            session = dice.choice(known) if known else calls.search_session(number())
        return calls.MAKERS[kind](dice, session, number)

    def _upload(self) -> None:
        """Send a small video now and then; a new session each, since an upload that is repeated is another one."""
        address = urlsplit(self.installation.url)
        body, content_type = calls.form(scripts.video(3.2, name="upload"))
        headers = {**self.installation.by_key, "Content-Type": content_type}
        while not self._ending.wait(UPLOAD_EVERY):
            call = calls.upload(next(self.ledger.numbers))

            def post(call: Call = call) -> Answer:
                connection = http.client.HTTPConnection(
                    address.hostname or "", address.port, timeout=PATIENCE
                )
                try:
                    connection.request("POST", call.path, body, headers)
                    answer = connection.getresponse()
                    return Answer(answer.status, answer.read().decode())
                finally:
                    connection.close()

            self._deliver(call, post)

    def _deliver(self, call: Call, post: Callable[[], Answer]) -> Answer | None:
        """Send a call until it is acknowledged; None when it never is."""
        deadline = time.monotonic() + PATIENCE
        last: object = None
        while time.monotonic() < deadline:
            try:
                answer = post()
            except (OSError, http.client.HTTPException) as error:
                last = error
            else:
                if call.is_acknowledged_by(answer):
                    self.ledger.acknowledge(call)
                    return answer
                if answer.status != http.HTTPStatus.SERVICE_UNAVAILABLE:
                    self.ledger.complain(call, answer)
                    return None
                last = answer
            self.ledger.fail()
            time.sleep(RETRY_SECONDS)
        self.ledger.complain(call, f"not acknowledged in {PATIENCE:g} s: {last!r}")
        return None
