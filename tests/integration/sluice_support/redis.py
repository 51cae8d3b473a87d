"""A Redis server of a test's own, with TLS and a password."""

import socket
import ssl

from .certificates import Authority
from .process import Program
from .wait import free_port

PASSWORD = "correct-redis-horse"


class Redis(Program):
    """Keeps its port when it is stopped or killed and started again; what it held is gone then. `options` are those of a
    gateway that uses it."""

    def __init__(self, folder):
        authority, self.port = Authority(folder, "Redis CA"), free_port()
        certificate, key = authority.issue("redis", ["IP:127.0.0.1"])
        self._ca = authority.ca
        rules = folder / "users.acl"
        rules.write_text(f"user default off\nuser gateways on >{PASSWORD} ~sluice:* +eval +evalsha +script|load +time +get "
                         "+set +select\nuser tests on nopass ~* +@all\n")
        command = ["redis-server", "--port", 0, "--tls-port", self.port, "--bind", "127.0.0.1", "--tls-cert-file",
                   certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority.ca, "--tls-auth-clients", "no",
                   "--aclfile", rules, "--dir", folder, "--save", "", "--appendonly", "no", "--daemonize", "no"]
        super().__init__("redis", command, folder / "redis.log")
        password = folder / "redis.password"
        password.write_text(PASSWORD + "\n")
        self.options = {"limits_redis_address": f"127.0.0.1:{self.port}", "limits_redis_tls": True,
                        "limits_redis_ca_file": authority.ca, "limits_redis_username": "gateways",
                        "limits_redis_password_file": password, "limits_redis_database": 3, "limits_redis_retry": "100ms",
                        "limits_redis_wait": "5s", "limits_redis_timeout": "8s"}

    def start(self):
        super().start()
        return self.wait_ready(self._answers, what="answering")

    def _answers(self):
        try:
            return self.ask("PING") == "+PONG"
        except OSError:
            return False

    def ask(self, *words):
        """The first line of the answer to one command."""
        context = ssl.create_default_context(cafile=self._ca)
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain, \
                context.wrap_socket(plain, server_hostname="127.0.0.1") as connection, connection.makefile("rb") as lines:
            for command in (("AUTH", "tests", ""), ("SELECT", "3"), words):
                connection.sendall(b"*%d\r\n" % len(command) +
                                   b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in command))
                answer = lines.readline().decode().rstrip("\r\n")
            return answer
