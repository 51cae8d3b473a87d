"""Waiting for conditions, never for time; and ports that nobody uses."""

import os
import random
import socket
import time

PATIENCE = float(os.environ.get("SLUICE_TEST_PATIENCE", "2.5"))  # by how much every wait is longer than it says


def wait_until(condition, timeout=30.0, what="the condition", interval=0.05):
    """Calls `condition` until it returns something true, and returns that. Fails, naming `what`, after `timeout` s times
    PATIENCE: a loaded machine is slow, and who is not disappointed does not wait.

    An exception of the condition counts as "not yet" and is told at the end.
    """
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    last_error = None
    while True:
        try:
            result = condition()
            if result:
                return result
            last_error = None
        except Exception as error:  # whatever the probe raises, such as a refused connection
            last_error = error
        if time.monotonic() >= deadline:
            detail = f" (last: {last_error!r})" if last_error else ""
            raise AssertionError(f"gave up after {timeout:g} s waiting for {what}{detail}")
        time.sleep(interval)


_claims = []  # the sockets whose names keep ports for this process


def _claim(port):
    """The socket that keeps the port for its owner, or None if the port is in use or another test's.

    Between here and the server that will listen, and while a test keeps that server down, the port looks free to
    others: a name among the abstract Unix sockets says that it is not, and goes away with the process.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0sluice-test-port-{port}")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return None
    return claim


def free_ports(count):
    """The first of `count` free ports of 127.0.0.1 in a row. Below the ephemeral range, so that no outgoing connection
    takes them; no other test gets them while this process runs."""
    while True:
        first, claims = random.randrange(12000, 20000 - count), []
        for port in range(first, first + count):
            claim = _claim(port)
            if not claim:
                break
            claims.append(claim)
        else:
            _claims.extend(claims)
            return first
        for claim in claims:
            claim.close()


def free_port():
    """A port as those of free_ports."""
    return free_ports(1)
