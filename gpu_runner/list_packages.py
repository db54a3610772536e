"""Run by the test's interpreter, which may be an older Python: print its version and packages as one JSON line."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the folder of this file: its modules are not the ones meant below

    import hashlib
    import json
    import platform
    from importlib import metadata

    found = sorted({(d.metadata["Name"] or "?", d.version or "?") for d in metadata.distributions()})
    freeze = "\n".join(f"{name}=={version}" for name, version in found)
    document = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "packages": dict(found),
        "packages_sha256": hashlib.sha256(freeze.encode()).hexdigest(),
    }
    sys.stdout.write(json.dumps(document) + "\n")
