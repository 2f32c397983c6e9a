"""The library as its users have it: a wheel, in a virtual environment that holds nothing but what the wheel names.

No network is needed. The dependencies are the files of distributions that are installed here, linked into the new
environment: exactly those that the wheel's metadata asks for, and what these ask for. So a dependency that the wheel
does not name is missing there, although it is installed here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LIBRARY = Path(__file__).resolve().parents[2] / "libs" / "eventbus"


class Environment:
    """A virtual environment that sees neither the repository nor the packages of the one that runs the tests."""

    def __init__(self, directory: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", str(directory))
        self.python = directory / "bin" / "python"
        (self.site,) = directory.glob("lib/python*/site-packages")

    def install(self, wheel: Path, *, extra: str = "") -> None:
        """Install the wheel and the dependencies that it names, those of ``extra`` included."""
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python))
        run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
        (installed,) = distributions(path=[str(self.site)])
        for found in closure(installed, extra):
            link(found, self.site)

    def run(
        self, *arguments: str, cwd: Path, timeout: float = 60.0, env: Mapping[str, str] | None = None
    ) -> str:
        """What Python prints, started with these arguments; AssertionError if its exit status is not 0."""
        return run(str(self.python), *arguments, cwd=cwd, timeout=timeout, env=env)


def build_wheel(source: Path, directory: Path) -> Path:
    """The wheel of a project. It is built from a copy, so that nothing is left in the source tree."""
    left_out = shutil.ignore_patterns("tests", "build", "*.egg-info", "__pycache__", ".*")
    copy = shutil.copytree(source, directory / "source", ignore=left_out)
    offline = ("--no-build-isolation", "--no-deps", "--no-index")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--quiet", *offline, "--wheel-dir", str(directory), str(copy), timeout=120.0)
    (wheel,) = directory.glob("*.whl")
    return wheel


def closure(of: Distribution, extra: str = "") -> Iterable[Distribution]:
    """The distributions that one asks for, directly or not, as they are installed here.

    AssertionError if an installed version is not one that is asked for.
    """
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, str]] = set()

    def follow(asking: Distribution, wanted: str) -> None:
        for requirement in requirements(asking, wanted):
            dependency = distribution(requirement.name)
            assert requirement.specifier.contains(dependency.version, prereleases=True), requirement
            name = canonicalize_name(requirement.name)
            found[name] = dependency
            for each in ("", *requirement.extras):
                if (name, each) not in asked:
                    asked.add((name, each))
                    follow(dependency, each)

    for wanted in ("", extra) if extra else ("",):
        follow(of, wanted)
    return found.values()


def requirements(of: Distribution, extra: str = "") -> Iterator[Requirement]:
    """What a distribution asks for on this machine; what it asks for one of its extras, if ``extra`` names one."""
    for text in of.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None:
            if not extra:
                yield requirement
        elif requirement.marker.evaluate({"extra": extra}) and (
            not extra or not requirement.marker.evaluate({"extra": ""})
        ):
            yield requirement


def link(found: Distribution, site: Path) -> None:
    """Put the files of an installed distribution into another environment's site-packages, as links."""
    assert found.files, f"{found.name} does not say which files it has"
    for file in found.files:
        if file.parts[0] == "..":  # a script, beside site-packages
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(Path(str(file.locate())).resolve())


def clean_environ() -> dict[str, str]:
    """The environment variables of this process without those that would show it the repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(
    *command: str, cwd: Path | None = None, timeout: float = 60.0, env: Mapping[str, str] | None = None
) -> str:
    """What a command prints; AssertionError if its exit status is not 0."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**clean_environ(), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout
