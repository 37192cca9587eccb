"""The TLS options of a Redis URL, tried before anything is connected to.

Else what cannot work fails at each connection, in OpenSSL's words, or stops to ask a terminal for a password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    import ssl


def check_tls_options(query: str) -> None:
    """Raise ValueError, which names the option, where certificates, keys or ciphers cannot be used."""
    import ssl  # which takes as long as all else here

    given = dict(parse_qsl(query))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, argument in (("ssl_ca_certs", "cafile"), ("ssl_ca_data", "cadata")):
        if name in given:
            try:
                context.load_verify_locations(**{argument: given[name]})
            except (OSError, ValueError, TypeError):  # an SSLError is one; no bytes but ASCII will do
                raise ValueError(f"its option {name} has no certificate that can be read; allowed: PEM") from None
    if "ssl_ciphers" in given:
        try:
            context.set_ciphers(given["ssl_ciphers"])
        except ssl.SSLError:
            raise ValueError("its option ssl_ciphers names none that this OpenSSL has (openssl ciphers)") from None
    if "ssl_keyfile" in given and "ssl_certfile" not in given:
        raise ValueError("its option ssl_keyfile needs ssl_certfile, the certificate that belongs to the key")
    if "ssl_certfile" in given:
        _try_certificate(context, given)


def _try_certificate(context: ssl.SSLContext, given: dict[str, str]) -> None:
    try:
        context.load_cert_chain(given["ssl_certfile"], given.get("ssl_keyfile"), lambda: given.get("ssl_password", ""))
    except OSError as error:
        if "KEY_VALUES_MISMATCH" in str(error):
            raise ValueError("its options ssl_certfile and ssl_keyfile do not belong together") from None
        raise ValueError(
            "its options ssl_certfile and ssl_keyfile have no certificate and key that can be read "
            f"{'with its ssl_password' if 'ssl_password' in given else 'without an ssl_password'}"
        ) from None
