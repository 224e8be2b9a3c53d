"""Counts words: an HTTP server that is started once and takes every call, with a thread per connection."""

import collections
import contextlib
import json
import re
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LONGEST_BODY = 1 << 20
LONGEST_LINE = 8 << 10
MOST_WORDS = 1000


class Refused(Exception):
    """What is wrong with a call, and the status that says so."""

    def __init__(self, status, words):
        super().__init__(words)
        self.status = status


class Server(ThreadingHTTPServer):
    """Knows how many calls it is in the middle of, so that it can leave when there are none."""

    daemon_threads = True  # idle connections do not hold up the end
    request_queue_size = 128

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), Call)
        self.stopping = False
        self.calls = 0
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def call(self):
        with self.changed:
            self.calls += 1
        try:
            yield
        finally:
            with self.changed:
                self.calls -= 1
                self.changed.notify_all()

    def stop(self, *_):
        self.stopping = True
        threading.Thread(target=self.shutdown).start()  # it waits for serve_forever, which this interrupts

    def drain(self):
        with self.changed:
            self.changed.wait_for(lambda: self.calls == 0)


class Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body of an answer leave in one piece

    def handle_one_request(self):
        self.close_connection = True
        if self.rfile.peek(1):  # a call begins with its first byte; until then the connection is idle
            with self.server.call():
                super().handle_one_request()

    def handle_expect_100(self):
        goes_on = super().handle_expect_100()
        self.wfile.flush()  # the caller waits for this before it sends the body
        return goes_on

    def do_POST(self):
        try:
            self.answer(200, {"words": most_common(self.body(), self.wanted())})
        except Refused as refused:
            self.close_connection = True  # there may be a body left that nobody reads
            self.answer(refused.status, {"error": str(refused)})

    def refuse(self):
        self.close_connection = True
        self.answer(405, {"error": "POST a text"})

    do_GET = do_PUT = do_PATCH = do_DELETE = refuse

    def wanted(self):
        """How many words are asked for, by `?top=`."""
        top = parse_qs(urlsplit(self.path).query).get("top", ["3"])[-1]
        if not re.fullmatch("[0-9]{1,4}", top) or not 1 <= int(top) <= MOST_WORDS:
            raise Refused(400, f"top is a number from 1 to {MOST_WORDS}")
        return int(top)

    def body(self):
        if "Transfer-Encoding" in self.headers:
            return b"".join(self.chunks())
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch("[0-9]{1,18}", length):
            raise Refused(400, "Content-Length is no number")
        return self.exactly(int(length), LONGEST_BODY)

    def chunks(self):
        """The body as HTTP/1.1 sends it when its length is not known (RFC 9112, section 7.1)."""
        room = LONGEST_BODY
        while size := self.chunk_size():
            yield self.exactly(size, room)
            room -= size
            self.line()
        while self.line():  # trailers
            pass

    def chunk_size(self):
        digits = self.line().split(b";")[0].strip()
        if not re.fullmatch(b"[0-9A-Fa-f]{1,15}", digits):
            raise Refused(400, "a chunk without a size")
        return int(digits, 16)

    def line(self):
        line = self.rfile.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise Refused(400, "the body ends too early")
        return line.rstrip(b"\r\n")

    def exactly(self, size, most):
        if size > most:
            raise Refused(413, f"a body has {LONGEST_BODY} bytes at most")
        data = self.rfile.read(size)
        if len(data) < size:
            raise Refused(400, "the body ends too early")
        return data

    def answer(self, status, value):
        body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 405:
            self.send_header("Allow", "POST")
        if self.close_connection or self.server.stopping:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_):
        """The watchdog logs calls."""


def most_common(text, wanted):
    try:
        words = re.findall(r"\w+", text.decode().lower())
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8") from None
    return dict(collections.Counter(words).most_common(wanted))


def main():
    server = Server(int(sys.argv[1]))
    signal.signal(signal.SIGTERM, server.stop)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.drain()


main()
