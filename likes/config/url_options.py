"""What may stand behind the `?` of a URL: every option is known, and has a value that its driver takes.

Else a mistyped `sslmod=require` goes unencrypted, or fails at the first connection as if the server were away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

# What is wrong with a value: what is allowed instead; None for nothing.
Check = Callable[[str], str | None]

FLAGS: Mapping[str, bool] = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _text(value: str) -> str | None:
    return None if value else "some text"


def _one_of(allowed: Collection[str], value: str) -> str | None:
    return None if value.lower() in map(str.lower, allowed) else ", ".join(allowed)


def _number(value: str) -> str | None:
    return None if re.fullmatch(r"[0-9]{1,9}", value) else "a whole number"


def _like(pattern: str, allowed: str, value: str) -> str | None:
    return None if re.fullmatch(pattern, value) else allowed


def _file(value: str) -> str | None:
    return None if Path(value).is_file() else "the path of a file that is there"


def _folder(value: str) -> str | None:
    return None if Path(value).is_dir() else "the path of a folder that is there"


def _certificates(value: str) -> str | None:
    return None if value == "system" else _file(value)


def _key(value: str) -> str | None:
    return None if ":" in value else _file(value)  # of an engine, else


_flag = partial(_one_of, FLAGS)
_bit = partial(_one_of, ("0", "1"))
_tls = partial(_one_of, ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"))
_protocol = partial(_one_of, ("3.0", "3.2", "latest"))
_method = r"!?(none|password|md5|gss|sspi|scram-sha-256|oauth|creds)"


def _all(check: Check, *names: str) -> dict[str, Check]:
    return dict.fromkeys(names, check)


POSTGRESQL: Mapping[str, Check] = {
    **_all(_text, "host", "hostaddr", "dbname", "user", "password", "passfile", "service", "options"),
    **_all(_text, "application_name", "fallback_application_name", "client_encoding", "krbsrvname", "gsslib"),
    **_all(_text, "requirepeer", "sslpassword", "sslcrl", "sslcrldir", "sslkeylogfile"),
    **_all(_text, "scram_client_key", "scram_server_key"),
    **_all(_text, "oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"),
    **_all(_number, "connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    **_all(_number, "tcp_user_timeout"),
    **_all(_bit, "keepalives", "sslcompression", "sslsni", "gssdelegation"),
    **_all(_tls, "ssl_min_protocol_version", "ssl_max_protocol_version"),
    **_all(_protocol, "min_protocol_version", "max_protocol_version"),
    "port": partial(_like, r"[0-9]{1,5}(,[0-9]{1,5})*", "port numbers"),
    "sslmode": partial(_one_of, ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")),
    "sslnegotiation": partial(_one_of, ("postgres", "direct")),
    "sslcertmode": partial(_one_of, ("disable", "allow", "require")),
    "sslrootcert": _certificates,
    "sslcert": _file,
    "sslkey": _key,
    "channel_binding": partial(_one_of, ("disable", "prefer", "require")),
    "gssencmode": partial(_one_of, ("disable", "prefer", "require")),
    "load_balance_hosts": partial(_one_of, ("disable", "random")),
    "target_session_attrs": partial(
        _one_of, ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
    ),
    "require_auth": partial(_like, f"{_method}(,{_method})*", "methods such as scram-sha-256"),
}

MYSQL: Mapping[str, Check] = {
    **_all(_text, "unix_socket", "charset", "collation", "bind_address", "program_name", "read_default_group"),
    **_all(_file, "read_default_file", "ssl_ca", "ssl_cert", "ssl_key"),
    **_all(_flag, "ssl_disabled", "ssl_check_hostname", "ssl_verify_cert", "ssl_verify_identity"),
    **_all(_text, "ssl_cipher", "ssl_key_password"),
    "ssl_capath": _folder,
    "connect_timeout": _number,
}

# Without `uri=true`, SQLAlchemy tells SQLite nothing of the others.
SQLITE: Mapping[str, Check] = {"uri": partial(_one_of, ("true", "yes", "1"))}
SQLITE_URI: Mapping[str, Check] = {**SQLITE, "mode": partial(_one_of, ("ro", "rw", "rwc")), "vfs": _text}

REDIS: Mapping[str, Check] = _all(_text, "db", "username", "password")
OF_SENTINELS: Mapping[str, Check] = _all(_text, "sentinel_username", "sentinel_password")
REDISS: Mapping[str, Check] = {
    **REDIS,
    **_all(_file, "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"),
    **_all(_text, "ssl_ca_data", "ssl_ciphers", "ssl_password"),
    "ssl_ca_path": _folder,
    "ssl_cert_reqs": partial(_like, "none|optional|required", "none, optional, required"),
    "ssl_check_hostname": _flag,
}


def check_options(query: str, known: Mapping[str, Check], *, repeated: Collection[str] = ()) -> None:
    """Raise ValueError, which names the option, unless all are `known`, each there once but those `repeated`."""
    seen = set()
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            # What stands before an at-sign may be the end of a password.
            shown = "an option it cannot have" if "@" in query else f"the option {name!r}, which it cannot have"
            raise ValueError(f"it has {shown}{_hint(name, known)}; allowed: {', '.join(sorted(known))}")
        if name in seen and name not in repeated:
            raise ValueError(f"its option {name} is given twice")
        if allowed := known[name](value):
            raise ValueError(f"its option {name} is {value!r}; allowed: {allowed}")
        seen.add(name)


def _hint(name: str, known: Collection[str]) -> str:
    meant = get_close_matches(name, known, n=1)
    return f" (did you mean {meant[0]}?)" if meant else ""
