// A small app on Node's own cluster: a primary process that listens and deals connections
// round-robin, and WORKERS processes that answer. No package is needed.
//
// WORKERS  how many processes answer
// WAIT_MS  how long /wait waits for something slow (60)
// WORK     a factor on the work of /stock (1.0)

const cluster = require("node:cluster");
const http = require("node:http");

const WAIT_MS = Number(process.env.WAIT_MS ?? 60);
const WORK = Number(process.env.WORK ?? 1);
const STOCK = Array.from({ length: 600 }, (_, n) => JSON.stringify({ shelf: n % 24, pieces: (n * 7) % 90 }));

function piecesByShelf() {
  const shelves = new Array(24).fill(0);
  for (let round = 0; round < Math.max(1, Math.round(8 * WORK)); round += 1) {
    for (const line of STOCK) {
      const item = JSON.parse(line);
      shelves[item.shelf] += item.pieces;
    }
  }
  return shelves;
}

function answer(response, status, value) {
  const body = JSON.stringify(value);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

function serve(request, response) {
  if (request.url === "/stock") {
    answer(response, 200, { shelves: piecesByShelf() });
  } else if (request.url === "/wait") {
    setTimeout(() => answer(response, 200, { upstream: "ok" }), WAIT_MS);
  } else {
    answer(response, 404, { error: "no such page" });
  }
}

if (cluster.isPrimary) {
  let stopping = false;
  for (let started = 0; started < Number(process.env.WORKERS); started += 1) cluster.fork();
  // Node does not keep the number of workers by itself.
  cluster.on("exit", () => {
    if (!stopping) cluster.fork();
    else if (Object.keys(cluster.workers).length === 0) process.exit(0);
  });
  process.on("SIGTERM", () => {
    stopping = true;
    for (const worker of Object.values(cluster.workers)) worker.process.kill("SIGTERM");
  });
} else {
  const server = http.createServer(serve);
  server.listen(Number(process.env.PORT), process.env.HOST);
  process.on("SIGTERM", () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
