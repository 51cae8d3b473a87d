"""The OpenID provider of tests/node, a real one: discovery, keys, tokens for client credentials, sign-in of people."""

import json
import os
import pathlib
import select
import subprocess
from urllib.parse import urljoin

import requests

_SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "node" / "oidc-provider.mjs"


class OidcProvider:
    def __init__(self, folder, clients, algorithm="ES256", lifetime=60, **people):
        """`clients` are names and secrets. `people` (claims by account) and `redirect_uris`: for sign_in."""
        packages = pathlib.Path(os.environ["SLUICE_NODE_DIR"])
        assert (packages / "complete").exists(), "the tests' JavaScript packages are missing; run scripts/test once"
        (folder / "node_modules").symlink_to(packages / "node_modules")
        (folder / _SCRIPT.name).write_bytes(_SCRIPT.read_bytes())
        arguments = json.dumps({"clients": clients, "algorithm": algorithm, "lifetime": lifetime, **people})
        self._log = open(folder / "provider.log", "wb")
        self._process = subprocess.Popen(["node", _SCRIPT.name, arguments], cwd=folder, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._log)
        ready, _, _ = select.select([self._process.stdout], [], [], 60)
        self.url = self._process.stdout.readline().decode().strip() if ready else ""
        assert self.url, f"the OpenID provider did not start: {(folder / 'provider.log').read_text()}"
        self.token_url = f"{self.url}/token"

    @staticmethod
    def sign_in(url, account):
        """A person follows `url`, signs in and consents, as a browser does: where the provider sends it back to."""
        session = requests.Session()
        session.trust_env = False
        response = session.get(url, allow_redirects=False, timeout=20)
        for _ in range(12):
            if response.is_redirect:
                target = urljoin(response.url, response.headers["Location"])
                if "/callback?" in target:
                    return target
                response = session.get(target, allow_redirects=False, timeout=20)
            else:
                assert response.ok, response.text
                prompt = "login" if 'value="login"' in response.text else "consent"
                response = session.post(response.url, allow_redirects=False, timeout=20,
                                        data={"prompt": prompt, "login": account, "password": "any"})
        raise AssertionError(f"the provider does not come to an end: {response.status_code} {response.text[:500]}")

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()
