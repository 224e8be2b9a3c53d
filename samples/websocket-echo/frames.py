"""WebSocket frames (RFC 6455, section 5), over a pair of blocking files."""

import os

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NORMAL, GOING_AWAY, PROTOCOL, NOT_UTF8, TOO_BIG = 1000, 1001, 1002, 1007, 1009
LONGEST_MESSAGE = 4 << 20


class Closed(Exception):
    """The conversation is over; `code` is what to close with, if there is still somebody to tell."""

    def __init__(self, code=None):
        super().__init__(code)
        self.code = code


def unmask(data, key):
    size = len(data)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def encode(kind, data, masked=False):
    """One frame. Clients mask theirs, servers never do (section 5.3)."""
    size, mask_bit = len(data), 0x80 if masked else 0
    if size < 126:
        head = bytes([0x80 | kind, mask_bit | size])
    elif size < 1 << 16:
        head = bytes([0x80 | kind, mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | kind, mask_bit | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + data
    key = os.urandom(4)
    return head + key + unmask(data, key)


def close(code):
    return b"" if code is None else code.to_bytes(2, "big")


class Reader:
    """Takes frames apart and puts messages together."""

    def __init__(self, file, masked):
        self.file = file
        self.masked = masked
        self.kind = None
        self.pieces = bytearray()

    def next(self):
        """The next message or control frame: its kind and its data."""
        while True:
            last, kind, data = self.frame(LONGEST_MESSAGE - len(self.pieces))
            if kind >= CLOSE:
                return kind, checked_close(data) if kind == CLOSE else data
            if (kind == 0) == (self.kind is None):
                raise Closed(PROTOCOL)  # a piece of nothing, or a message within a message
            self.kind = self.kind or kind
            self.pieces += data
            if last:
                kind, data = self.kind, bytes(self.pieces)
                self.kind, self.pieces = None, bytearray()
                return kind, checked_text(data) if kind == TEXT else data

    def frame(self, room):
        first, second = self.exactly(2)
        last, kind, size = first & 0x80, first & 0x0F, second & 0x7F
        wrong_mask = bool(second & 0x80) != self.masked
        if first & 0x70 or kind not in (0, TEXT, BINARY, CLOSE, PING, PONG) or wrong_mask:
            raise Closed(PROTOCOL)
        if kind >= CLOSE and (size > 125 or not last):
            raise Closed(PROTOCOL)
        if size > 125:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
        if kind < CLOSE and size > room:
            raise Closed(TOO_BIG)
        key = self.exactly(4) if self.masked else bytes(4)
        return last, kind, unmask(self.exactly(size), key)

    def exactly(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise Closed
        return data


def checked_text(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        raise Closed(NOT_UTF8) from None
    return data


def checked_close(data):
    """A close frame is empty, or a code that may be sent and a reason in UTF-8 (section 7.4)."""
    code = int.from_bytes(data[:2], "big")
    sendable = 1000 <= code <= 1014 and code not in (1004, 1005, 1006) or 3000 <= code <= 4999
    if data and (len(data) < 2 or not sendable):
        raise Closed(PROTOCOL)
    checked_text(data[2:])
    return data
