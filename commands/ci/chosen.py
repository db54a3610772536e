"""Which policy a command decides by: the one named, the one adopted, or the shipped default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App
from ledger.errors import BadInput
from ledger.outside.files import read_bytes
from projections.ci import policy as rules
from projections.ci.policy import Policy

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.state.state import State

SHIPPED = Path(__file__).parent / "policies"
DEFAULT = "fastvideo-page"

policy_option = click.option(
    "--policy",
    "policy_name",
    metavar="FILE|NAME",
    help="Decide by this policy file or shipped policy. Default: the adopted one, else fastvideo-page.",
)


class Chosen:
    """A policy with its digest and where it came from: `file`, `shipped`, `adopted` or `default`."""

    def __init__(self, policy: Policy, origin: str, where: str, text: bytes = b"") -> None:
        self.policy = policy
        self.digest = rules.digest(policy)
        self.origin = origin
        self.where = where
        self.text = text

    def document(self) -> dict[str, Any]:
        """What every answer says about the policy it used."""
        return {"name": self.policy.name, "digest": self.digest, "from": self.origin}

    def line(self) -> str:
        """The same for people."""
        return f"policy {self.policy.name} {self.digest[:12]} ({self.origin})"


def shipped_names() -> list[str]:
    """Names of the policies that come with the product."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load(name: str) -> Chosen:
    """Read a shipped policy by name, or a file. Raises `BadInput` naming file and field."""
    shipped = name in shipped_names()
    path = SHIPPED / f"{name}.yaml" if shipped else Path(name)
    if not path.exists():
        raise BadInput(
            f"there is no policy file {name} and no shipped policy of that name",
            code="no_such_policy",
            hint=f"shipped: {', '.join(shipped_names())}",
            policy=name,
        )
    data = read_bytes(path)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{name}: not UTF-8 at byte {error.start}", code="bad_ci_policy", hint="save the file as UTF-8", file=name
        ) from None
    return Chosen(rules.from_yaml(text, where=name), "shipped" if shipped else "file", name, data)


def optional_ledger(app: App) -> Ledger | None:
    """Return the ledger, or None where there is none and none was asked for."""
    try:
        return app.ledger()
    except BadInput as error:
        if error.code == "no_ledger" and app.ledger_dir is None:
            return None
        raise


def choose(ledger: Ledger | None, name: str | None) -> Chosen:
    """Return the named policy, else the adopted one in force, else the default; no state is opened when none is."""
    if name is not None:
        return load(name)
    if ledger is not None and any(True for _ in ledger.read(types=["CiPolicyAdopted"])):
        from projections.state.state import State

        with State.open(ledger) as state:
            return choose_in(state, None)
    return default()


def choose_at(app: App, name: str | None) -> Chosen:
    """Return the policy of the moment --as-of and --as-recorded name, else of now, which needs no state.

    Raises `BadInput` for a moment without a ledger to ask.
    """
    if name is None and (app.as_of or app.as_recorded):
        with app.state(app.ledger()) as state:
            return choose_in(state, None)
    return choose(optional_ledger(app), name)


def choose_in(state: State, name: str | None) -> Chosen:
    """The same at the moment a state is at, so that an as-of question is answered by the rules of that moment."""
    if name is not None:
        return load(name)
    from projections.ci.approval import in_force

    now = in_force(state)
    if now is not None:
        from ledger import canonical

        return adopted(canonical.decode(now.policy), now.event_id)
    return default()


def adopted(data: Any, event_id: str) -> Chosen:
    """Read a policy back from its event."""
    return Chosen(rules.from_data(data, where=f"event {event_id}"), "adopted", event_id)


def default() -> Chosen:
    """Return the policy that holds where none was adopted."""
    found = load(DEFAULT)
    return Chosen(found.policy, "default", DEFAULT, found.text)
