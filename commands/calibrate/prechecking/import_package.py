"""Run by the test's interpreter, which may be an older Python: import a package, print its version as one JSON line."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the folder of this file: its modules are not the ones meant below

    import importlib
    import importlib.metadata
    import json

    name = sys.argv[1]
    module = importlib.import_module(name)
    sys.stdout.write(json.dumps(getattr(module, "__version__", None) or importlib.metadata.version(name)) + "\n")
