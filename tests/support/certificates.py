"""Certificates of a test's own authority, made by the openssl command: one that is good, and bad ones.

None is kept in the repository; the keys live as long as the test's folder.
"""
import pathlib
import ssl
import subprocess

KINDS = ("good", "expired", "wrong-host", "self-signed", "another-authority")
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr[-400:]}")


class Certificates:
    """`authority` is the file that a client must trust; `context(kind)` serves with one of KINDS."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority, self.contexts = self._root("authority"), {}

    def context(self, kind):
        if kind not in self.contexts:
            self.contexts[kind] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.contexts[kind].load_cert_chain(*self._make(kind))
        return self.contexts[kind]

    def _paths(self, name):
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _root(self, name, subject="/CN=authority of a test", extension="basicConstraints=critical,CA:TRUE"):
        certificate, key = self._paths(name)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 3, "-subj", subject,
                "-addext", extension, "-keyout", key, "-out", certificate)
        return certificate

    def _make(self, kind):
        certificate, key = self._paths(kind)
        if kind == "self-signed":
            self._root(kind, "/CN=localhost", NAMES)
            return certificate, key
        issuer = "stranger" if kind == "another-authority" else "authority"
        if issuer == "stranger":
            self._root(issuer)
        request, extensions = self.folder / f"{kind}.csr", self.folder / f"{kind}.ext"
        extensions.write_text("subjectAltName=DNS:finnhub.example\n" if kind == "wrong-host" else NAMES + "\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-keyout", key,
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self._paths(issuer)[0], "-CAkey", self._paths(issuer)[1], "-CAcreateserial",
                "-days", -1 if kind == "expired" else 3, "-extfile", extensions, "-out", certificate)
        return certificate, key
