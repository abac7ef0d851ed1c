"""Runs the program `admire` and reads what it says."""

import json
import os
import shutil
import subprocess
import sysconfig
import warnings
from typing import List, Optional, Tuple

from ._errors import AdmireError, AdmireWarning


def find() -> str:
    """The program that was installed with this package, else the one on PATH."""
    beside = os.path.join(sysconfig.get_path("scripts"), "admire")
    program = beside if os.access(beside, os.X_OK) else shutil.which("admire")
    if program is None:
        raise FileNotFoundError(f"the program `admire` is neither {beside} nor on PATH; `pip install admire` puts it there")
    return program


def call(arguments: List[str], standard_input: Optional[str] = None) -> str:
    """What the program prints on stdout.

    Its warnings become warnings of Python. Raises AdmireError if it fails.
    """
    output, error = attempt(arguments, standard_input)
    if error is not None:
        raise error
    return output


def attempt(arguments: List[str], standard_input: Optional[str] = None) -> Tuple[str, Optional[AdmireError]]:
    """What the program prints on stdout, and its error if it fails."""
    done = subprocess.run(
        [find(), "--log-format", "json", *arguments],
        input=standard_input,
        stdin=subprocess.DEVNULL if standard_input is None else None,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    errors = []
    for line in done.stderr.splitlines():
        level, message = _logged(line)
        if level == "WARN":
            warnings.warn(message, AdmireWarning, stacklevel=4)
        elif level == "ERROR":
            errors.append(message)
    if done.returncode == 0:
        return done.stdout, None
    return done.stdout, AdmireError("\n".join(errors) or "the program ended without a message", done.returncode)


def _logged(line: str) -> Tuple[str, str]:
    """Level and message of a line of the log. Errors in options are plain text."""
    try:
        event = json.loads(line)
        return event["level"], event["message"]
    except (ValueError, TypeError, KeyError):
        return "ERROR", line
