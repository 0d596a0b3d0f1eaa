#!/usr/bin/env python3
"""A second opinion on a grid: every configuration under k6, without any of autotune's code.

Starts gunicorn itself, pinned as the grid's [host] says, with a fresh copy of the fixture for
every launch; loads it with k6 (witness.js) at the grid's open rate; sums PSS over the process
tree once a second. Each pass launches every configuration once, in random order and under the
same arrivals, so that what the host and chance do falls on all of them alike.

    python3 witness.py ../../../grids/quickstart.toml --venv VENV --k6 K6 --launches 10
    python3 witness.py GRID --venv VENV --k6 K6 --env QUICKSTART_WAIT_MS=400 1/8 4/8/gthread

A configuration is workers[/threads[/worker-class[/max-requests[/jitter]]]]; without any, all of
the grid and its baseline run. Only what the quickstart's grid file uses is understood: one
gunicorn variant, lists in [grid], [load.open]. Needs Linux, Python 3.11 and k6; `--venv` is an
environment with the app's requirements in it.

The printed p95 is the median over launches of the p95 of k6's http_req_duration (first byte
written to last byte read, connecting not included), geometric mean over endpoints by weight.
Failed and wrong answers count as infinitely slow. "ratio" compares with the best configuration
within passes: geometric mean and 95 % t-interval on the log scale.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
MIB = 1024 * 1024
SPREAD_SECONDS = 1.0
EPHEMERAL = range(32768, 61000)
# Overloaded: requests dropped, or those in flight grew by more than this share of those due.
OVERLOAD_SHARE = 0.02
# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Configuration:
    workers: int
    threads: int
    worker_class: str
    max_requests: int
    jitter: int

    @staticmethod
    def canonical(workers=1, threads=1, worker_class="sync", max_requests=0, jitter=0):
        """gunicorn's own folding: sync with threads is gthread, jitter needs max-requests."""
        workers, threads, max_requests = int(workers), int(threads), int(max_requests)
        if worker_class == "sync" and threads > 1:
            worker_class = "gthread"
        if worker_class not in ("sync", "gthread"):
            threads = 1
        return Configuration(
            workers, threads, worker_class, max_requests, int(jitter) if max_requests else 0
        )

    def __str__(self):
        return "/".join(map(str, (self.workers, self.threads, self.worker_class, self.max_requests, self.jitter)))

    def arguments(self):
        return [
            "--workers", str(self.workers),
            "--threads", str(self.threads),
            "--worker-class", self.worker_class,
            "--max-requests", str(self.max_requests),
            "--max-requests-jitter", str(self.jitter),
        ]  # fmt: skip


@dataclass
class Launch:
    """What one launch showed; latencies in milliseconds, `inf` where not attained."""

    configuration: str
    order: int
    problem: str | None = None
    p50: dict = field(default_factory=dict)
    p95: dict = field(default_factory=dict)
    requests: dict = field(default_factory=dict)
    p95_geomean: float = math.inf
    failed: int = 0
    dropped: int = 0
    overloaded: bool = False
    pss_peak_bytes: int = 0
    server_cpu_share: float = 0.0


def configurations_of(grid):
    keys = {"workers": "workers", "threads": "threads", "worker_class": "worker_class",
            "max_requests": "max_requests", "max_requests_jitter": "jitter"}  # fmt: skip
    axes = [(keys[key], values) for key, values in grid["grid"].items()]
    names = [name for name, _ in axes]
    cells = [
        Configuration.canonical(**dict(zip(names, cell)))
        for cell in itertools.product(*(values for _, values in axes))
    ]
    if "baseline" in grid:
        cells.append(Configuration.canonical(**{keys[k]: v for k, v in grid["baseline"].items()}))
    return list(dict.fromkeys(cells))


