"""The package as people install it: a wheel in a venv of its own, with what it asks for and nothing else.

Nothing is downloaded: the distributions it asks for, and those they ask for, are links to the ones the tests run with.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from sysconfig import get_path

from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Stranger:
    """An application's folder, which is also on PYTHONPATH, and the Python it runs with."""

    folder: Path
    python: Path

    @property
    def data(self) -> Path:
        return self.folder.parent / "data"

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("LIKES_")}
        return {**clean, "PYTHONPATH": str(self.folder), "LIKES_DATA_DIR": str(self.data)}

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str | Path) -> str:
        """What it prints; it must succeed."""
        with self.start(*command) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, f"{command}: {out}{err}"
        return out


def build(source: Path, folder: Path) -> Path:
    """The wheel of a checkout or of a source distribution."""
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    _pip("wheel", *offline, "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def build_source(folder: Path) -> Path:
    """The source distribution of this checkout."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder], cwd=CHECKOUT, check=True)
    (source,) = folder.glob("*.tar.gz")
    return source


def install(wheel: Path, folder: Path) -> set[str]:
    """Install it in a new venv; what it put into site-packages."""
    venv.create(folder, symlinks=True)
    _pip("--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel))
    packages = site_packages(folder)
    put = {entry.name for entry in packages.iterdir()}
    _link_requirements(packages)
    return put


def site_packages(folder: Path) -> Path:
    """Where a venv has its packages."""
    return Path(get_path("purelib", "venv", {"base": str(folder)}))


def _link_requirements(packages: Path) -> None:
    (likes,) = distributions(name="likes", path=[str(packages)])
    for wanted in _needed_by(likes, set()):
        tops = {file.parts[0] for file in wanted.files or ()} - {"..", "__pycache__"}  # .. are scripts
        for name in tops - {entry.name for entry in packages.iterdir()}:
            (packages / name).symlink_to(str(wanted.locate_file(name)))


def _needed_by(asking: Distribution, extras: set[str]) -> list[Distribution]:
    """What it asks for and, in turn, what that asks for."""
    needed = []
    for requirement in map(Requirement, asking.requires or ()):
        if not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            wanted = distribution(requirement.name)
            needed += [wanted, *_needed_by(wanted, requirement.extras)]
    return needed


def _pip(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *words], cwd=CHECKOUT, check=True)
