"use strict";
// Checksums: an HTTP server that is started once and takes every call. A body is never held whole.

const { createHash } = require("node:crypto");
const http = require("node:http");

const ALGORITHMS = ["sha256", "sha384", "sha512"];
let stopping = false;

function answer(response, status, value) {
  const headers = { "Content-Type": "application/json" };
  // A refusal may leave a body unread, and who stops takes no more calls.
  if (stopping || status !== 200) headers.Connection = "close";
  response.writeHead(status, headers).end(JSON.stringify(value) + "\n");
}

function take(request, response) {
  const query = request.url.split("?")[1] ?? "";
  const algorithm = new URLSearchParams(query).get("algorithm") ?? "sha256";
  if (request.method !== "POST") {
    response.setHeader("Allow", "POST");
    return answer(response, 405, { error: "POST what is to be summed up" });
  }
  if (!ALGORITHMS.includes(algorithm)) {
    return answer(response, 400, { error: `algorithm is one of ${ALGORITHMS.join(", ")}` });
  }

  const sum = createHash(algorithm);
  let bytes = 0;
  request.on("data", (piece) => {
    sum.update(piece);
    bytes += piece.length;
  });
  request.on("end", () => answer(response, 200, { bytes, [algorithm]: sum.digest("hex") }));
  request.on("error", () => response.destroy());
}

const server = http.createServer(take);
server.keepAliveTimeout = 65_000; // longer than the watchdog keeps its side, so that it is never stale there
server.listen(Number(process.argv[2]), "127.0.0.1");

process.on("SIGTERM", () => {
  stopping = true;
  server.close(); // calls in flight are answered; with the last connection the program ends
  server.closeIdleConnections();
});
