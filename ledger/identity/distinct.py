"""Approvers that are distinct: by key where they signed, by name as it is compared, and by both at once."""

from __future__ import annotations

from ledger.identity import names


class Distinct:
    """Distinct approvers: one key under two names is one, and so are two keys under one name."""

    def __init__(self) -> None:
        self._taken: list[tuple[str, str, str]] = []

    def add(self, name: str, key: str) -> bool:
        """Count an approver, by name and key ("" for none); return whether it is a new one."""
        plain = names.normal(name)
        if names.fault(name) or any(plain == known or (key and key == k) for _, known, k in self._taken):
            return False
        self._taken.append((name, plain, key))
        return True

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def people(self) -> list[tuple[str, str]]:
        """Name as given and key of each, in the order of their counting."""
        return [(name, key) for name, _, key in self._taken]
