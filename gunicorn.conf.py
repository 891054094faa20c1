"""How gunicorn serves Subtext: read by `gunicorn wsgi:app` in the directory it starts in.

From the environment: PORT (8000), WEB_CONCURRENCY (one process per core), SUBTEXT_WEB_THREADS (8),
SUBTEXT_STREAM_MAX_SOCKETS (100), SUBTEXT_PROXIES (0). What stands here is overridden by
GUNICORN_CMD_ARGS and the command line.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import logging  # noqa: TC003 - for one signature
import os
import select
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from gunicorn.http import get_parser, message
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidChunkSize, ParseException
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import multiprocess

# Seconds in which a request, head and body, must have come: its thread waits for nobody longer.
# Platforms' routers give up on an answer after 30 s too.
REQUEST_SECONDS = 30
# Seconds for which one write waits until a client takes any of the answer. The buffers between the two let a few
# such waits pass: who stops reading a long export was measured to hold its thread for about three times as long.
STALLED_SECONDS = 10
# Bytes between two chunks, or behind the last one: a size with its extension, or trailers, which nobody reads.
CHUNK_FRAMING_BYTES = 8 * 1024
# Parameters of mallopt (malloc.h), and glibc's own first value of both, which a program that sets it keeps.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MALLOC_BYTES = 128 * 1024


class BoundedReader(SocketUnreader):  # type: ignore[misc]  # no types
    """Read from a client until a deadline; one that has not sent its request by then is gone."""

    deadline = 0.0

    def chunk(self) -> bytes:
        """Return what has come; ConnectionResetError when nothing does in time."""
        waiting = select.poll()
        waiting.register(self.sock, select.POLLIN)
        left = self.deadline - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            raise ConnectionResetError(errno.ECONNRESET, "the request did not come in time")
        received: bytes = super().chunk()
        return received


class BoundedChunkedReader(ChunkedReader):  # type: ignore[misc]  # no types
    """Read chunks with little between them: gunicorn's own copies all of that for each piece that comes."""

    def read(self, size: int) -> bytes:
        """Return what has come; who breaks the framing has sent the last request of the connection."""
        try:
            data: bytes = super().read(size)
        except OSError:
            # What follows is no place where a request begins (RFC 9112, 11.2).
            self.req.force_close()
            raise
        return data

    def get_data(self, unreader: Any, buf: Any) -> None:
        """Read on; InvalidChunkSize when the end of what stands between chunks should long have come."""
        if buf.tell() > CHUNK_FRAMING_BYTES:
            raise InvalidChunkSize(b"too long")
        super().get_data(unreader, buf)


message.ChunkedReader = BoundedChunkedReader


class BoundedThreadWorker(ThreadWorker):  # type: ignore[misc]  # no types
    """Serve in threads, and let no client's manner of sending or taking hold one of them up.

    gunicorn's own puts a connection back to wait for bytes although it has read some of the next request
    already, with the rest of a body that nobody wanted or from a client that pipelines (RFC 9112, 9.3.2): that
    request then waits until the connection times out.
    """

    wsgi: Any
    _waited = threading.local()

    def load_wsgi(self) -> None:
        """Load the app, and tell it of each request how long that waited for a thread."""
        super().load_wsgi()
        app, waited = self.wsgi, self._waited

        def serve(environ: dict[str, Any], start_response: Any) -> Any:
            environ["subtext.waited"] = getattr(waited, "seconds", 0.0)
            return app(environ, start_response)

        self.wsgi = serve

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread."""
        conn.enqueued_at = time.monotonic()
        if conn.parser is None and not conn.cfg.is_ssl:
            conn.parser = get_parser(conn.cfg, conn.sock, conn.client)
            conn.parser.unreader = BoundedReader(conn.sock)
            # The kernel's own limit: the socket stays a blocking one, which gunicorn and WebSockets rely on.
            stalled = struct.pack("@ll", STALLED_SECONDS, 0)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, stalled)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Answer the next request of a connection, and those that have been read already."""
        self._waited.seconds = time.monotonic() - conn.enqueued_at
        while True:
            reader = conn.parser.unreader if conn.parser is not None else None
            if isinstance(reader, BoundedReader):
                reader.deadline = time.monotonic() + REQUEST_SECONDS
            kept = super().handle(conn)
            # What is not True is a connection to close, or one that has sent nothing yet.
            if kept is not True or not self.alive or reader is None or not reader.buf.getbuffer():
                return kept


