"""OpenAPI and AsyncAPI documents against the validators of others."""

import os
import pathlib
import subprocess

NODE_DIR = pathlib.Path(os.environ.get("SLUICE_NODE_DIR", "/nonexistent"))
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "node"


def validate(tmp_path, documents):
    """Runs the validators over {name: text}."""
    assert (NODE_DIR / "complete").exists(), "the tests' JavaScript packages are missing; run scripts/test once"
    script = tmp_path / "validate.mjs"
    script.write_text((SOURCES / "validate.mjs").read_text())
    (tmp_path / "node_modules").symlink_to(NODE_DIR / "node_modules")
    files = []
    for name, text in documents.items():
        path = tmp_path / f"{name}.json"
        path.write_text(text)
        files.append(str(path))
    return subprocess.run(["node", str(script), *files], capture_output=True, text=True, timeout=200)
