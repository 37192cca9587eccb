"""What `import likes` gives: every error a caller may meet, every name on first use, and nothing heavy before."""

from __future__ import annotations

import subprocess
import sys

import likes
from likes import errors

ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}


def test_every_error_is_there() -> None:
    assert len(ERRORS) > 10
    assert set(dir(likes)) >= ERRORS
    for name in ERRORS:
        assert getattr(likes, name) is getattr(errors, name)


def test_every_name_can_be_had_and_no_other() -> None:
    for name in dir(likes):
        assert getattr(likes, name).__name__ == name
    assert not hasattr(likes, "Mapping")


def test_importing_it_loads_no_library() -> None:
    program = "import sys, likes; print({'redis', 'sqlalchemy', 'pydantic', 'msgpack'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )
