"""A TAP service on this machine that knows one table, answers in VOTables, and misbehaves when told to."""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from astropy.table import Table

from hscbox.refcat.patience import Patience
from hscbox.refcat.sky import Cone

CONE = Cone(0.05, -5.3, 0.3)
PATIENCE = Patience(attempts=4, first_wait=1.0, longest_wait=4.0, connect=5.0, read=5.0, whole=10.0)

_TYPES = {"i": "long", "f": "double", "U": "char"}
_REGION = re.compile(r"(POLYGON|CIRCLE)\('ICRS', ([^)]*)\)")


@dataclass
class Seen:
    """One request."""

    query: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0


@dataclass
class TapTable:
    """What the service knows, and how it behaves.

    `faults` are used up one for each request; an empty text means to behave.
    """

    table: Table
    ra: str = "ra"
    dec: str = "dec"
    limit: int = 10**9
    etag: bool = True
    gzip: bool = False
    binary: bool = False
    faults: deque[str] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    version: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def rows(self, query: str) -> np.ndarray:
        """Return which rows are in the region of a query."""
        found = _REGION.search(query)
        assert found is not None, query
        numbers = [float(part) for part in found[2].split(",")]
        points = _vectors(np.array(self.table[self.ra], float), np.array(self.table[self.dec], float))
        if found[1] == "CIRCLE":
            return points @ _vectors(numbers[0], numbers[1])[0] >= np.cos(np.radians(numbers[2]))
        corners = _vectors(np.array(numbers[0::2]), np.array(numbers[1::2]))
        inside = np.ones(len(points), dtype=bool)
        for first, second in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            inside &= points @ np.cross(first, second) >= 0
        return inside

    def votable(self, query: str, most: int) -> bytes:
        """Return the answer to a query."""
        picked = self.table[self.rows(query)]
        cut = len(picked) > min(most, self.limit)
        picked = picked[: min(most, self.limit)]
        status = '<INFO name="QUERY_STATUS" value="OVERFLOW"/>' if cut else ""
        if self.binary:
            text = _binary(picked)
            return text.replace(b"</TABLE>", b"</TABLE>" + status.encode())
        fields = "".join(
            f'<FIELD name="{name}" datatype="{_TYPES[picked[name].dtype.kind]}"'
            + (' arraysize="*"' if picked[name].dtype.kind == "U" else "")
            + "/>"
            for name in picked.colnames
        )
        columns = [[_cell(value) for value in picked[name].tolist()] for name in picked.colnames]
        rows = "".join(
            f"<TR>{''.join(f'<TD>{cell}</TD>' for cell in row)}</TR>\n" for row in zip(*columns, strict=True)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">'
            f'<INFO name="QUERY_STATUS" value="OK"/><TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE>'
            f"{status}</RESOURCE><!-- version {self.version} --></VOTABLE>\n"
        ).encode()


