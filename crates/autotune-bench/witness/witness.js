// The load of one launch, for witness.py. Settings come as JSON in WITNESS:
//   url        where the server listens
//   rate       arrivals a second, over all endpoints
//   seed       of arrivals and endpoints; the same seed gives the same load
//   seconds    how long requests arrive
//   arrivals   "constant" or "poisson"
//   spread     seconds over which each "poisson" arrival is moved
//   users      most requests and connections at once
//   endpoints  [{ name, path, weight, status, contains }]

import { scenario } from "k6/execution";
import http from "k6/http";
import { sleep } from "k6";
import { Counter } from "k6/metrics";

const settings = JSON.parse(__ENV.WITNESS);
const wrong = new Counter("wrong_answer");
const totalWeight = settings.endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0);

export const options = {
  discardResponseBodies: false,
  noConnectionReuse: settings.connections === "per-request",
  systemTags: ["status", "error_code"],
  scenarios: {
    open: {
      executor: "constant-arrival-rate",
      rate: settings.rate,
      timeUnit: "1s",
      duration: `${settings.seconds}s`,
      preAllocatedVUs: settings.users,
      maxVUs: settings.users,
      gracefulStop: "15s",
    },
  },
};

// The random number in [0, 1) that belongs to this position (mulberry32). By position, because
// which virtual user runs which iteration is not repeatable.
function chance(position) {
  let bits = (settings.seed + Math.imul(position, 0x6d2b79f5)) | 0;
  bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
}

function pick(position) {
  let left = chance(position) * totalWeight;
  for (const endpoint of settings.endpoints) {
    left -= endpoint.weight;
    if (left < 0) return endpoint;
  }
  return settings.endpoints[settings.endpoints.length - 1];
}

export default function () {
  const iteration = scenario.iterationInTest;
  // k6 has no Poisson arrivals. Evenly spaced ones, each moved by a random time that is long
  // beside the spacing, come close: over spans much shorter than `spread` the counts are Poisson.
  if (settings.arrivals === "poisson") sleep(chance(2 * iteration) * settings.spread);

  const endpoint = pick(2 * iteration + 1);
  const answer = http.get(settings.url + endpoint.path, {
    tags: { endpoint: endpoint.name },
    timeout: "10s",
  });
  const right =
    endpoint.status.includes(answer.status) &&
    (!endpoint.contains || (answer.body || "").includes(endpoint.contains));
  if (!right) wrong.add(1, { endpoint: endpoint.name });
}