@contextlib.contextmanager
def kept_awake(grid):
    """CPUs out of their idle states while the `with` lasts, as in a sweep, where that is allowed."""
    if not grid.get("host", {}).get("keep_awake", True):
        yield
        return
    try:
        bound = open("/dev/cpu_dma_latency", "wb", buffering=0)
    except OSError as error:
        print(f"idle states are as the machine has them: {error}", file=sys.stderr)
        yield
        return
    with bound:
        bound.write((0).to_bytes(4, sys.byteorder))
        yield


def free_port():
    """Below the ephemeral range: a port in it could be taken by the load's own sockets."""
    for port in random.sample(range(20000, EPHEMERAL.start), 50):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    sys.exit("no free port between 20000 and 32767")


def tree(pid):
    """The process and all its descendants that are still there."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                children = Path(f"/proc/{parent}/task/{task}/children").read_text()
                found.extend(int(child) for child in children.split())
        except OSError:
            continue
    return found


def pss_bytes(pid):
    """PSS and swapped PSS, summed over the tree."""
    total = 0
    for member in tree(pid):
        try:
            rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue
        for line in rollup.splitlines():
            if line.startswith(("Pss:", "SwapPss:")):
                total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pid):
    ticks = 0
    for member in tree(pid):
        try:
            stat = Path(f"/proc/{member}/stat").read_text()
        except OSError:
            continue
        fields = stat.rsplit(")", 1)[1].split()
        ticks += sum(int(value) for value in fields[11:15])  # its own and its ended children's
    return ticks / os.sysconf("SC_CLK_TCK")


class MemorySampler(threading.Thread):
    """Highest PSS of the tree while the `with` lasts, looked at once a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.stop = pid, 0, threading.Event()

    def run(self):
        while not self.stop.wait(1.0):
            self.peak = max(self.peak, pss_bytes(self.pid))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


class Server:
    """gunicorn in a process group and a run folder of its own, gone when the `with` ends."""

    def __init__(self, plan, configuration):
        self.plan, self.configuration = plan, configuration

    def __enter__(self):
        plan = self.plan
        self.run = Path(tempfile.mkdtemp(prefix="witness-"))
        fixture = plan.server.get("fixture")
        if fixture:
            shutil.copytree(plan.base / fixture, self.run, dirs_exist_ok=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = (self.run / "server.log").open("wb")
        command = [
            *placed(plan.server_cpus, plan.nice),
            str(plan.venv / "bin" / "gunicorn"),
            "--bind", f"127.0.0.1:{port}",
            *self.configuration.arguments(),
            *plan.server.get("args", []),
            plan.server["app"],
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            cwd=plan.base / plan.server.get("dir", "."),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def environment(self):
        dropped = {"WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "PORT"}
        environment = {k: v for k, v in os.environ.items() if k not in dropped}
        for name, value in self.plan.server.get("env", {}).items():
            environment[name] = value.replace("{{ run }}", str(self.run))
        return environment | {"PYTHONDONTWRITEBYTECODE": "1"} | self.plan.env

    def wait_until_ready(self):
        """Every endpoint is asked once: a wrong answer is a mistake in the setup, not a result."""
        first, *others = self.plan.endpoints
        deadline = time.monotonic() + 20
        while True:
            try:
                self.ask(first)
                break
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"not ready: {error}\n{self.log_tail()}") from error
                time.sleep(0.05)
        for endpoint in others:
            self.ask(endpoint)

    def ask(self, endpoint):
        no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with no_proxy.open(self.url + endpoint["path"], timeout=5) as answer:
            body = answer.read().decode(errors="replace")
        if endpoint["contains"] not in body:
            raise RuntimeError(f"{endpoint['path']} lacks {endpoint['contains']!r}: {body[:200]}")

    def log_tail(self):
        return (self.run / "server.log").read_text(errors="replace")[-1500:]

    def __exit__(self, *_):
        group = self.process.pid
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass  # all of them ended on SIGTERM
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.run)


@dataclass
class Plan:
    base: Path
    server: dict
    endpoints: list
    rate: int
    connections: str
    server_cpus: list
    generator_cpus: list
    venv: Path
    k6: Path
    env: dict
    seconds: int
    warmup: float
    arrivals: str
    nice: int

    def arrival_seconds(self):
        """Moved arrivals ramp up in the warm-up and ramp down after the measured part."""
        return self.warmup + self.seconds + (SPREAD_SECONDS if self.arrivals == "poisson" else 0)


def placed(cpus, nice):
    """The words before a command that put it on these CPUs and at this niceness.

    Linux may share the CPU between sessions first (autogroup), so that a process's own niceness
    counts only within its session; the command must therefore lead a session of its own.
    """
    words = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
    if nice:
        group = f"if [ -w /proc/self/autogroup ]; then echo {nice} >/proc/self/autogroup; fi"
        words += ["nice", "-n", str(nice), "sh", "-c", group + '; exec "$@"', "sh"]
    return words


def load(plan, url, folder, seed):
    """Runs k6; gives its samples as (metric, end in epoch seconds, value, tags)."""
    settings = {
        "url": url,
        "rate": plan.rate,
        "seed": seed,
        "seconds": plan.arrival_seconds(),
        "arrivals": plan.arrivals,
        "spread": SPREAD_SECONDS,
        # Enough for the moved arrivals and for requests that wait a second; an overloaded
        # server uses them up, and what k6 then drops is counted.
        "users": plan.rate * 2,
        "connections": plan.connections,
        "endpoints": plan.endpoints,
    }
    out = Path(folder) / "k6.json"
    command = [
        *placed(plan.generator_cpus, plan.nice),
        str(plan.k6), "run", "--quiet", "--no-usage-report", "--no-summary", "--log-output=none",
        "--address", "", "--out", f"json={out}", str(HERE / "witness.js"),
    ]  # fmt: skip
    environment = os.environ | {"WITNESS": json.dumps(settings), "GOMAXPROCS": "1"}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=plan.seconds + 90,
        start_new_session=True,
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"k6 ended with {ended.returncode}: {ended.stderr[-1500:]}")
    samples = []
    with out.open() as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["type"] == "Point":
                data = entry["data"]
                samples.append((entry["metric"], seconds(data["time"]), data["value"], data.get("tags") or {}))
    return samples


