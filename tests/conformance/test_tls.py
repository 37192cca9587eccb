"""Redis over TLS: what of the URL has which effect, and what is said where a certificate is not in order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from likes import AsyncLikeCounter, LikeCounter, RedisUnavailable
from likes.config.url_options import REDIS, REDISS
from likes.config.urls import check_redis_url
from tests.certificates import PASSWORD, Certificates
from tests.running_worker import RunningWorker
from tests.servers import RedisServer
from tests.shell import Shell
from tests.tls_servers import TlsRedis
from tests.waiting import wait_until

SECRET = ":a-secret"
Case = tuple[str, str]  # the server, and what its URL has


@pytest.fixture(scope="module")
def servers(certificates: Certificates, debian_redis_server: RedisServer) -> Iterator[Mapping[str, RedisServer]]:
    """Of each name of a certificate one that shows it, of any client; one that asks for the client's; one without."""
    with ExitStack() as made:
        found: dict[str, RedisServer] = {"plain": debian_redis_server}
        for name in ("server", "elsewhere", "expired"):
            found[name] = TlsRedis(certificates, name=name, asks_client=False)
        found["asking"] = TlsRedis(certificates)
        found["picky"] = TlsRedis(
            certificates, "--tls-protocols", "TLSv1.2", "--tls-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"
        )
        for name, server in found.items():
            if name != "plain":
                made.callback(server.remove)
                server.start()
        yield found


@pytest.fixture
def options(certificates: Certificates) -> Callable[[str], str]:
    """Fills in the files."""
    names = {
        "AUTHORITY": certificates["authority.pem"],
        "STRANGER": certificates["stranger.pem"],
        "STRANGERS_KEY": certificates["stranger.key"],
        "CERTIFICATE": certificates["client.pem"],
        "KEY": certificates["client.key"],
        "LOCKED": certificates["locked.key"],
        "BOTH": certificates["both.pem"],
        "FOLDER": str(certificates.folder_of_authorities),
        "DATA": quote(Path(certificates["authority.pem"]).read_text()),
        "PASSWORD": PASSWORD,
    }
    return lambda said: re.sub(r"\b[A-Z_]+$|\b[A-Z_]+(?=&)", lambda name: names.get(name[0], name[0]), said)


def url(server: RedisServer, said: str) -> str:
    return f"rediss://{SECRET}@127.0.0.1:{server.port}/0?{said}"


def is_in(server: RedisServer) -> int:
    """How many keys there are."""
    with redis.Redis(**server.client_options) as client:
        return client.dbsize()


# What is refused.

AUTHORITY = "ssl_ca_certs=AUTHORITY"
REFUSED = {
    "another authority": (
        ("server", "ssl_ca_certs=STRANGER"),
        "; name the file of the authority it has it from: ssl_ca_certs=FILE",
    ),
    "a certificate of another host": (("elsewhere", AUTHORITY), "; name it in the URL as its certificate does"),
    "an expired certificate": (("expired", AUTHORITY), "has expired; its certificate must be renewed"),
    "no certificate of the client": (("asking", AUTHORITY), r"a certificate of ours.*: ssl_certfile=FILE&ssl_keyfile="),
    "a strange one of the client": (
        ("asking", f"{AUTHORITY}&ssl_certfile=STRANGER&ssl_keyfile=STRANGERS_KEY"),
        r"a certificate of ours.*: ssl_certfile=FILE&ssl_keyfile=FILE",
    ),
    "TLS to a port without": (
        ("plain", AUTHORITY),
        "; if that port is one without TLS, the URL has to begin with redis",
    ),
    "no TLS to a port with": (("server", "without"), "; if that port is one for TLS, the URL has to begin with rediss"),
    "other ciphers": (
        ("picky", f"{AUTHORITY}&ssl_certfile=CERTIFICATE&ssl_keyfile=KEY&ssl_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256"),
        r"; it wants a certificate of ours .*, or other ciphers \(ssl_ciphers\)",
    ),
}


