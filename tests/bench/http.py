"""One like a request over HTTP: `likes serve` against webdis, in C, and against FastAPI with an INCR a request.

CPU a like of server and Redis together is what is compared: throughput says more about who else uses the cores.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.bench.cpu import children, cpu_of
from tests.bench.figure import Figure, at_least
from tests.bench.report import progress
from tests.bench.stand import Stand
from tests.servers import find_program, free_port
from tests.waiting import wait_until

CONNECTIONS = {32: 0.4, 128: 0.5, 256: 0.75}  # and what part of webdis's likes a CPU second is to be reached
SECONDS = 5
ITEMS = 10_000
OF_FASTAPI = 10
BATCH, FEW, OF_BATCHES = 100, 32, 5
NONE: Mapping[str, str] = MappingProxyType({})

_LIKE = 'request = function() return wrk.format("POST", "/v1/items/video:" .. math.random({items}) .. "/likes") end'
_LIKES = """
request = function()
    local likes = {}
    for n = 1, {batch} do likes[n] = string.format('{"item":"video:%d"}', math.random({items})) end
    local headers = {["content-type"] = "application/json"}
    return wrk.format("POST", "/v1/likes", headers, '{"likes":[' .. table.concat(likes, ",") .. "]}")
end
"""
_INCREMENT = 'request = function() return wrk.format("GET", "/INCR/video:" .. math.random({items})) end'
_PLAIN_APP = """
import os
import redis.asyncio
from fastapi import FastAPI

app, client = FastAPI(), redis.asyncio.Redis.from_url(os.environ["REDIS"], max_connections=1000)

@app.post("/v1/items/{item}/likes", status_code=202)
async def like(item: str) -> dict[str, int]:
    return {"pending": await client.incr(f"likes:{item}")}
"""


def measure(stand: Stand) -> list[Figure]:
    """Likes a second of CPU, each side with as many connections; none where wrk or webdis is missing."""
    missing = [name for name in ("wrk", "webdis") if find_program(name) is None]
    if missing:
        progress(f"http: skipped, as {' and '.join(missing)} is not installed (apt-get install wrk webdis)")
        return []
    with tempfile.TemporaryDirectory() as folder:
        return _figures(stand, Path(folder))


def _figures(stand: Stand, folder: Path) -> list[Figure]:
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    for _ in range(stand.rounds):
        for connections in CONNECTIONS:
            for name, serve, script in (
                ("likes", _serve, _LIKE),
                ("webdis", _webdis, _INCREMENT),
                ("FastAPI", _fastapi, _LIKE),
            ):
                with serve(stand, folder) as (pids, port):
                    rates[name, connections].append(_rate(folder, name, script, pids, port, connections))
        with _serve(stand, folder) as (pids, port):
            rates["batches", FEW].append(BATCH * _rate(folder, "batches", _LIKES, pids, port, FEW))
    note = f"one process, wrk for {SECONDS} s, {ITEMS:,} items, append-only file on; CPU of the server and Redis"
    one = "HTTP, one like a request, {} connections, against {}".format
    figures = []
    for connections, least in CONNECTIONS.items():
        ours, webdis, fastapi = (rates[name, connections] for name in ("likes", "webdis", "FastAPI"))
        figures.append(_figure(one(connections, "webdis"), ours, least, webdis, note))
        figures.append(_figure(one(connections, "FastAPI"), ours, OF_FASTAPI, fastapi))
    what = f"HTTP, batches of {BATCH}, {FEW} connections, against webdis"
    return [*figures, _figure(what, rates["batches", FEW], OF_BATCHES, rates["webdis", FEW])]


def _figure(what: str, ours: list[float], times: float, theirs: list[float], note: str = "") -> Figure:
    return Figure(what, "likes/CPU s", ours, at_least(times), baseline=theirs, note=note)


def _rate(folder: Path, name: str, script: str, pids: Sequence[int], port: int, connections: int) -> float:
    """Requests for each second of CPU that `pids` used."""
    file = folder / "requests.lua"
    file.write_text(script.replace("{items}", str(ITEMS)).replace("{batch}", str(BATCH)))
    words = ["wrk", "-t1", "--timeout", "20", f"-c{connections}", "-s", str(file), f"http://127.0.0.1:{port}/"]
    subprocess.run([*words, "-d1s"], check=True, capture_output=True)
    before, began = cpu_of(pids), time.perf_counter()
    shown = subprocess.run([*words, f"-d{SECONDS}s"], check=True, capture_output=True, text=True).stdout
    used, took = cpu_of(pids) - before, time.perf_counter() - began
    found = re.search(r"(\d+) requests in", shown)
    if found is None or "Non-2xx" in shown or "Socket errors" in shown:
        raise RuntimeError(f"{name} failed under load: {shown}")
    requests = int(found[1])
    each = f"{used / requests * 1e6:.1f} µs a request, {requests / took:,.0f} requests/s"
    progress(f"http: {name}, {connections} connections: {each}")
    return requests / used


@contextmanager
def _serve(stand: Stand, folder: Path) -> Iterator[tuple[list[int], int]]:
    stand.empty_redis()
    port = free_port()
    settings = {"LIKES_REDIS_URL": stand.redis.url, "LIKES_DATA_DIR": str(folder), "LIKES_HTTP_PORT": str(port)}
    with _running([sys.executable, "-m", "likes", "serve"], port, folder, settings) as pid:
        wait_until(lambda: bool(children(pid)), timeout=20)
        yield [pid, *children(pid), stand.redis.pid], port


@contextmanager
def _webdis(stand: Stand, folder: Path) -> Iterator[tuple[list[int], int]]:
    stand.empty_redis()
    port, file = free_port(), folder / "webdis.json"
    of_redis = {"redis_host": "127.0.0.1", "redis_port": stand.redis.port}
    of_http = {"http_host": "127.0.0.1", "http_port": port, "threads": 1, "pool_size": 10, "daemonize": False}
    file.write_text(json.dumps({**of_redis, **of_http, "verbosity": 0, "logfile": str(folder / "webdis.log")}))
    with _running([find_program("webdis") or "", str(file)], port, folder) as pid:
        yield [pid, stand.redis.pid], port


@contextmanager
def _fastapi(stand: Stand, folder: Path) -> Iterator[tuple[list[int], int]]:
    stand.empty_redis()
    port = free_port()
    (folder / "plain_app.py").write_text(_PLAIN_APP)
    words = ["--port", str(port), "--no-access-log", "--log-level", "error", "--app-dir", str(folder)]
    environment = {"REDIS": stand.redis.url}
    with _running([sys.executable, "-m", "uvicorn", "plain_app:app", *words], port, folder, environment) as pid:
        yield [pid, stand.redis.pid], port


@contextmanager
def _running(words: Sequence[str], port: int, folder: Path, settings: Mapping[str, str] = NONE) -> Iterator[int]:
    env = {**os.environ, **settings}
    with (folder / "log").open("ab") as log, subprocess.Popen(words, stdout=log, stderr=log, env=env) as process:
        try:
            wait_until(lambda: _listens(port), timeout=30)
            yield process.pid
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
