"use strict";
// A clock: every tick is one server-sent event, on its way the moment it happens.

const http = require("node:http");

const streams = new Set();
let stopping = false;

/** A whole number from the query within limits; what is left out is `preset`. */
function number(query, name, preset, least, most) {
  const text = query.get(name);
  if (text === null) return preset;
  const value = Number(text);
  const fits = /^\d+$/.test(text) && value >= least && value <= most;
  if (!fits) throw new RangeError(`${name} is a number from ${least} to ${most}`);
  return value;
}

function tick(response, every, count) {
  let ticks = 0;
  const next = () => {
    if (response.writableNeedDrain) return; // a reader who is slow misses ticks, and nothing piles up
    ticks += 1;
    response.write(`id: ${ticks}\nevent: tick\ndata: ${new Date().toISOString()}\n\n`);
    if (ticks === count) response.end();
  };
  const timer = setInterval(next, every);
  streams.add(response);
  response.on("close", () => {
    clearInterval(timer);
    streams.delete(response);
  });
  next();
}

function take(request, response) {
  request.resume();
  response.shouldKeepAlive = !stopping;
  try {
    const query = new URLSearchParams(request.url.split("?")[1] ?? "");
    const every = number(query, "every", 1000, 10, 60_000);
    const count = number(query, "count", Infinity, 1, 1_000_000);
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    tick(response, every, count);
  } catch (error) {
    response.writeHead(400, { "Content-Type": "text/plain" }).end(`${error.message}\n`);
  }
}

const server = http.createServer(take);
server.keepAliveTimeout = 65_000; // longer than the watchdog keeps its side, so that it is never stale there
server.listen(Number(process.argv[2]), "127.0.0.1");

process.on("SIGTERM", () => {
  stopping = true;
  server.close();
  server.closeIdleConnections();
  // A clock never ends by itself, so it says goodbye; an EventSource comes again, to another replica.
  for (const response of streams) response.end("event: bye\ndata: stopping\n\n");
});