@pytest.mark.parametrize(("case", "advice"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_said_with_what_to_do_and_nothing_is_counted(
    servers: Mapping[str, RedisServer], options: Callable[[str], str], tmp_path: Path, case: Case, advice: str
) -> None:
    server = servers[case[0]]
    is_plain = case[1] == "without"
    leads = f"redis://{SECRET}@127.0.0.1:{server.port}" if is_plain else url(server, options(case[1]))
    seconds = 0.5 if case[0] == "plain" else 30  # that one waits in vain
    before = is_in(server)
    with LikeCounter(redis_url=leads, redis_timeout=seconds) as likes, pytest.raises(RedisUnavailable) as error:
        likes.like("a")
    with pytest.raises(RedisUnavailable) as other_error:
        asyncio.run(pending_by_asyncio(leads, seconds))
    checked = Shell(tmp_path, redis_url=leads, redis_timeout=seconds)("check", "--json")
    (found,) = [each["found"] for each in checked.json["findings"] if each["level"] == "error"]
    for said in (str(error.value), str(other_error.value), found):
        assert re.search(advice, said)
    for said in (str(error.value), str(other_error.value), checked.out, checked.err):
        assert SECRET not in said and "Traceback" not in said
    assert checked.code == 1
    assert is_in(server) == before


def test_the_commands_and_a_worker_say_so_too(servers: Mapping[str, RedisServer], tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url=url(servers["server"], ""), redis_timeout=30)
    for words in (["post", "a"], ["flush"], ["sessions", "list", "mary"]):
        ran = shell(*words)
        assert ran.code == 5, ran
        assert "ssl_ca_certs=FILE" in ran.err
        assert "Traceback" not in ran.err and SECRET not in ran.err
    with RunningWorker(shell) as worker:
        wait_until(lambda: any("ssl_ca_certs=FILE" in line for line in worker.lines))
        assert worker.stop() in (0, 5)
        assert not any(SECRET in line or "Traceback" in line for line in worker.lines)


# What has an effect.

SHOWING = "ssl_certfile=CERTIFICATE&ssl_keyfile=KEY"
EFFECTS = {
    "ssl_ca_certs": ("server", ["ssl_ca_certs=AUTHORITY"], [""]),
    "ssl_ca_data": ("server", ["ssl_ca_data=DATA"], [""]),
    "ssl_ca_path": ("server", ["ssl_ca_path=FOLDER"], [""]),
    "ssl_cert_reqs": (
        "server",
        ["ssl_cert_reqs=none", f"{AUTHORITY}&ssl_cert_reqs=optional", f"{AUTHORITY}&ssl_cert_reqs=required"],
        ["ssl_cert_reqs=optional", "ssl_cert_reqs=required"],
    ),
    "ssl_check_hostname": (
        "elsewhere",
        [f"{AUTHORITY}&ssl_check_hostname=no"],
        [f"{AUTHORITY}&ssl_check_hostname=yes", "ssl_check_hostname=no"],
    ),
    "ssl_certfile": ("asking", [f"{AUTHORITY}&ssl_certfile=BOTH"], [AUTHORITY]),
    "ssl_keyfile": ("asking", [f"{AUTHORITY}&{SHOWING}"], [AUTHORITY]),
    "ssl_password": (
        "asking",
        [f"{AUTHORITY}&ssl_certfile=CERTIFICATE&ssl_keyfile=LOCKED&ssl_password=PASSWORD"],
        [AUTHORITY],
    ),
    "ssl_ciphers": (
        "picky",
        [f"{AUTHORITY}&{SHOWING}&ssl_ciphers=ECDHE-ECDSA-AES256-GCM-SHA384"],
        [f"{AUTHORITY}&{SHOWING}&ssl_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256"],
    ),
}


def test_every_option_is_tried() -> None:
    assert EFFECTS.keys() == REDISS.keys() - REDIS.keys()


@pytest.mark.parametrize("option", EFFECTS)
def test_an_option_has_its_effect(
    servers: Mapping[str, RedisServer], options: Callable[[str], str], option: str
) -> None:
    name, with_it, without_it = EFFECTS[option]
    assert all(option in said for said in with_it)
    where = f"127.0.0.1:{servers[name].port}/0?"
    for said in with_it:
        leads = f"rediss://{where}{options(said)}"
        pending_by_thread(leads)
        asyncio.run(pending_by_asyncio(leads))
    for said in without_it:
        leads = f"rediss://{where}{options(said)}"
        with pytest.raises(RedisUnavailable):
            pending_by_thread(leads)
        with pytest.raises(RedisUnavailable):
            asyncio.run(pending_by_asyncio(leads))


def pending_by_thread(leads: str, seconds: float = 30) -> int:
    with LikeCounter(redis_url=leads, redis_timeout=seconds) as likes:
        return likes.pending("a")


async def pending_by_asyncio(leads: str, seconds: float = 30) -> int:
    async with AsyncLikeCounter(redis_url=leads, redis_timeout=seconds) as likes:
        return await likes.pending("a")


# What cannot work is refused before anything is connected to.

UNUSABLE = {
    "ssl_keyfile=KEY": "its option ssl_keyfile needs ssl_certfile",
    "ssl_certfile=CERTIFICATE": "have no certificate and key that can be read without an ssl_password",
    "ssl_certfile=CERTIFICATE&ssl_keyfile=STRANGERS_KEY": "ssl_certfile and ssl_keyfile do not belong together",
    "ssl_certfile=CERTIFICATE&ssl_keyfile=LOCKED": "have no certificate and key that can be read without an ssl_pass",
    "ssl_certfile=CERTIFICATE&ssl_keyfile=LOCKED&ssl_password=wrong": "that can be read with its ssl_password",
    "ssl_ca_certs=KEY": "its option ssl_ca_certs has no certificate that can be read; allowed: PEM",
    "ssl_ca_data=nonsense": "its option ssl_ca_data has no certificate that can be read; allowed: PEM",
    "ssl_ca_data=%C3%A9": "its option ssl_ca_data has no certificate that can be read; allowed: PEM",
    "ssl_ciphers=nonsense": "its option ssl_ciphers names none that this OpenSSL has",
    "ssl_cert_reqs=NONE": "its option ssl_cert_reqs is 'NONE'; allowed: none, optional, required",
}


@pytest.mark.parametrize(("said", "complaint"), UNUSABLE.items(), ids=UNUSABLE)
@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster"])
def test_an_option_that_cannot_work_is_refused_at_once(
    options: Callable[[str], str], scheme: str, said: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_redis_url(f"{scheme}://host:6379/0?{options(said)}")


# What it switches off is told.


@pytest.mark.parametrize(
    ("name", "said", "warnings"),
    [
        ("server", AUTHORITY, []),
        ("elsewhere", f"{AUTHORITY}&ssl_check_hostname=no", ["ssl_check_hostname=no"]),
        ("server", "ssl_cert_reqs=none", ["ssl_cert_reqs=none"]),
        ("server", "ssl_cert_reqs=none&ssl_check_hostname=no", ["ssl_cert_reqs=none"]),
    ],
)
def test_a_check_warns_of_what_is_not_verified(
    servers: Mapping[str, RedisServer],
    options: Callable[[str], str],
    tmp_path: Path,
    name: str,
    said: str,
    warnings: list[str],
) -> None:
    leads = f"rediss://127.0.0.1:{servers[name].port}/0?{options(said)}"
    checked = Shell(tmp_path, redis_url=leads)("check", "--json")
    assert checked.code == 0
    told = [each for each in checked.json["findings"] if each["level"] == "warning"]
    assert [(each["name"], each["found"].partition(":")[0]) for each in told] == [("redis tls", w) for w in warnings]
    (which,) = [each["found"] for each in checked.json["findings"] if each["name"] == "redis"]
    assert which.startswith(f"Redis at 127.0.0.1:{servers[name].port} over TLS: Redis 7")
