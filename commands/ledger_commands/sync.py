"""`perfledger sync`: share the ledger through a Hub dataset, a bucket or a folder, and say what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, LazyGroup, command, global_options
from ledger.layout import outside_ledger

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.log.heads import Head
    from ledger.sync.pull import PullReport
    from ledger.sync.push import PushReport

REMOTE = click.option(
    "--remote",
    metavar="URL",
    help="hf://datasets/OWNER/NAME[/PREFIX], s3://..., gs://..., az://..., file:///... "
    "Default: PERFLEDGER_REMOTE, else the one used last.",
)
ENDPOINT = click.option(
    "--endpoint",
    metavar="URL",
    help="The Hub's address. Default: where the remote was last reached, else HF_ENDPOINT, else the public Hub.",
)


@click.group(
    "sync",
    cls=LazyGroup,
    lazy={
        "push": ("ledger_commands.sync:push", "Send what waits: record uploads, own events, evidence."),
        "pull": ("ledger_commands.sync:pull", "Take in what other machines pushed, verified."),
        "status": ("ledger_commands.sync:status", "What waits to be sent; contacts no server."),
    },
)
@global_options
def sync() -> None:
    """Share the ledger through a Hub dataset or bucket.

    \b
    Tokens come from HF_API_KEY, HUGGINGFACE_HUB_TOKEN or HF_TOKEN.
    Exit codes: 0 done, 3 an origin forked or others were always first, 4 the remote is away or refuses the
    token, 6 not known whether it landed, 7 what the remote holds does not verify.
    """


@command("push")
@REMOTE
@ENDPOINT
@click.option("--create", is_flag=True, help="Create the dataset (private) or folder when it does not exist.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent; send nothing.")
def push(app: App, remote: str | None, endpoint: str | None, create: bool, dry_run: bool) -> int:
    """Send what waits in the outbox: queued record uploads, then this ledger's own events and evidence.

    One commit for everything. Safe to repeat: it looks before it sends, and nothing is ever sent twice.
    """
    from ledger.sync import outbox

    ledger = app.ledger()
    url = _remote_of(ledger, remote)
    if dry_run:
        return _show_waiting(app, ledger, url)
    uploads = _send_uploads(app, ledger, endpoint)
    failed = next((sent.error for sent in uploads if sent.error is not None), None)
    report = None
    if url or not uploads:
        from ledger.sync.push import push as run

        place = outbox.open_known(ledger, outbox.require_remote(ledger, url), endpoint=endpoint, create=create)
        report = run(ledger, place, say=app.note)
    if failed is not None:
        if report is not None:
            app.note(_push_text(report))
        raise failed
    document = {"push": report.__dict__ if report else None, "uploads": [sent.as_dict() for sent in uploads]}
    lines = [f"{sent.records} record(s) are in {sent.dataset} at {(sent.revision or '')[:12]}" for sent in uploads]
    app.emit(document, "\n".join([*lines, *([_push_text(report)] if report else [])]))
    return 0


@command("pull")
@REMOTE
@ENDPOINT
def pull(app: App, remote: str | None, endpoint: str | None) -> int:
    """Take in events and evidence of other machines; only files that are not here travel.

    Every chain is verified before its events count. Datasets a history was imported from are brought up to date
    as well.
    """
    from commands.imports.hub_mirror import known_datasets
    from ledger.sync import outbox

    ledger = app.ledger()
    url = _remote_of(ledger, remote)
    with app.state(ledger) as state:
        datasets = known_datasets(state)
    report = None
    if url or not datasets:
        from ledger.sync.pull import pull as run

        report = run(
            ledger, outbox.open_known(ledger, outbox.require_remote(ledger, url), endpoint=endpoint), say=app.note
        )
    imported = [_import_again(app, ledger, dataset, endpoint) for dataset in datasets]
    pulled = (
        {
            "remote": report.remote,
            "revision": report.revision,
            "events": report.events,
            "evidence": report.evidence,
            "origins": [o.__dict__ for o in report.origins],
        }
        if report
        else None
    )
    app.emit({"pull": pulled, "datasets": imported}, lambda: _pull_text(report, imported))
    return 0


@command("status", reads=True)
@REMOTE
def status(app: App, remote: str | None) -> int:
    """Show what waits to be sent. It is all in this ledger: nothing is asked, so it works without a network.

    With --as-of what waited then, and what pulls had brought by then. PERFLEDGER_REMOTE counts as it is now.
    """
    ledger = app.ledger()
    until = _moment(app, ledger)
    document = {**_status(ledger, _remote_of(ledger, remote, until=until), until=until), "as_of": until}
    app.emit(document, lambda: _status_text(document))
    return 0


def _moment(app: App, ledger: Ledger) -> str | None:
    """Return the time up to which own events count, or None for now. Own events are known as they happen, so both
    options bound the same."""
    if app.as_of is None and app.as_recorded is None:
        return None
    with app.state(ledger) as state:
        return min(state.as_of, state.as_recorded)


def _remote_of(ledger: Ledger, named: str | None, *, until: str | None = None) -> str | None:
    """Return the remote to use, if any is known.

    Raises `BadInput` for a malformed URL, and for a folder inside a ledger, before anything else.
    """
    from ledger.remotes.open import check_url
    from ledger.sync import outbox

    url = named or outbox.default_remote(ledger, until=until or outbox.FOREVER)
    if not url:
        return None
    url = check_url(url)
    if url.startswith("file:"):
        from ledger.remotes.objects import take_apart

        outside_ledger(take_apart(url)[1], ledger.path)
    return url


def remote_heads(ledger: Ledger) -> dict[str, Head]:
    """Return the heads the remote's checkpoints name, by origin, for `verify --remote`.

    Raises `BadInput` when no remote is known, `Damaged` when a checkpoint is not readable.
    """
    from ledger.sync import checkpoint, outbox

    return checkpoint.heads(outbox.open_known(ledger, outbox.require_remote(ledger, None)))


def _send_uploads(app: App, ledger: Ledger, endpoint: str | None) -> list[Any]:
    from ledger.sync import outbox

    if not outbox.waiting_uploads(ledger):
        return []
    from ledger.sync.uploads import send_waiting

    sent = send_waiting(ledger, endpoint=endpoint, say=app.note)
    for one in sent:
        if one.error is not None:
            app.note(f"{one.records} record(s) for {one.dataset} {one.state}: {one.error.message}")
    return sent


def _import_again(app: App, ledger: Ledger, dataset: str, endpoint: str | None) -> dict[str, Any]:
    from commands.imports.hf_tracking import import_folder
    from commands.imports.hub_mirror import download_history

    folder = download_history(ledger, dataset, app.note, endpoint=endpoint)
    return import_folder(app, ledger, folder, source=dataset).as_dict()


def _status(ledger: Ledger, remote: str | None, *, until: str | None = None) -> dict[str, Any]:
    from ledger.sync import outbox

    end = until or outbox.FOREVER
    last = outbox.last_push(ledger, remote, until=end) if remote else None
    through = int(last.body()["through"]) if last else 0
    address = outbox.last_address(ledger, remote, until=end) if remote else None
    waits = outbox.waiting(ledger, after=through, until=end)
    uploads = outbox.waiting_uploads(ledger, until=end)
    if until is None:
        pulled = {origin: ledger.head(origin).position for origin in ledger.origins()[1:]}
    else:
        pulled = outbox.pulled(ledger, until=until)
    return {
        "remote": remote,
        "endpoint": address.endpoint if address else None,
        "origin": ledger.origin,
        "pushed_through": through,
        "pushed_at": last.recorded_at if last else None,
        "waiting": {"events": waits.events, "notes": waits.notes},
        "push_unfinished": remote is not None and outbox.unfinished_push(ledger, remote, until=end) is not None,
        "uploads": [
            {
                "upload_id": u.upload_id,
                "state": u.state,
                "dataset": u.dataset,
                "queued_at": u.queued_at,
                "paths": [record["path"] for record in u.records],
            }
            for u in uploads
        ],
        "pulled": [{"origin": origin, "through": position} for origin, position in pulled.items()],
    }


def _show_waiting(app: App, ledger: Ledger, remote: str | None) -> int:
    document = _status(ledger, remote)
    document["would_send"] = {
        "events": document["waiting"]["events"],
        "records": [path for upload in document["uploads"] for path in upload["paths"]],
    }
    app.emit(document, lambda: _status_text(document) + "\nnothing was sent (--dry-run)")
    return 0


def _push_text(report: PushReport) -> str:
    if not report.segments and not report.evidence:
        notes = f" ({report.notes} note(s) about syncing travel with the next events)" if report.notes else ""
        return f"{report.remote} has everything of this ledger, to position {report.through:,}{notes}"
    at = f" at {report.revision[:12]}" if report.revision else ""
    return (
        f"pushed to {report.remote}{at}: to position {report.through:,} in {report.segments} segment(s), "
        f"{report.evidence} evidence file(s)"
    )


def _pull_text(report: PullReport | None, imported: list[dict[str, Any]]) -> str:
    lines = []
    if report is not None:
        lines += [f"{o.origin}: positions {o.first:,} to {o.last:,}" for o in report.origins]
        lines.append(
            f"pulled {report.events:,} events of {len(report.origins)} origin(s) and {report.evidence} "
            f"evidence file(s) from {report.remote}"
            if report.origins or report.evidence
            else f"nothing new at {report.remote}"
        )
    lines += [f"{row['source']}: {row['recorded']} new record(s), {row['unchanged']} unchanged" for row in imported]
    return "\n".join(lines)


def _status_text(document: dict[str, Any]) -> str:
    waits, uploads = document["waiting"], document["uploads"]
    lines = [f"as of {document['as_of']}"] if document.get("as_of") else []
    at = f" at {document['endpoint']}" if document["endpoint"] else ""
    lines += [f"remote: {document['remote'] or 'none yet (perfledger sync push --remote URL)'}{at}"]
    since = f"since {document['pushed_at']}" if document["pushed_at"] else "nothing was pushed there yet"
    if waits["events"]:
        lines.append(f"{waits['events']:,} event(s) of {document['origin']} wait to be pushed ({since})")
    else:
        lines.append(f"every event of {document['origin']} is pushed, to position {document['pushed_through']:,}")
    if document["push_unfinished"]:
        lines.append("a push was begun and is not known to have ended; the next one finds out")
    for upload in uploads:
        lines.append(f"{len(upload['paths'])} record(s) wait for {upload['dataset']} since {upload['queued_at']}")
    lines += [f"{row['origin']}: known to position {row['through']:,}" for row in document["pulled"]]
    return "\n".join(lines)