def seconds(text):
    """RFC 3339 with up to nine digits after the point, which datetime cannot read."""
    head, rest = text[:19], text[19:]
    digits = rest[1:].rstrip("Z").split("+")[0].split("-")[0] if rest.startswith(".") else ""
    zone = rest[1 + len(digits):] if digits else rest
    return datetime.fromisoformat(head + zone).timestamp() + float(f"0.{digits or 0}")


def percentile(values, share):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def geomean(values, weights):
    if math.inf in values:
        return math.inf
    return math.exp(sum(w * math.log(v) for v, w in zip(values, weights)) / sum(weights))


def judge(plan, samples, launch):
    """Fills in the launch from k6's samples of the requests that began in the window."""
    allowed = {endpoint["name"]: endpoint["status"] for endpoint in plan.endpoints}
    requests = []
    for metric, end, value, tags in samples:
        if metric == "http_req_duration":
            good = int(tags.get("status", 0)) in allowed[tags["endpoint"]]
            requests.append((end - value / 1000, end, value if good else math.inf, tags["endpoint"]))
        elif metric == "dropped_iterations":
            launch.dropped += int(value)
        elif metric == "wrong_answer":
            launch.failed += int(value)
    begin = min(start for start, *_ in requests) + plan.warmup
    finish = begin + plan.seconds
    window = [request for request in requests if begin <= request[0] < finish]
    for endpoint in plan.endpoints:
        name = endpoint["name"]
        values = [value for *_, value, of in window if of == name]
        launch.requests[name] = len(values)
        launch.p50[name] = percentile(values, 0.50) if values else math.inf
        launch.p95[name] = percentile(values, 0.95) if values else math.inf

    def outstanding(at):
        return sum(1 for start, end, *_ in requests if start <= at < end)

    last, first = (
        statistics.mean(outstanding(at + step / 10 * (finish - begin) / 4) for step in range(10))
        for at in (begin + 0.75 * (finish - begin), begin)
    )
    due = plan.rate * (finish - begin)
    launch.overloaded = launch.dropped > 0 or last - first > OVERLOAD_SHARE * due
    launch.p95_geomean = geomean(
        [launch.p95[e["name"]] for e in plan.endpoints], [e["weight"] for e in plan.endpoints]
    )


