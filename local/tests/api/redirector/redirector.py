"""Answers every request with a redirect to `destination`: the certifier's redirecting function, in mode http."""
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Redirect(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def redirect(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(302)
        self.send_header("Location", os.environ["destination"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = redirect


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Redirect).serve_forever()