def _cell(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _vectors(ra: Any, dec: Any) -> np.ndarray:
    lon, lat = np.radians(np.atleast_1d(ra)), np.radians(np.atleast_1d(dec))
    return np.stack([np.cos(lon) * np.cos(lat), np.sin(lon) * np.cos(lat), np.sin(lat)], axis=-1)


def _binary(table: Table) -> bytes:
    import io

    from astropy.io.votable import from_table

    stream = io.BytesIO()
    from_table(table).to_xml(stream, tabledata_format="binary2")
    return stream.getvalue()


def _disguised(body: bytes) -> bytes:
    """Pack a VOTable so that, unread, the bytes have its begin (a file name in the gzip header) and its end tag."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(body) + packer.flush() + struct.pack("<II", zlib.crc32(body), len(body))
    return b"\x1f\x8b\x08\x08\0\0\0\0\0\xff<VOTABLE >\0" + packed + b"</VOTABLE>"


ERROR = (
    b'<VOTABLE version="1.4"><RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">no column '
    b"&lt;phot_g&gt; in this table</INFO></RESOURCE></VOTABLE>"
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    knows: TapTable

    def log_message(self, *words: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        values = parse_qs(urlsplit(self.path).query)
        query, most = values["QUERY"][0], int(values["MAXREC"][0])
        knows = self.knows
        seen = Seen(query, self.headers.get("Range"), self.headers.get("If-Range"))
        knows.seen.append(seen)
        fault = knows.faults.popleft() if knows.faults else ""
        if fault == "changed":
            knows.version += 1
        body = knows.votable(query, most)
        encoding = "gzip" if knows.gzip and "gzip" in self.headers.get("Accept-Encoding", "") else ""
        if encoding:
            body = gzip.compress(body, mtime=0)
        try:
            self._answer(seen, fault, body, encoding)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, seen: Seen, fault: str, body: bytes, encoding: str) -> None:
        if fault.isdigit() or fault.startswith("503 "):
            status, _, wait = fault.partition(" ")
            return self._plain(
                seen, int(status), b"busy: <b>come back</b> later", {"Retry-After": wait} if wait else {}
            )
        if fault == "refused":
            return self._plain(seen, 400, ERROR, {})
        if fault == "error-200":
            return self._plain(seen, 200, ERROR, {})
        if fault == "portal":
            return self._plain(seen, 200, b"<html><body>Please log in</body></html>", {})
        if fault == "empty":
            return self._plain(seen, 200, b"", {})
        if fault == "broke-off":
            late = b'</TABLE><INFO name="QUERY_STATUS" value="ERROR">database went away</INFO>'
            return self._plain(seen, 200, body.replace(b"</TABLE>", late), {})
        if fault == "promises":
            return self._plain(seen, 200, body.replace(b"<TABLE>", b'<TABLE nrows="99999999999">'), {})
        if fault == "few-rows":
            return self._plain(seen, 200, body.replace(b"<TABLE>", b'<TABLE nrows="20000">'), {})
        if fault == "entity":
            return self._plain(seen, 200, body.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "b">]>', 1), {})
        if fault == "elsewhere":
            trap = b'<DATA><FITS><STREAM href="file:///etc/passwd"/></FITS></DATA>'
            return self._plain(seen, 200, re.sub(rb"<DATA>.*</DATA>", trap, body, flags=re.DOTALL), {})
        if fault == "packed-elsewhere":
            trap = b'<DATA><BINARY><STREAM href="file:///etc/passwd"/></BINARY></DATA>'
            return self._plain(seen, 200, _disguised(re.sub(rb"<DATA>.*</DATA>", trap, body, flags=re.DOTALL)), {})
        if fault == "wide":
            # The width and not the number of rows is what takes the memory.
            wide = body.replace(
                b"<TABLE>", b'<TABLE nrows="2000"><FIELD name="w" datatype="double" arraysize="99999"/>'
            )
            return self._plain(seen, 200, wide, {})
        if fault == "dtd-free-junk":
            return self._plain(seen, 200, body.replace(b"<TD>", b"<TD>x", 40), {})
        if fault == "everywhere":
            return self._plain(seen, 200, self.knows.votable("CIRCLE('ICRS', 0, 0, 180)", 10**9), {})
        if fault == "cut-lie":
            # Whole by its stated length.
            return self._send(seen, 200, body[: len(body) // 2], encoding, {})
        if fault == "gzip-cut":
            packed = gzip.compress(body, mtime=0)
            return self._send(seen, 200, packed[: len(packed) // 2], "gzip", {})
        if fault == "bomb":
            return self._send(seen, 200, gzip.compress(bytes(50_000_000)), "gzip", {})
        return self._whole(seen, fault, body, encoding)

    def _plain(self, seen: Seen, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(seen, status, body, "", headers)

    def _send(
        self, seen: Seen, status: int, body: bytes, encoding: str, headers: dict[str, str], length: int | None = None
    ) -> None:
        seen.status = status
        self.send_response(status)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        seen.sent = len(body)
        if length is not None and length != len(body):
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _whole(self, seen: Seen, fault: str, body: bytes, encoding: str) -> None:
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": ("W/" if fault.startswith("weak") else "") + tag} if self.knows.etag else {}
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", seen.range or "")
        if asked and seen.if_range == tag and fault != "no-ranges":
            start, status = int(asked[1]), 206
            if start >= len(body):
                headers["Content-Range"] = f"bytes */{len(body)}"
                return self._plain(seen, 416, b"", headers)
            stated = start + 7 if fault == "wrong-range" else start
            headers["Content-Range"] = f"bytes {stated}-{len(body) - 1}/{len(body)}"
        rest = body[start:]
        if fault in {"drop", "weak-drop"}:
            return self._send(seen, status, rest[: len(rest) // 2], encoding, headers, len(rest))
        if fault == "lie-long":
            return self._send(seen, status, rest, encoding, headers, len(rest) + 1000)
        if fault == "chunk-drop":
            return self._chunked(seen, rest[: len(rest) // 2], headers, end=False)
        if fault == "chunked":
            return self._chunked(seen, rest, {}, end=True)
        if fault == "unsized-cut":
            return self._unsized(seen, rest[: len(rest) // 2], headers)
        if fault in {"slow", "stall"}:
            return self._slow(seen, rest, headers, fault)
        return self._send(seen, status, rest, encoding, headers)

    def _chunked(self, seen: Seen, body: bytes, headers: dict[str, str], *, end: bool) -> None:
        seen.status = 200
        self.send_response(200)
        for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        for place in range(0, len(body), 5000):
            piece = body[place : place + 5000]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if end:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._hang_up()

    def _unsized(self, seen: Seen, body: bytes, headers: dict[str, str]) -> None:
        seen.status = 200
        self.send_response(200)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self._hang_up()

    def _slow(self, seen: Seen, body: bytes, headers: dict[str, str], fault: str) -> None:
        """Send a little for ever, or half and then nothing."""
        seen.status = 200
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "stall":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.knows.stop.wait(20)
        else:
            place = 0
            while not self.knows.stop.is_set() and place < len(body) - 1:
                self.wfile.write(body[place : place + 1])
                self.wfile.flush()
                place += 1
                time.sleep(0.02)
        self.close_connection = True


@contextmanager
def serving(knows: TapTable) -> Iterator[str]:
    """Run the service and give its address."""
    handler = type("Handler", (_Handler,), {"knows": knows})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    # Clients that go away in the middle are the point of these tests.
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/tap"
    finally:
        knows.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()