def measure(plan, configuration, order, seed):
    launch = Launch(str(configuration), order)
    try:
        with Server(plan, configuration) as server:
            pid = server.process.pid
            cpu_before = cpu_seconds(pid)
            with MemorySampler(pid) as sampler:
                samples = load(plan, server.url, server.run, seed)
            launch.server_cpu_share = (cpu_seconds(pid) - cpu_before) / plan.arrival_seconds()
            launch.pss_peak_bytes = sampler.peak
            judge(plan, samples, launch)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        launch.problem = str(error)
    return launch


def t_interval(logs):
    """Mean and half width of the 95 % interval; no width from a single value."""
    mean = statistics.mean(logs)
    if len(logs) < 2:
        return mean, None
    t = T_975[min(len(logs) - 1, len(T_975)) - 1]
    return mean, t * statistics.stdev(logs) / math.sqrt(len(logs))


def summarise(plan, launches):
    """A row per configuration, best first; ratios to the best are taken within passes."""
    by_name = {}
    for launch in launches:
        by_name.setdefault(launch.configuration, []).append(launch)
    rows = []
    for name, own in by_name.items():
        whole = [launch for launch in own if not launch.problem]
        rows.append({
            "configuration": name,
            "launches": len(own),
            "problems": len(own) - len(whole),
            "overloaded": sum(launch.overloaded for launch in whole),
            "failed": sum(launch.failed for launch in whole),
            "p95_geomean_ms": median(launch.p95_geomean for launch in whole),
            "p95_ms": {e["name"]: median(l.p95.get(e["name"], math.inf) for l in whole) for e in plan.endpoints},
            "pss_peak_mib": median(launch.pss_peak_bytes / MIB for launch in whole),
            "server_cpu_share": median(launch.server_cpu_share for launch in whole),
        })  # fmt: skip
    rows.sort(key=lambda row: (row["overloaded"] * 2 > row["launches"], row["p95_geomean_ms"]))
    best = by_name[rows[0]["configuration"]]
    for row in rows:
        pairs = [
            math.log(mine.p95_geomean / theirs.p95_geomean)
            for mine, theirs in zip(by_name[row["configuration"]], best)
            if math.isfinite(mine.p95_geomean) and math.isfinite(theirs.p95_geomean)
        ]
        if pairs:
            mean, half = t_interval(pairs)
            row["ratio"] = math.exp(mean)
            if half is not None:
                row["ratio_low"], row["ratio_high"] = math.exp(mean - half), math.exp(mean + half)
    return rows


def median(values):
    values = list(values)
    return statistics.median(values) if values else math.inf