def _cores() -> int:
    """Return the cores this process may use; a container often has fewer than its machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY") or _cores())
worker_class = BoundedThreadWorker
# A stream has a thread for as long as it lasts; those for requests come on top, so that requests are
# always answered. Threads are started when they are needed.
_sockets = int(os.environ.get("SUBTEXT_STREAM_MAX_SOCKETS") or 100)
threads = int(os.environ.get("SUBTEXT_WEB_THREADS") or 8) + _sockets
worker_connections = 1000 + _sockets
# Without it one worker takes nearly all kept-alive connections and the others idle.
reuse_port = True

# Seconds. A load balancer that keeps connections to us idle for up to a minute must not meet one
# that we are just closing; platforms kill 30 s after SIGTERM, so 25 s are left to finish.
keepalive = 75
graceful_timeout = 25
timeout = 60

# Bytes and counts: a session id of 256 characters may take 3,072 bytes in a path, percent-encoded.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

# Routers of platforms have no fixed address. The app itself believes X-Forwarded-* for as many
# proxies as SUBTEXT_PROXIES says; here only the scheme depends on it.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS") or (
    "*" if int(os.environ.get("SUBTEXT_PROXIES") or 0) else "127.0.0.1,::1"
)
# No header becomes SCRIPT_NAME or PATH_INFO, whoever sends it.
forwarder_headers = ""

# A worker shows that it lives by touching a file: in memory, where no slow disk can hold it up.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - see above
# It would lie at one place per user, and a second gunicorn would take it over.
control_socket_disable = True
# The app writes one line per request itself.
accesslog = None
errorlog = "-"

# Counters of all web processes are added up through files in one directory.
_metrics_are_ours = not os.environ.get("PROMETHEUS_MULTIPROC_DIR")
if _metrics_are_ours:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="subtext-metrics-")


def _forget_what_was_sent(record: logging.LogRecord) -> bool:
    # Of a request that cannot be read gunicorn would log the line at fault: a path, a key, a piece of the body.
    text, error = str(record.msg), record.exc_info[1] if record.exc_info else None
    if text.startswith("Invalid request from"):
        record.msg = ": ".join(text.split(": ", 2)[:2])
    elif text.startswith("Error handling request"):
        record.msg, record.args = "Error handling request", ()
    if type(error).__module__ == ParseException.__module__:
        record.msg, record.args = f"Invalid request: {type(error).__name__}", ()
        record.exc_info = None
    return True


def on_starting(server: Any) -> None:
    """Clear the counters of a run before, which a directory given from outside may hold; keep the log clean."""
    server.log.error_log.addFilter(_forget_what_was_sent)
    directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in directory.glob("*.db"):
        file.unlink(missing_ok=True)


def post_worker_init(worker: Any) -> None:
    """Prepare a worker that has loaded the app."""
    _close_sockets_on_sigterm(worker)
    _give_memory_back()
    # What the app is made of lives as long as the worker: the garbage collector need not look at it in every round,
    # which each request would pay for with about a tenth of the accept path's time.
    gc.collect()
    gc.freeze()


def _give_memory_back() -> None:
    """Have the memory of large bodies given back to the system: glibc would keep as much for each thread, for good."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, MALLOC_BYTES)
        mallopt(M_MMAP_THRESHOLD, MALLOC_BYTES)


def _close_sockets_on_sigterm(worker: Any) -> None:
    """Have open sockets come to their end as soon as this worker is told to end: gunicorn only waits for them."""
    told = signal.getsignal(signal.SIGTERM)

    def tell(signum: int, frame: Any) -> None:
        # Not here: a signal may come while this very thread holds a lock that closing needs.
        threading.Thread(target=_close_sockets, args=(worker,), daemon=True).start()
        if callable(told):
            told(signum, frame)

    signal.signal(signal.SIGTERM, tell)
    signal.siginterrupt(signal.SIGTERM, False)  # as gunicorn has it: requests go on


def worker_int(worker: Any) -> None:
    """Have sockets come to their end when the worker is interrupted, too."""
    _close_sockets(worker)


def _close_sockets(worker: Any) -> None:
    # Whatever extension has sockets open in this process can close them.
    for extension in getattr(worker.app.wsgi(), "extensions", {}).values():
        if (close := getattr(extension, "close_sockets", None)) is not None:
            close()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Forget the gauges of a worker that ended."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Remove the directory of the counters when it was made here."""
    if _metrics_are_ours:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
