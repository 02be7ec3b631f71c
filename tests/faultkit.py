"""What the fault tests share: servers that misbehave, disks that fail, moments to die."""

from __future__ import annotations

import contextlib
import socket
import threading

__all__ = ["misbehaving"]


@contextlib.contextmanager
def misbehaving(talk):
    """Yield the URL of a server that leaves each connection to ``talk``."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def one(connection):
        # The other side may hang up in the midst of it; that is the point.
        with connection, contextlib.suppress(OSError):
            talk(connection)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # Closing alone does not wake a thread that waits for a connection.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
