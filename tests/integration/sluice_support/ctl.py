"""sluicectl as people and pipelines call it."""

import json
import os
import subprocess

_FINDINGS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion")


class Ctl:
    """Calls with a file of contexts of its own. `server` and `token` come by the environment, as in a pipeline."""

    def __init__(self, build_dir, work_dir, server=None, token=None):
        self.program = build_dir / "controlplane" / "sluicectl"
        self.config = work_dir / "contexts.yaml"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
        self.env |= {"SLUICECTL_CONFIG": str(self.config), "NO_PROXY": "127.0.0.1", "HOME": str(work_dir),
                     "PATH": f"{self.program.parent}:{os.environ['PATH']}"}
        self.set_environment(server, token)

    def set_environment(self, server=None, token=None):
        for name, value in (("SLUICE_SERVER", server), ("SLUICE_TOKEN", token)):
            self.env.pop(name, None)
            if value:
                self.env[name] = value

    def command(self, *arguments):
        return [str(self.program), *map(str, arguments)]

    def run(self, *arguments, expect=0, input="", timeout=100, command=None):
        """The finished process; with another status than expected, or a word from a sanitizer, it fails."""
        done = subprocess.run(command or self.command(*arguments), input=input, capture_output=True, text=True,
                              timeout=timeout, env=self.env)
        said = f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert not any(word in done.stderr for word in _FINDINGS), said
        assert expect is None or done.returncode == expect, said
        return done

    def out(self, *arguments, **options):
        return self.run(*arguments, **options).stdout

    def err(self, *arguments, **options):
        return self.run(*arguments, **options).stderr

    def json(self, *arguments, **options):
        return json.loads(self.out(*arguments, "-o", "json", **options))

    def start(self, *arguments, **options):
        """Runs on; the caller ends it."""
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.env, **options)
