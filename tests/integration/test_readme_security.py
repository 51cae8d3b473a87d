"""The README's section "Secure it" does what it says, with the ports and files of a test."""

import re

import pytest

from sluice_support import Authority, wait_until
from sluice_support.issuer import Issuer
from sluice_support.readme import Shell, commands


@pytest.fixture
def issuer(tmp_path):
    issuer = Issuer(tmp_path, "ES256")
    yield issuer
    issuer.close()


@pytest.fixture
def shell(sample, issuer, tmp_path):
    places = {"http://127.0.0.1:8001": sample.control.admin_url, "127.0.0.1:8000": f"127.0.0.1:{sample.port}",
              "https://login.example.com/realms/shop": issuer.url}
    return Shell(tmp_path, places, SLUICE_TOKEN=sample.control.token, ACCESS_TOKEN=issuer.token(sub="shop"))


def published(shell, block):
    return re.search(r'\{"id":"\d+-\d+"\}', shell.attempt(block))


def test_the_commands_of_the_section_work(sample, shell, tmp_path):
    rotate, register, use_token, policies, require_tls, use_certificate = commands("Secure it")
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
    sample.wait_in_force()
    assert re.search("(?i)ratelimit-policy: .*;q=1000;w=10", shell.attempt(use_token.replace("curl", "curl -i")))
    made = shell(require_tls)
    assert '"status":4' not in made, made
    wait_until(lambda: published(shell, use_certificate), what="the certificate to be taken")
    assert not published(shell, use_certificate.replace("--cert shop.pem --key shop.key", ""))
