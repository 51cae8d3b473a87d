"""tests/fuzz/capture-sessions: see there."""

import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

from sluice_support import KafkaHelper, free_port
from sluice_support.protocol import Definitions, in_range

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
SEED_BYTES = 16 * 1024  # a session is cut where it would become larger
WALK_BYTES = 4 * 1024
API_VERSIONS = 18
CLIENT, BROKER = 0, 1
TOOLS = "org.apache.kafka.tools"
GROUP = "seed-group"


class Recorder:
    """A relay that keeps what passes: `sessions` are lists of (side, frame)."""

    def __init__(self, target):
        self.target, self.sessions = target, []
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            session, lock = [], threading.Lock()
            self.sessions.append(session)
            for side, one, other in ((CLIENT, client, server), (BROKER, server, client)):
                threading.Thread(target=self._pass, args=(side, one, other, session, lock), daemon=True).start()

    @staticmethod
    def _pass(side, one, other, session, lock):
        """Frame by frame, so that they are noted whole and in their order."""
        held = b""
        try:
            while data := one.recv(1 << 16):
                held += data
                while len(held) >= 4 and len(held) >= 4 + struct.unpack(">i", held[:4])[0]:
                    size = 4 + struct.unpack(">i", held[:4])[0]
                    with lock:
                        session.append((side, held[:size]))
                    other.sendall(held[:size])
                    held = held[size:]
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def run(environment, *command, text=None):
    done = subprocess.run([str(part) for part in command], env=environment, input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}"


def talk(environment, server, topic, folder):
    """One client after the other."""
    tool = [ROOT / "scripts" / "kafka", "tool"]
    properties = folder / "consumer.properties"
    properties.write_text("group.protocol=consumer\nauto.offset.reset=earliest\n")
    run(environment, "kcat", "-P", "-b", server, "-t", topic, "-K:", text="a:1\nb:2\nc:3\n")
    run(environment, "kcat", "-C", "-b", server, "-t", topic, "-e", "-o", "beginning")
    run(environment, "kcat", "-b", server, "-G", GROUP, "-c", "3", "-X", "auto.offset.reset=earliest", topic)
    run(environment, "kcat", "-L", "-b", server, "-t", topic)
    run(environment, *tool, "ProducerPerformance", "--topic", topic, "--num-records", 20, "--record-size", 50, "--throughput",
        -1, "--transactional-id", "seed-transaction", "--producer-props", f"bootstrap.servers={server}")
    run(environment, *tool, "ConsumerPerformance", "--topic", topic, "--num-records", 20, "--bootstrap-server", server,
        "--timeout", 10000, "--command-config", properties)
    run(environment, *tool, f"{TOOLS}.consumer.group.ConsumerGroupCommand", "--bootstrap-server", server, "--describe", "--group", GROUP)
    run(environment, *tool, "TopicCommand", "--bootstrap-server", server, "--describe", "--topic", topic)
    run(environment, *tool, f"{TOOLS}.consumer.ConsoleShareConsumer", "--bootstrap-server", server, "--topic", topic, "--timeout-ms",
        3000)


def seed_of(session, moved=False):
    """In fuzz_session's format; without the broker's answers to ApiVersions, which the gateway never sees here."""
    pieces, own = bytes([0, 4 if moved else 0]), set()
    for side, frame in session:
        correlation = frame[8:12] if side == CLIENT else frame[4:8]
        if side == CLIENT and struct.unpack(">h", frame[4:6])[0] == API_VERSIONS:
            own.add(correlation)
        elif side == BROKER and correlation in own:
            own.discard(correlation)
            continue
        if len(pieces) + 3 + len(frame) > SEED_BYTES:
            break
        pieces += struct.pack(">BH", side, len(frame)) + frame
    return pieces


def header_size(frame, flexible, request):
    """Of a frame after its length. Clients of today put no tags into headers."""
    if not request:
        return 4 + flexible
    client_id = struct.unpack(">h", frame[8:10])[0]
    return 10 + max(client_id, 0) + flexible


def walk_seeds(definitions, session):
    """(name, seed) of every message, in fuzz_kafka_walk's format: kind, key, version, window, body."""
    asked = {}
    for side, frame in session:
        frame = frame[4:]
        request = side == CLIENT
        if request:
            key, version = struct.unpack(">hh", frame[:4])
            asked[frame[4:8]] = key, version
        else:
            key, version = asked.get(frame[:4], (None, None))
        if key not in definitions.requests or len(frame) > WALK_BYTES:
            continue
        definition = definitions.requests[key]
        flexible = in_range(definition["flexibleVersions"], version) and not (key == API_VERSIONS and not request)
        name = definition["name"].removesuffix("Request") + ("Request" if request else "Response")
        yield f"real-{name}-{version}", bytes([0 if request else 1, key, version, 40]) + frame[header_size(frame, flexible, request):]


def write(folder, seeds):
    """The largest of each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("real-*"):
        old.unlink()
    best = {}
    for name, seed in seeds:
        if len(seed) > len(best.get(name, b"")):
            best[name] = seed
    for name, seed in best.items():
        (folder / name).write_bytes(seed)
    print(f"{folder.name}: {len(best)} seeds, {sum(map(len, best.values())) // 1024} KiB")


def session_name(session):
    """Says what it is about: the keys that its client used."""
    keys = sorted({struct.unpack(">h", frame[4:6])[0] for side, frame in session if side == CLIENT})
    text = "-".join(map(str, keys))
    return "real-" + (text if len(text) < 60 else hashlib.sha256(text.encode()).hexdigest()[:12])


def main():
    host, port = os.environ["SLUICE_TEST_KAFKA"].split(":")
    kafka, folder = KafkaHelper(f"{host}:{port}"), Path(tempfile.mkdtemp())
    topic = kafka.create_topic("seed", partitions=2)
    recorder = Recorder((host, int(port)))
    lead = Path(os.environ["SLUICE_BUILD_DIR"]) / "bench" / "bench-lead.so"
    environment = {**os.environ, "LD_PRELOAD": str(lead), "BENCH_LEAD": f"{port}:{recorder.port}"}
    try:
        talk(environment, f"{host}:{port}", topic, folder)
    finally:
        kafka.delete_topic(topic)
        shutil.rmtree(folder)
    definitions = Definitions()
    sessions = [session for session in recorder.sessions if len(session) > 2]
    write(CORPUS / "fuzz_session", ((session_name(session) + suffix, seed_of(session, moved=bool(suffix)))
                                    for session in sessions for suffix in ("", "-moved")))
    write(CORPUS / "fuzz_kafka_walk", (seed for session in sessions for seed in walk_seeds(definitions, session)))
    assert re.search("real-", " ".join(os.listdir(CORPUS / "fuzz_session"))), "nothing was recorded"


if __name__ == "__main__":
    main()
