"""The README's section "Secure it" does what it says, with the ports and files of a test."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from sluice_support import Authority, wait_until
from sluice_support.issuer import Issuer

ROOT = Path(__file__).resolve().parents[2]


def blocks():
    readme = (ROOT / "README.md").read_text()
    api = next(line for line in readme.splitlines() if line.startswith("api() {"))
    section = readme.split("## Secure it\n")[1].split("\n## ")[0]
    return [f"{api}\n{block}" for block in re.findall(r"```sh\n(.*?)```", section, re.S)]


@pytest.fixture
def issuer(tmp_path):
    issuer = Issuer(tmp_path, "ES256")
    yield issuer
    issuer.close()


@pytest.fixture
def shell(sample, issuer, tmp_path):
    """Runs a block and returns what it printed."""
    places = {"http://127.0.0.1:8001": sample.control.admin_url, "127.0.0.1:8000": f"127.0.0.1:{sample.port}",
              "https://login.example.com/realms/shop": issuer.url}
    environment = {**os.environ, "SLUICE_TOKEN": sample.control.token, "no_proxy": "127.0.0.1",
                   "ACCESS_TOKEN": issuer.token(sub="shop")}

    def run(block):
        for written, place in places.items():
            block = block.replace(written, place)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, env=environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        return done.stdout + done.stderr
    return run


def published(shell, block):
    return re.search(r'\{"id":"\d+-\d+"\}', shell(block))


def test_the_commands_of_the_section_work(sample, shell, tmp_path):
    rotate, register, use_token, policies, require_tls, use_certificate = blocks()
    authority = Authority(tmp_path)
    authority.issue("gateway", ["IP:127.0.0.1"])
    authority.issue("shop", ["DNS:shop.example"])
    for block in (rotate, register, policies):
        made = shell(block)
        assert '"status":4' not in made, made
    wait_until(lambda: published(shell, use_token), what="the token to be taken")
    def would_deny():
        published(shell, use_token)
        return sample.gateway.metrics().get(
            'sluice_policy_decisions_total{policy="demo-only-reads",outcome="dry_run_denied"}', 0) > 0
    wait_until(would_deny, what="the dry run")
    assert re.search("(?i)ratelimit-policy: .*;q=1000;w=10", shell(use_token.replace("curl", "curl -i")))
    made = shell(require_tls)
    assert '"status":4' not in made, made
    wait_until(lambda: published(shell, use_certificate), what="the certificate to be taken")
    assert not published(shell, use_certificate.replace("--cert shop.pem --key shop.key", ""))
