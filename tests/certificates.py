"""Certificates for TLS in tests: of an authority of their own, and each with one thing about it."""

from __future__ import annotations

import subprocess
from pathlib import Path

PASSWORD = "of-the-key"

_EXTENSIONS = {
    "server": "subjectAltName=IP:127.0.0.1,DNS:localhost",
    "elsewhere": "subjectAltName=DNS:elsewhere.example",
    "expired": "subjectAltName=IP:127.0.0.1",
    "client": "extendedKeyUsage=clientAuth",
}
_DAYS = {"expired": "0"}
# What Python 3.13 and later insist on.
_OF_AUTHORITIES = ("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
_OF_OTHERS = "\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\nbasicConstraints=CA:FALSE\n"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificates:
    """Files in `folder`: `NAME.pem` with a certificate, `NAME.key` with its key.

    authority: who signed all others but `stranger`, who signed itself. server, elsewhere, expired: of servers, for this
    machine, for another one, and of yesterday. client: of a client; its key is in `locked.key` under PASSWORD, and both
    are in `both.pem`. folder_of_authorities: as OpenSSL wants one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("authority", "stranger"):
            self._run(
                "req", "-x509", *_NEW_KEY, "-days", "30", *_OF_AUTHORITIES, "-subj", f"/CN={name}", *self._out(name)
            )
        for name, extension in _EXTENSIONS.items():
            self._sign(name, extension, _DAYS.get(name, "30"))
        self._run(
            "ec", "-in", self["client.key"], "-aes256", "-passout", f"pass:{PASSWORD}", "-out", self["locked.key"]
        )
        (folder / "both.pem").write_text(Path(self["client.pem"]).read_text() + Path(self["client.key"]).read_text())
        self.folder_of_authorities = folder / "authorities"
        self.folder_of_authorities.mkdir()
        name = self._run("x509", "-in", self["authority.pem"], "-noout", "-hash").strip()
        (self.folder_of_authorities / f"{name}.0").symlink_to(self["authority.pem"])

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    def _out(self, name: str) -> list[str]:
        return ["-keyout", self[f"{name}.key"], "-out", self[f"{name}.pem"]]

    def _sign(self, name: str, extension: str, days: str) -> None:
        request, extensions = self.folder / "request", self.folder / "extensions"
        self._run("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", self[f"{name}.key"], "-out", str(request))
        extensions.write_text(extension + _OF_OTHERS)
        authority = ["-CA", self["authority.pem"], "-CAkey", self["authority.key"], "-CAcreateserial"]
        more = ["-days", days, "-extfile", str(extensions), "-out", self[f"{name}.pem"]]
        self._run("x509", "-req", "-in", str(request), *authority, *more)

    @staticmethod
    def _run(*words: str) -> str:
        return subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout
