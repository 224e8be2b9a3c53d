"""Says something over a WebSocket and prints what comes back: say.py ws://HOST:PORT/PATH MESSAGE..."""

import base64
import os
import socket
import sys
from urllib.parse import urlsplit

import frames


def opened(url):
    """The connection, and a file to read it, once the server has switched protocols."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    file = connection.makefile("rb")
    status = file.readline().decode().strip()
    if " 101 " not in status:
        sys.exit(f"no WebSocket: {status}")
    while file.readline().strip():
        pass
    return connection, file


def main():
    connection, file = opened(sys.argv[1])
    reader = frames.Reader(file, masked=False)
    for message in sys.argv[2:]:
        connection.sendall(frames.encode(frames.TEXT, message.encode(), masked=True))
        print(reader.next()[1].decode())
    connection.sendall(frames.encode(frames.CLOSE, frames.close(frames.NORMAL), masked=True))
    print("closed with", int.from_bytes(reader.next()[1], "big"))


main()
