"""Waiting for conditions, never for time; and ports that nobody uses."""

import random
import socket
import time


def wait_until(condition, timeout=15.0, what="the condition", interval=0.05):
    """Calls `condition` until it returns something true, and returns that. Fails, naming `what`, after `timeout` s.

    An exception of the condition counts as "not yet" and is told at the end.
    """
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


def free_port():
    """A port of 127.0.0.1 that is free now. Below the ephemeral range, so that no outgoing connection takes it."""
    while True:
        port = random.randrange(12000, 20000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
