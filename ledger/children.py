"""How perfledger starts its child processes: this interpreter, the installed package, and the variables they need.

    subprocess.Popen(children.command("sync", "push"), env=children.environment("HF_*", "HOME"))

Neither the working directory nor PYTHONPATH decides what it imports, so that no file of a measured repository runs in
it: trust rule T14. No module starts Python in any other way; a test reads the sources for it.
"""

from __future__ import annotations

import fnmatch
import os
import site
import sys

PROGRAM = "perfledger"  # named, never imported: it is above `ledger` in the import order
# The hidden commands of perfledger/__main__.py
KEEP_REPEAT = "_keep-repeat"
ANSWER_QUERY = "_answer-query"
# An interpreter may not start without it.
ALWAYS = ("LD_LIBRARY_PATH",)


def command(*arguments: str) -> list[str]:
    """Return the command line of a child process. It uses the user's own site folder where this process does."""
    own_site = [] if site.ENABLE_USER_SITE else ["-s"]
    return [sys.executable, *own_site, "-P", "-m", PROGRAM, *arguments]


def environment(*names: str, **values: str) -> dict[str, str]:
    """Return the variables of a child process: those of this process that `names` name, then `values`.

    names: as in a shell, `HF_*`; one that says what Python imports is never passed on.
    """
    found = {
        name: value
        for name, value in os.environ.items()
        if name in ALWAYS or (not name.startswith("PYTHON") and any(fnmatch.fnmatchcase(name, n) for n in names))
    }
    if site.ENABLE_USER_SITE:
        found["PYTHONUSERBASE"] = site.getuserbase()  # else it depends on HOME
    return found | values
