"""The commands that the README prints, run in a test's folder with a test's addresses."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def commands(*sections):
    """The blocks of the sections, as printed; one that calls `api` has its definition first."""
    readme = (ROOT / "README.md").read_text()
    api = next(line for line in readme.splitlines() if line.startswith("api() {"))
    blocks = []
    for section in sections:
        text = readme.split(f"## {section}\n")[1].split("\n## ")[0]
        blocks += re.findall(r"```sh\n(.*?)```", text, re.S)
    return [f"{api}\n{block}" if re.search(r"\bapi ", block) and api not in block else block for block in blocks]


class Shell:
    """Runs a block with `places` (pattern: what stands there in the test); its folder is the current one of the block."""

    def __init__(self, folder, places, **environment):
        self.folder, self.values = folder, list(places.values())
        # All at once: what stands in a test for one of them may look like another.
        self.written = re.compile("|".join(f"({pattern})" for pattern in places), re.M)
        self.environment = {**os.environ, "no_proxy": "127.0.0.1", **environment}

    def attempt(self, block):
        """What it printed, also on standard error, however it ended."""
        done = self._run(block)
        return done.stdout + done.stderr

    def __call__(self, block):
        """What it printed on standard output, when it succeeded."""
        done = self._run(block)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, block):
        block = self.written.sub(lambda found: self.values[found.lastindex - 1], block)
        return subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=self.folder, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
