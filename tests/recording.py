"""A TCP proxy that keeps every byte, and a search for identifiers in whatever form."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import socket
import sqlite3
import threading
import urllib.parse
import zlib
from contextlib import closing, suppress
from dataclasses import dataclass, field


@dataclass
class Talk:
    """One connection: what the client said, and what the server answered."""

    sent: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)


class Recorder:
    """Listens on a free port and passes everything to the node behind it.

    Args:
        port: The node's.
    """

    def __init__(self, port):
        self._to = ("127.0.0.1", port)
        self.talks: list[Talk] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._socket.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(
                    target=self._serve, args=(client,), daemon=True
                ).start()

    def _serve(self, client):
        talk = Talk()
        self.talks.append(talk)
        try:
            node = socket.create_connection(self._to, 60)
        except OSError:
            client.close()
            return
        back = threading.Thread(
            target=_pump, args=(node, client, talk.answered), daemon=True
        )
        back.start()
        _pump(client, node, talk.sent)
        back.join()
        client.close()
        node.close()


def _pump(source, target, kept):
    with suppress(OSError):
        while data := source.recv(1 << 16):
            kept += data
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


# -- what was said, decoded ----------------------------------------------------------


def messages(raw):
    """Yield (head, body) of the HTTP messages of one direction of a connection."""
    while raw:
        head, found, rest = bytes(raw).partition(b"\r\n\r\n")
        assert found, raw[:200]
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (x.partition(b":") for x in head.split(b"\r\n")[1:])
        }
        if fields.get(b"transfer-encoding") == b"chunked":
            body, raw = _chunks(rest)
        elif _has_no_body(head):
            body, raw = b"", rest
        else:
            size = int(fields.get(b"content-length", 0))
            body, raw = rest[:size], rest[size:]
        if fields.get(b"content-encoding") == b"gzip":
            body = gzip.decompress(body)
        yield head, body


def _has_no_body(head):
    return re.match(rb"HTTP/1\.1 (1\d\d|204|304)", head) is not None


def _chunks(rest):
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size.split(b";")[0], 16)
        if not count:
            return body, rest.partition(b"\r\n")[2]
        body, rest = body + rest[:count], rest[count + 2 :]


# -- identifiers in whatever form ----------------------------------------------------


def forms(identifier):
    """Return every usual way to write an identifier, its plain hashes among them."""
    found = set()
    for text in {identifier, identifier.lower(), identifier.upper()}:
        raw = text.encode()
        found |= {raw, raw[::-1], raw.hex().encode(), text.encode("utf-16-le")}
        found |= {urllib.parse.quote(text, safe="").encode()}
        found |= {"".join(f"%{b:02x}" for b in raw).encode()}
        found |= {"".join(f"\\u{b:04x}" for b in raw).encode()}
        found |= _base64_cores(raw)
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(algorithm, raw).digest()
            found |= {digest, digest.hex().encode(), base64.b64encode(digest)}
    return {f for f in found if len(f) >= 6}


def _base64_cores(raw):
    """Return what base64 makes of bytes, wherever in a longer text they stand."""
    cores = set()
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + raw).decode()
        # The first and last characters depend on the neighbours.
        core = text.rstrip("=")[(shift * 8 + 5) // 6 : -1]
        cores |= {core.encode(), core.translate(str.maketrans("+/", "-_")).encode()}
    return cores


def leaks(data, identifiers):
    """Return (identifier, form) of what is found in bytes."""
    return [(i, f) for i in identifiers for f in forms(i) if f in data]


def stored(path):
    """Return the bytes of a file and, of a database, every value unpacked."""
    raw = path.read_bytes()
    if not raw.startswith(b"SQLite format 3\x00"):
        return raw
    parts = [raw]
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (table,) in connection.execute(query).fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608
                parts += [_unpacked(value) for value in row]
    return b"\n".join(parts)


def _unpacked(value):
    if isinstance(value, bytes):
        with suppress(zlib.error, EOFError, gzip.BadGzipFile):
            return gzip.decompress(value)
        return value
    return str(value).encode()
