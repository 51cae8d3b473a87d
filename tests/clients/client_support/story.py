"""Stories: what a client does, step by step, told once at each target and compared.

A step names its topics, groups and so on with the word NAME, in place of which each telling has a word of its own, so that
tellings beside each other at one Kafka do not meet. In what is compared, everything that may differ is a word again:
names, addresses, ids, times, figures of speed.
"""

import re
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import unified_diff

from sluice_support import known

from .java import Outcome


def applicable(stories):
    """The stories without the steps that an older broker does not know; a story of which nothing is left has gone."""
    kept = {name: [step for step in steps if known(step.since)] for name, steps in stories.items()}
    return {name: steps for name, steps in kept.items() if steps}


@dataclass
class Target:
    """A way to Kafka. `hides` is an address that nobody may be told there: the broker's own, behind a gateway."""

    name: str
    bootstrap_servers: str
    hides: str = ""

    def leaks(self, text):
        """Tools write host and port in several ways."""
        host, _, port = self.hides.rpartition(":")
        return bool(self.hides and re.search(rf"{re.escape(host)}[:\s]+{port}\b", text))


@dataclass
class Step:
    """One call. `tool`: a Java class, or a program such as kcat. `expect`: what the output must hold, each
    a regular expression, so that two tellings that fail alike are no success; `absent`: what no line of it may hold.
    `only`: lines without NAME are left out,
    because others use the same Kafka. `refused`: what the gateway's clients are told where a key is not served to them;
    `hidden`: what those in a namespace are told, if that is another thing;
    `same` False: only `expect` is compared. `looks`: it changes nothing and may be repeated until `expect` and `absent`
    hold.
    `since`: the broker's version that knows it; older ones are not asked.
    `tells_broker`: it shows the broker's own configuration, which holds its address."""

    tool: str
    arguments: list
    expect: tuple = ()
    absent: tuple = ()
    stdin: str = ""
    status: int = 0
    only: bool = False
    ordered: bool = True
    refused: str = ""
    hidden: str = ""
    same: bool = True
    replace: tuple = ()
    looks: bool = False
    since: str = ""
    tells_broker: bool = False
    files: dict = field(default_factory=dict)


_VARIABLE = (
    (re.compile(r"(?m)^%\d\|.*$"), ""),  # librdkafka's log
    (re.compile(r"127\.0\.0\.1:\d+|localhost:\d+"), "ADDRESS"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b(TopicId: |TOPIC-ID:)\S{22}"), r"\1ID"),
    (re.compile(r"\b[A-Za-z0-9_-]{22}(?=\s|,|$)(?<![a-z-]{22})"), "ID"),
    (re.compile(r"\b1[78]\d{11}\b"), "TIME"),
    (re.compile(r"\[?20\d\d-\d\d-\d\d[ T:]\d\d[:\d.,]*\]?"), "TIME"),
    (re.compile(r"[ \t]+"), " "),
)


_LOOK_SECONDS = 120


def normalise(text, word, step):
    """The lines that are compared."""
    text = text.replace(word, "NAME")
    for pattern, replacement in (*[(re.compile(a), b) for a, b in step.replace], *_VARIABLE):
        text = pattern.sub(replacement, text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if step.only:
        lines = [line for line in lines if "NAME" in line]
    return lines if step.ordered else sorted(lines)


class Telling:
    """One story at one target."""

    def __init__(self, java, target, folder):
        self.java, self.target = java, target
        self.word = f"n{uuid.uuid4().hex[:9]}"
        self.folder = folder / f"{target.name}-{self.word}"
        self.folder.mkdir(parents=True)

    def _fill(self, text):
        for name, value in (("NAME", self.word), ("BOOTSTRAP", self.target.bootstrap_servers),
                            ("FOLDER", str(self.folder))):
            text = text.replace(name, value)
        return text

    def _call(self, tool, arguments, stdin):
        if "." in tool or tool[0].isupper():
            return self.java.run(tool, *arguments, stdin=stdin)
        done = subprocess.run([tool, *arguments], input=stdin, capture_output=True, text=True, timeout=300)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def _take(self, step):
        """Kafka answers a change before every broker shows it: what only looks may look again."""
        deadline = time.monotonic() + (_LOOK_SECONDS if step.looks else 0)
        while True:
            try:
                return self._try(step)
            except AssertionError:
                if time.monotonic() >= deadline:
                    raise

    def _try(self, step):
        for name, content in step.files.items():
            (self.folder / name).write_text(self._fill(content))
        arguments = [self._fill(str(argument)) for argument in step.arguments]
        outcome = self._call(step.tool, arguments, self._fill(step.stdin))
        text = outcome.output + outcome.errors
        where = f"{self.target.name}: {step.tool} {' '.join(arguments)}: status {outcome.status}\n{text}"
        assert step.tells_broker or not self.target.leaks(text), f"the broker's address in {where}"
        refused = self.target.name != "direct" and step.refused
        refused = self.target.name == "namespace" and step.hidden or refused
        if refused:
            assert re.search(refused, text), f"not refused as it should be: {where}"
            return None
        assert outcome.status == step.status, where
        lines = normalise(text, self.word, step)
        for pattern in step.expect:
            assert any(re.search(pattern, line) for line in lines), f"no {pattern!r} in {where}\n= {lines}"
        for pattern in step.absent:
            assert not any(re.search(pattern, line) for line in lines), f"{pattern!r} in {where}\n= {lines}"
        return lines if step.same else None

    def tell(self, steps):
        return [self._take(step) for step in steps]


def tell(java, targets, folder, steps):
    """The story at every target, beside each other: its tellings in the targets' order."""
    with ThreadPoolExecutor(len(targets)) as pool:
        tellings = [pool.submit(Telling(java, target, folder).tell, steps) for target in targets]
    failures = [str(telling.exception()) for telling in tellings if telling.exception()]
    assert not failures, "\n\n".join(failures)
    return [telling.result() for telling in tellings]


def compare(steps, targets, tellings):
    """Every step looked alike at every target, unless it is refused at one."""
    for target, telling in zip(targets[1:], tellings[1:]):
        for step, first, other in zip(steps, tellings[0], telling):
            if first is None or other is None:
                continue
            difference = "\n".join(unified_diff(first, other, targets[0].name, target.name, lineterm=""))
            assert other == first, f"{step.tool} {step.arguments}:\n{difference}"
