"""Echoes WebSocket messages: an HTTP server whose connections become conversations, each with a thread of its own."""

import base64
import binascii
import hashlib
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import frames

#: What every server proves with that it has understood (RFC 6455, section 1.3).
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: How long, in seconds, a caller who broke the rules may go on sending, and how long goodbyes are waited for.
LAST_WORDS = 3


class Server(ThreadingHTTPServer):
    daemon_threads = True  # a caller who never says goodbye does not hold up the end
    request_queue_size = 128

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), Conversation)
        self.changed = threading.Condition()
        self.conversations = set()

    def stop(self, *_):
        threading.Thread(target=self.shutdown).start()  # it waits for serve_forever, which this interrupts

    def say_goodbye(self):
        with self.changed:
            going = list(self.conversations)
        for conversation in going:
            conversation.leave()
        with self.changed:
            self.changed.wait_for(lambda: not self.conversations, LAST_WORDS)


class Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        if self.accepted():
            self.sending = threading.Lock()
            self.closing = False
            with self.server.changed:
                self.server.conversations.add(self)
            try:
                self.echo()
            except OSError:
                pass  # the caller has gone
            finally:
                with self.server.changed:
                    self.server.conversations.discard(self)
                    self.server.changed.notify_all()

    def accepted(self):
        """Switches protocols, or says what is missing (section 4.2)."""
        wanted = self.headers.get("Upgrade", "").lower()
        version = self.headers.get("Sec-WebSocket-Version")
        if wanted != "websocket" or version != "13":
            self.refuse(426, "open a WebSocket here", {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
            return False
        key = self.headers.get("Sec-WebSocket-Key", "")
        if not is_key(key):
            self.refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64", {})
            return False
        proof = hashlib.sha1((key + GUID).encode()).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(proof).decode())
        self.end_headers()
        return True

    def refuse(self, status, words, headers):
        body = words.encode() + b"\n"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "Upgrade, close" if "Upgrade" in headers else "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo(self):
        reader = frames.Reader(self.rfile, masked=True)
        try:
            while True:
                kind, data = reader.next()
                if kind == frames.CLOSE:
                    return self.send(frames.CLOSE, data[:2])
                if kind != frames.PONG:
                    self.send(frames.PONG if kind == frames.PING else kind, data)
        except frames.Closed as closed:
            if closed.code:
                self.send(frames.CLOSE, frames.close(closed.code))
                self.hang_up()

    def hang_up(self):
        """Lets the caller read why: closing with bytes unread would reset the connection."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(LAST_WORDS)
        left = 2 * frames.LONGEST_MESSAGE
        while left > 0 and (piece := self.rfile.read1(1 << 16)):
            left -= len(piece)

    def send(self, kind, data):
        """Sends one frame; nothing follows a close."""
        with self.sending:
            if not self.closing:
                self.closing = kind == frames.CLOSE
                self.wfile.write(frames.encode(kind, data))

    def leave(self):
        try:
            self.send(frames.CLOSE, frames.close(frames.GOING_AWAY))
        except OSError:
            pass  # the caller was faster

    def log_request(self, *_):
        """The watchdog logs calls."""


def is_key(text):
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def main():
    server = Server(int(sys.argv[1]))
    signal.signal(signal.SIGTERM, server.stop)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.say_goodbye()


main()