def without_infinity(value):
    """JSON has no infinity: null stands for "not attained"."""
    if isinstance(value, dict):
        return {key: without_infinity(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_infinity(inner) for inner in value]
    return None if value == math.inf else value


def table(plan, rows):
    names = [endpoint["name"] for endpoint in plan.endpoints]
    head = ["configuration", "n", "p95 geomean", "ratio", "95 % interval", *(f"{n} p95" for n in names), "PSS MiB", "CPU", "notes"]
    lines = [head]
    for row in rows:
        notes = [f"{row[key]} {key}" for key in ("overloaded", "failed", "problems") if row[key]]
        ratio = row.get("ratio")
        lines.append([
            row["configuration"], str(row["launches"]), f"{row['p95_geomean_ms']:.2f}",
            f"{ratio:.3f}" if ratio else "-",
            f"{row['ratio_low']:.3f}-{row['ratio_high']:.3f}" if "ratio_low" in row else "-",
            *(f"{row['p95_ms'][name]:.2f}" for name in names),
            f"{row['pss_peak_mib']:.1f}", f"{row['server_cpu_share']:.2f}", ", ".join(notes),
        ])  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def arguments():
    parser = argparse.ArgumentParser(description="Measure the configurations of a grid file with k6.")
    parser.add_argument("grid", type=Path)
    parser.add_argument("configurations", nargs="*")
    parser.add_argument("--venv", type=Path, required=True, help="environment with the app's requirements")
    parser.add_argument("--k6", type=Path, required=True, help="the k6 program")
    parser.add_argument("--launches", type=int, default=5, help="launches of each configuration")
    parser.add_argument("--seconds", type=int, default=10, help="measured part of a launch")
    parser.add_argument("--warmup", type=int, default=2, help="seconds of load before that")
    parser.add_argument("--rate", type=int, help="requests a second, instead of the grid's")
    parser.add_argument("--arrivals", choices=("poisson", "constant"), help="instead of the grid's")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="for the app")
    parser.add_argument("--nice", type=int, default=0, help="of server and k6, -20 to 19; below 0 keeps other programs out of the way")
    parser.add_argument("--seed", type=int, help="of launch order and arrivals")
    parser.add_argument("--json", type=Path, help="write launches and summary to this file")
    return parser.parse_intermixed_args()


def plan_of(args, grid):
    (server,) = grid["server"].values()
    load_open = grid["load"]["open"]
    host = grid.get("host", {})
    endpoints = [
        {
            "name": endpoint["name"],
            "path": endpoint["path"],
            "weight": endpoint.get("weight", 1),
            "status": endpoint.get("expect", {}).get("status", [200]),
            "contains": endpoint.get("expect", {}).get("contains", ""),
        }
        for endpoint in grid["endpoint"]
    ]
    return Plan(
        base=args.grid.resolve().parent,
        server=server,
        endpoints=endpoints,
        rate=args.rate or load_open["rate"],
        connections=grid["load"].get("connections", "keep-alive"),
        server_cpus=host.get("server_cpus", []),
        generator_cpus=host.get("generator_cpus", []),
        venv=args.venv.resolve(),
        k6=args.k6.resolve(),
        env=dict(pair.split("=", 1) for pair in args.env),
        seconds=args.seconds,
        warmup=args.warmup,
        arrivals=args.arrivals or load_open.get("arrivals", "poisson"),
        nice=args.nice,
    )


def stop(_signal, _frame):
    raise KeyboardInterrupt


def measure_all(plan, chosen, args):
    """All launches, pass by pass; those of an unfinished pass are left out."""
    order = random.Random(args.seed)
    launches = []
    try:
        for number in range(args.launches):
            seed = order.randrange(2**31)
            for configuration in order.sample(chosen, len(chosen)):
                launch = measure(plan, configuration, number, seed)
                launches.append(launch)
                print(
                    f"pass {number + 1}/{args.launches}  {launch.configuration:24}"
                    f" p95 {launch.p95_geomean:8.2f} ms  {launch.pss_peak_bytes / MIB:6.1f} MiB"
                    f"  {'overloaded' if launch.overloaded else ''}{launch.problem or ''}",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
    except KeyboardInterrupt:
        print("stopped; the unfinished pass is left out", file=sys.stderr)
        launches = [launch for launch in launches if launch.order < number]
    return launches


def main():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    args = arguments()
    grid = tomllib.loads(args.grid.read_text())
    plan = plan_of(args, grid)
    if plan.generator_cpus:
        os.sched_setaffinity(0, plan.generator_cpus)
    chosen = [Configuration.canonical(*text.split("/")) for text in args.configurations]
    chosen = chosen or configurations_of(grid)
    with kept_awake(grid):
        launches = measure_all(plan, chosen, args)
    if not launches:
        sys.exit(130)
    rows = summarise(plan, launches)
    print(table(plan, rows))
    if args.json:
        settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
        report = {"arguments": settings, "summary": rows, "launches": [vars(l) for l in launches]}
        args.json.write_text(json.dumps(without_infinity(report), indent=1) + "\n")


if __name__ == "__main__":
    main()
