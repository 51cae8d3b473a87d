"""A certificate authority of a test's own."""

import subprocess
from pathlib import Path


class Authority:
    """`ca` is its certificate; issue() makes others. Everything is a PEM file in `folder`."""

    def __init__(self, folder, name="Test CA"):
        self.folder = Path(folder)
        self.ca, self._key = self.folder / "ca.pem", self.folder / "ca.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                      self._key, "-out", self.ca, "-days", "2", "-subj", f"/CN={name}")

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *[str(argument) for argument in arguments]], check=True, capture_output=True,
                       timeout=60)

    def issue(self, name, names):
        """(certificate, key) for the subject `name`; `names` are its alternative names, as in "DNS:*.kafka.test"."""
        certificate, key, request = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(names)}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                      request, "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-out",
                      certificate, "-days", "2", "-extfile", extensions)
        return certificate, key

    def listener_tls(self, name, names, **more):
        """The `tls` of a listener."""
        certificate, key = self.issue(name, names)
        return {"certificate_pem": certificate.read_text(), "key_pem": key.read_text(), **more}
