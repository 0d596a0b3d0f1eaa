"""Do the load engine and k6 measure the same latency?

One live server, alternating windows of k6 and of the engine (in random order within each pair),
constant arrivals at the same rate, kept-alive connections, service time. For each pair the ratio
engine / k6 of p50 and of p95, over all requests and as the geometric mean over the endpoints; at
the end the mean ratio with its 95 % t-interval.

    cargo build --release -p autotune-bench
    python3 crates/autotune-bench/witness/agree.py grids/quickstart.toml 1/8/gthread \\
        --venv VENV --k6 K6 --pairs 12

Load goes to this machine only. The server gets `server_cpus` of the grid file, both generators
`generator_cpus`.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import witness

# Stands for all requests together; no endpoint has an empty name.
ALL = ""


def engine_window(plan, url, binary, seed):
    """p50 and p95 of each endpoint in microseconds, as the engine sees them."""
    command = [
        str(binary), url.removeprefix("http://"),
        *(f"{endpoint['name']}={endpoint['path']}" for endpoint in plan.endpoints),
        "--rate", str(plan.rate), "--seconds", str(round(plan.warmup + plan.seconds)),
        "--warm-up", str(round(plan.warmup)), "--seed", str(seed),
    ]  # fmt: skip
    if plan.generator_cpus:
        command += ["--cpu", str(plan.generator_cpus[0])]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=plan.seconds + 60)
    if ended.returncode:
        raise RuntimeError(f"the engine ended with {ended.returncode}: {ended.stderr}")
    return json.loads(ended.stdout)


def k6_window(plan, url, seed):
    """The same as k6 sees it."""
    with tempfile.TemporaryDirectory() as folder:
        samples = witness.load(plan, url, folder, seed)
    requests = [
        (end - value / 1000, value * 1000, tags["endpoint"])
        for metric, end, value, tags in samples
        if metric == "http_req_duration"
    ]
    begin = min(start for start, *_ in requests) + plan.warmup
    counting = [(value, of) for start, value, of in requests if start >= begin]
    figures = {}
    for name in [ALL, *(endpoint["name"] for endpoint in plan.endpoints)]:
        values = [value for value, of in counting if name in (ALL, of)]
        figures[name] = [witness.percentile(values, share) for share in (0.50, 0.95)]
    return figures


def log_ratios(engine, k6):
    """The figures of a pair: logs of engine / k6."""
    each = [name for name in k6 if name != ALL]

    def ratio(name, index):
        return math.log(engine[name][index] / k6[name][index])

    def over_endpoints(index):
        return sum(ratio(name, index) for name in each) / len(each)

    return {
        "p50 of all requests": ratio(ALL, 0),
        "p95 of all requests": ratio(ALL, 1),
        "p50 by endpoint": over_endpoints(0),
        "p95 by endpoint": over_endpoints(1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("grid", type=Path)
    parser.add_argument("configuration", help="as in 1/8/gthread")
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--k6", type=Path, required=True)
    parser.add_argument("--engine", type=Path, default=Path("target/release/window"))
    parser.add_argument("--pairs", type=int, default=12, help="at least 2")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rate", type=int)
    args = parser.parse_args()

    grid = tomllib.loads(args.grid.read_text())
    (server,) = grid["server"].values()
    host = grid.get("host", {})
    plan = witness.Plan(
        base=args.grid.resolve().parent, server=server,
        endpoints=[
            {"name": e["name"], "path": e["path"], "weight": 1, "status": [200],
             "contains": e.get("expect", {}).get("contains", "")}
            for e in grid["endpoint"]
        ],
        rate=args.rate or grid["load"]["open"]["rate"], connections="keep-alive",
        server_cpus=host.get("server_cpus", []), generator_cpus=host.get("generator_cpus", []),
        venv=args.venv, k6=args.k6, env={}, seconds=args.seconds, warmup=1, arrivals="constant",
        nice=0,
    )  # fmt: skip
    workers, threads, worker_class = args.configuration.split("/")[:3]
    configuration = witness.Configuration.canonical(workers, threads, worker_class)
    order = random.Random(1)
    logs = []
    with witness.kept_awake(grid), witness.Server(plan, configuration) as live:
        for pair in range(args.pairs):
            windows = {
                "k6": lambda: k6_window(plan, live.url, pair),
                "engine": lambda: engine_window(plan, live.url, args.engine, pair),
            }
            names = list(windows)
            order.shuffle(names)
            figures = {name: windows[name]() for name in names}
            logs.append(log_ratios(figures["engine"], figures["k6"]))
            told = (f"{name} {math.exp(value):.3f}" for name, value in logs[-1].items())
            print(f"pair {pair + 1}: {', '.join(told)}", file=sys.stderr)
    for name in logs[0]:
        mean, half = witness.t_interval([pair[name] for pair in logs])
        low, high = math.exp(mean - half), math.exp(mean + half)
        print(f"{name}: engine / k6 {math.exp(mean):.3f} [{low:.3f}, {high:.3f}], {len(logs)} pairs")


if __name__ == "__main__":
    main()
