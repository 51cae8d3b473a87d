"""The OpenID provider of tests/node, a real one: discovery, keys, tokens for client credentials."""

import json
import os
import pathlib
import select
import subprocess

_SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "node" / "oidc-provider.mjs"


class OidcProvider:
    def __init__(self, folder, clients, algorithm="ES256", lifetime=60):
        """`clients` are names and secrets."""
        packages = pathlib.Path(os.environ["SLUICE_NODE_DIR"])
        assert (packages / "complete").exists(), "the tests' JavaScript packages are missing; run scripts/test once"
        (folder / "node_modules").symlink_to(packages / "node_modules")
        (folder / _SCRIPT.name).write_bytes(_SCRIPT.read_bytes())
        arguments = json.dumps({"clients": clients, "algorithm": algorithm, "lifetime": lifetime})
        self._log = open(folder / "provider.log", "wb")
        self._process = subprocess.Popen(["node", _SCRIPT.name, arguments], cwd=folder, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._log)
        ready, _, _ = select.select([self._process.stdout], [], [], 30)
        self.url = self._process.stdout.readline().decode().strip() if ready else ""
        assert self.url, f"the OpenID provider did not start: {(folder / 'provider.log').read_text()}"
        self.token_url = f"{self.url}/token"

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._log.close()
