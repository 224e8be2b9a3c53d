"""A function in mode http, for the tests: a server of sockets that answers by the path it is asked for.

Speaks HTTP byte by byte, so that it can also speak it wrongly. $1 is the port.
"""

import os, signal, socket, sys, threading, time

PORT = int(sys.argv[1])
TMPDIR = os.environ["TMPDIR"]
accepted = 0


class Gone(Exception):
    pass


class Peer:
    def __init__(self, sock, number):
        self.sock, self.number, self.unread = sock, number, b""

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.unread += data

    def until(self, end):
        while end not in self.unread:
            self.more()
        text, self.unread = self.unread.split(end, 1)
        return text

    def take(self, count):
        while len(self.unread) < count:
            self.more()
        text, self.unread = self.unread[:count], self.unread[count:]
        return text

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def chunk(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(self, body=b"", status="200 OK", headers="Content-Type: text/x-test\r\n"):
        body = body if isinstance(body, bytes) else body.encode()
        self.send(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def body(self, headers):
        if headers.get("transfer-encoding") == "chunked":
            whole = b""
            while True:
                size = int(self.until(b"\r\n"), 16)
                whole += self.take(size)
                self.take(2)
                if size == 0:
                    return whole
        return self.take(int(headers.get("content-length", 0)))


def mark(name, text=""):
    with open(os.path.join(TMPDIR, name + ".tmp"), "w") as file:
        file.write(text)
    os.rename(os.path.join(TMPDIR, name + ".tmp"), os.path.join(TMPDIR, name))


def wait_for(name):
    while not os.path.exists(os.path.join(TMPDIR, name)):
        time.sleep(0.005)


def serve(peer):
    while True:
        raw = peer.until(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        headers = {n.lower(): v.strip() for n, v in (l.split(":", 1) for l in lines[1:])}
        method, target, _ = lines[0].split(" ", 2)
        path = target.split("?")[0]
        kind = path.strip("/").split("/")[0]
        act = ACTS.get(kind, dump)
        if act(peer, method, target, headers, raw) is False:
            return


def dump(peer, method, target, headers, raw):
    body = peer.body(headers)
    peer.answer(b"" if method == "HEAD" else raw + b"\r\n\n\n" + body)


def connection(peer, *_):
    peer.answer(str(peer.number))


def status(peer, method, target, headers, raw):
    peer.body(headers)
    code = target.split("?")[0].split("/")[2]
    if code in ("204", "304"):
        peer.send(f"HTTP/1.1 {code} X\r\nX-Is: {code}\r\n\r\n")
    else:
        peer.answer(code, f"{code} X", "X-Is: function\r\nLocation: /elsewhere\r\nContent-Type: a/b\r\n")


def special(peer, *_):
    peer.answer("x", headers="Content-Type: a/b\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Dup: 1\r\nX-Dup: 2\r\n"
                "Server: mine\r\nDate: then\r\nX-Duration-Seconds: 99\r\nConnection: close\r\n")
    return False


def untyped(peer, *_):
    peer.answer("<html><body>hi", headers="")


def packed(peer, *_):
    peer.answer(b"\x1f\x8b packed", headers="Content-Encoding: gzip\r\n")


def pieces(peer, method, target, headers, raw):
    """Three pieces, each after its mark."""
    kind = "text/event-stream" if "/sse" in target else "text/plain"
    code = target.split("code=")[1] if "code=" in target else "200"
    peer.send(f"HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in "123":
        wait_for("piece" + number)
        peer.chunk(f"piece {number}\n")
    peer.chunk("")


def trailers(peer, *_):
    peer.send("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n")
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 97\r\n\r\n")


def until_close(peer, *_):
    peer.send("HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nthe whole")
    return False


def hang_up(peer, *_):
    return False


def garbage(peer, *_):
    peer.send("this is no HTTP\r\n\r\n")
    return False


def many_headers(peer, *_):
    peer.send("HTTP/1.1 200 OK\r\n" + "".join(f"X-{n}: {n}\r\n" for n in range(100_000)) + "\r\n")
    return False


def half(peer, method, target, headers, raw):
    if "/sized" in target:
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 100\r\n\r\nhalf!")
    else:
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.chunk("half!")
    wait_for("break")
    return False


def slow(peer, method, target, headers, raw):
    """Answers once it is told to; notes that it began, and that the caller left."""
    mark("began")
    peer.sock.settimeout(0.005)
    while not os.path.exists(os.path.join(TMPDIR, "go")):
        try:
            peer.more()
        except TimeoutError:
            pass
        except (Gone, OSError):
            mark("left")
            raise Gone
    peer.sock.settimeout(None)
    peer.answer("done")


def bad_chunk(peer, *_):
    """Stops speaking HTTP in the middle of its answer."""
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf!\r\nnonsense\r\n")
    wait_for("go")
    return False


def endless(peer, *_):
    """Answers for as long as anybody takes it."""
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        while True:
            peer.chunk(b"x" * 65536)
    except OSError:
        mark("left")
        raise Gone


def flood(peer, *_):
    """Says much on stderr, all of it on one line."""
    for _ in range(160):
        sys.stderr.write("z" * 65536)
    sys.stderr.flush()
    peer.answer("flooded")


def deaf(peer, *_):
    """Never reads, never answers."""
    mark("began")
    wait_for("go")
    return False


def websocket(peer, method, target, headers, raw):
    if headers.get("upgrade", "").lower() != "websocket":
        return peer.answer("no", "426 Upgrade Required")
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Is: function\r\n\r\n")
    websockets.append(peer)
    while True:
        if not peer.unread:
            peer.more()
        data, peer.unread = peer.unread, b""
        peer.send(data)
        if data == b"bye":
            return False


def unasked(peer, *_):
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    return False


def echo(peer, method, target, headers, raw):
    """Answers while it reads."""
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n")
    if headers.get("transfer-encoding") == "chunked":
        while True:
            size = int(peer.until(b"\r\n"), 16)
            data = peer.take(size)
            peer.take(2)
            peer.chunk(data)
            if size == 0:
                return
    left = int(headers["content-length"])
    while left:
        if not peer.unread:
            peer.more()
        data, peer.unread = peer.unread[:left], peer.unread[left:]
        left -= len(data)
        peer.chunk(data)
    peer.chunk("")


def too_large(peer, method, target, headers, raw):
    peer.answer("too large", "413 Payload Too Large")
    peer.body(headers)


def head_sizes(peer, method, target, headers, raw):
    peer.answer(f"{len(headers.get('x-big', ''))} {headers.get('x-raw', '')!r}")


def talk(peer, *_):
    print("said on stdout", flush=True)
    print("said on stderr", file=sys.stderr, flush=True)
    print("x" * 70_000, flush=True)
    print("and more", flush=True)
    sys.stdout.write("no newline")
    sys.stdout.flush()
    peer.answer("talked")


def inside(peer, *_):
    """What the process sees of its surroundings."""
    import select

    readable, _, _ = select.select([0], [], [], 0)
    names = ",".join(sorted(name for name in os.environ if name.startswith("Http_")))
    peer.answer(f"{os.environ.get('MY_VAR')}|{names}|{'EOF' if readable else 'open'}")


def leave(peer, method, target, headers, raw):
    os._exit(int(target.split("/")[2]))


ACTS = {
    f.__name__: f
    for f in (dump, connection, status, special, untyped, packed, pieces, trailers, until_close, hang_up, garbage,
              many_headers, half, slow, deaf, bad_chunk, endless, flood, websocket, unasked, echo, too_large, head_sizes, talk, inside, leave)
}


def handle(sock, number):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        serve(Peer(sock, number))
    except (Gone, OSError):
        pass
    finally:
        sock.close()


def told_to_stop(*_):
    mark("told")
    if os.environ.get("ON_TERM") == "goodbye":
        for peer in websockets:
            peer.send("goodbye")
    if os.environ.get("ON_TERM") == "ignore":
        return
    os._exit(0)


websockets = []
signal.signal(signal.SIGTERM, told_to_stop)
mark("pid", str(os.getpid()))
if os.environ.get("START_LATE"):
    wait_for("start")
listener = socket.create_server(("127.0.0.1", PORT), backlog=1024)
while True:
    sock, _ = listener.accept()
    accepted += 1
    threading.Thread(target=handle, args=(sock, accepted), daemon=True).start()
