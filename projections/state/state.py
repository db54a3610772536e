"""A session over the state: caught up with the log, at one moment, ready to be asked in SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ledger import canonical, identifiers
from ledger.errors import BadInput, Unavailable
from ledger.identifiers import format_time, parse_time
from ledger.readable import BAD_PAYLOAD
from projections.state import arrivals, catalogue, computed, engine, narrowing, stopping, store
from projections.state.unread import Arrived

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.event import NewEvent
    from ledger.ledger import Ledger

FOREVER = "infinity"
# From this many unprojected bytes on, waiting for another process that builds the state is worthwhile.
WAIT_BYTES = 16 * 2**20


class State:
    """An in-memory DuckDB session: the state files attached read-only, the newest events beside them.

    `connection` is the session's; `as_of` and `as_recorded` are ISO 8601 UTC or `infinity`.
    """

    def __init__(self, ledger: Ledger, connection: engine.Connection, *, as_of: str, as_recorded: str) -> None:
        self.ledger = ledger
        self.connection = connection
        self.as_of = as_of
        self.as_recorded = as_recorded
        self.checkpoint: dict[str, int] = {}
        self._arms: list[str] = []
        self._newest: Arrived | None = None  # what there is of the newest events
        self._projected: list[catalogue.FactTable] = []  # tables that the newest events have rows in
        self._without = False  # events that stop a projection were looked for and left out
        self._made: set[str] = set()
        self._narrowed: dict[str, str] = {}  # computed relations made for one value of their key alone
        self._staged = False  # the newest results are read out of their JSON once, for two tables
        self._batch = arrivals.Batch(ledger.origin, {})

    # ---------------------------------------------------------------- opening

    @classmethod
    def open(
        cls,
        ledger: Ledger,
        *,
        as_of: str | None = None,
        as_recorded: str | None = None,
        supposing: Sequence[NewEvent] = (),
    ) -> State:
        """Open a session caught up with the log.

        as_of: a time, `position@origin` or an event id: as this ledger knew it then. as_recorded: a time: what
        had happened by then, as known now. supposing: events this session takes as recorded just now, with no author.
        Raises `BadInput` for a moment that is none.
        """
        state = cls(
            ledger,
            engine.connect(),
            as_of=FOREVER,
            as_recorded=format_time(parse_time(as_recorded)) if as_recorded else FOREVER,
        )
        try:
            metas = state._catch_up(supposing)
            state.as_of = state._now(metas) if as_of is None else state._moment(as_of)
        except BaseException:
            state.close()
            raise
        return state

    @classmethod
    def from_log(cls, ledger: Ledger, *, until: Mapping[str, int] | None = None) -> State:
        """Open a session projected from the log alone, in memory, ignoring the state files.

        until: the last position of each origin that counts, where the log may have grown since (see `reached`).
        """
        state = cls(ledger, engine.connect(), as_of=FOREVER, as_recorded=FOREVER)
        state._batch = arrivals.after(ledger, {}, tail=True)
        state._batch.until = until
        state._load_newest(state._batch)
        state.as_of = state._now(())
        return state

    @classmethod
    def of_events(cls, ledger: Ledger, events: Sequence[NewEvent]) -> State:
        """Open a session that knows these events alone, none of them recorded, as if `ledger` held nothing else."""
        from projections.state.supposed import supposed

        state = cls(ledger, engine.connect(), as_of=FOREVER, as_recorded=FOREVER)
        state._batch = arrivals.Batch(ledger.origin, {}, tail=supposed(events, ledger))
        state._load_newest(state._batch)
        return state

    def _catch_up(self, supposing: Sequence[NewEvent]) -> tuple[store.Meta | None, store.Meta | None]:
        base, recent = store.attach(self.connection, self.ledger.path)
        known = (recent or base).checkpoint if base else {}
        batch = arrivals.after(self.ledger, known, tail=True)
        if base is None or batch.files:
            waiting = base is None or sum(p.stat().st_size for p in batch.paths) > WAIT_BYTES
            if self._writable() and self._advance(base, recent, wait=waiting):
                for name, meta in (("base", base), ("recent", recent)):
                    if meta is not None:
                        self.connection.execute(f"DETACH {name}")
                base, recent = store.attach(self.connection, self.ledger.path)
                known = (recent or base).checkpoint if base else {}
                batch = arrivals.after(self.ledger, known, tail=True)
        self._arms = [name for name, meta in (("base", base), ("recent", recent)) if meta]
        self.checkpoint = known
        self._batch = batch
        if supposing:
            from projections.state.supposed import supposed

            batch.tail += supposed(supposing, self.ledger)
        if batch.files or batch.tail:
            self._load_newest(batch)
        return base, recent

    def _advance(self, base: store.Meta | None, recent: store.Meta | None, *, wait: bool) -> bool:
        """Bring the files up to date. A full disk is no reason not to answer: then this session reads the log."""
        try:
            return store.advance(self.ledger, base, recent, wait=wait)
        except (OSError, Unavailable, engine.EngineOutside):
            return False

    def _writable(self) -> bool:
        import os

        return os.access(self.ledger.path, os.W_OK)

    def _load_newest(self, batch: arrivals.Batch) -> None:
        """Hold what no file has yet in this session; each fact table of it is made when a query needs it."""
        self.connection.execute("CREATE SCHEMA newest")
        self._newest = arrivals.load(self.connection, batch, self._pulls())
        self._arms.append("newest")

    def _pulls(self) -> list[str]:
        return [f"{arm}.fact_pull" for arm in self._arms if arm != "newest"]

    def _project_newest(self, table: catalogue.FactTable) -> None:
        assert self._newest is not None
        self.connection.execute(table.ddl.replace(f"CREATE TABLE {table.name}", f"CREATE TABLE newest.{table.name}"))
        if not table.takes(self._newest.types):
            return
        try:
            self._insert_newest(table)
        except engine.EngineOutside:
            raise
        except engine.EngineFailed:
            if self._without:
                raise
            self._without, self._staged = True, False
            self.connection.execute("DROP TABLE IF EXISTS newest.result_rows")
            self._newest = stopping.load_without(self.connection, self._batch, self._pulls())
            for earlier in self._projected:
                self.connection.execute(f"DELETE FROM newest.{earlier.name}")
                self._insert_newest(earlier)
            self._insert_newest(table)
        self._projected.append(table)

    def _insert_newest(self, table: catalogue.FactTable) -> None:
        if table.of_results and not self._staged:
            self.connection.execute(f"CREATE TABLE newest.result_rows AS {catalogue.result_rows()}")
            self._staged = True
        self.connection.execute(f"INSERT INTO newest.{table.name} BY NAME {table.rows('newest', staged=True)}")

    def _now(self, metas: Sequence[store.Meta | None]) -> str:
        """Return the moment of a session that names none: all there is, or now where some of it is from the future.

        Now is what this ledger's own clock says, which never runs back: its own events count, whatever they are
        stamped.
        """
        last = max([m.counts_from_us for m in metas if m] + [self._newest.counts_from_us if self._newest else 0])
        if last <= identifiers.clock():
            return FOREVER
        return format_time(max(identifiers.clock(), self.ledger.head().recorded_us))

    def _moment(self, when: str) -> str:
        """Return the time at which this ledger knew what `when` names."""
        looks_like_event = "@" in when or re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", when)
        if not looks_like_event:
            return format_time(parse_time(when))
        event = self.ledger.event(when)
        if event.origin == self.ledger.origin:
            return event.recorded_at
        found = self.rows(
            "SELECT min(learned_at) AS t FROM fact_pull WHERE from_origin = $o AND $p BETWEEN first AND last "
            "AND origin = $own",
            {"o": event.origin, "p": event.position, "own": self.ledger.origin},
        )
        if not found or found[0]["t"] is None:
            raise BadInput(f"no pull has made {when} known here", code="not_learned", hint="perfledger sync pull")
        return str(found[0]["t"])

    # ---------------------------------------------------------------- asking

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run a query over views and facts; return dicts of JSON-ready values. `$name` takes a parameter.

        Raises `BadInput` for a parameter that is no Unicode text: an argument may hold any bytes.
        """
        _refuse_bytes(parameters or {})
        self.prepare(sql, parameters)
        return engine.rows(self.connection, sql, parameters)

    def prepare(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Create the views and macros a query mentions, and the ones those are made of.

        parameters: the values of `$name` in it; the query is then to be run before the next one is prepared.
        Raises `BadInput` for a computed relation that is asked for a moment of its own.
        """
        if "events" not in self._made and re.search(r"\bevents\b", sql, re.IGNORECASE):
            self._make_events()
        catalogue.refuse_own_moments(sql)
        for name in catalogue.mentioned(sql):
            if name in computed.RELATIONS:
                self._make_computed(name, sql, parameters)
            elif name not in self._made:
                self._made.add(name)
                if name in catalogue.facts():
                    self._make_fact(name)
                else:
                    self._make_view(name, catalogue.views()[name])

    def prepare_all(self) -> None:
        """Create every view, for a console whose queries are not known yet."""
        self.prepare(" ".join(["events", *catalogue.facts(), *catalogue.views(), *computed.RELATIONS]))

    def _make_computed(self, name: str, sql: str, parameters: Mapping[str, Any] | None) -> None:
        """Compute a relation, only the rows a query can see where that is plain; whole, it serves every later query."""
        if name in self._made and name not in self._narrowed:
            return
        relation = computed.RELATIONS[name]
        alone = relation.key and [one for one in catalogue.mentioned(sql) if one not in catalogue.facts()] == [name]
        value = narrowing.only(self.connection, sql, (name, relation.key), parameters) if alone else None
        if name in self._made:
            if value == self._narrowed.pop(name):
                self._narrowed[name] = value
                return
            self.connection.execute(f"DROP TABLE {name}")
        self._made.add(name)
        if value is not None:
            self._narrowed[name] = value
        engine.fill(self.connection, name, relation.columns, relation.rows(self, value))

    def _make_fact(self, name: str) -> None:
        table = catalogue.facts()[name]
        if "newest" in self._arms:
            self.prepare(" ".join(table.needs))
            self._project_newest(table)
        arms = [f"SELECT * FROM {arm}.{name}" for arm in self._arms]
        if not table.of_events:
            # what an earlier arm says is not said again; told by the key, for a row is long
            arms = [
                arm + "".join(f" ANTI JOIN {earlier}.{name} USING ({table.key})" for earlier in self._arms[:nth])
                for nth, arm in enumerate(arms)
            ]
        if arms:
            self.connection.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL BY NAME '.join(arms)}")
        else:
            self.connection.execute(table.ddl.replace("CREATE TABLE", "CREATE TEMP TABLE"))

    def _make_view(self, name: str, body: str) -> None:
        self.connection.execute(
            f"CREATE TEMP MACRO {name}(as_of := TIMESTAMPTZ '{FOREVER}', as_recorded := TIMESTAMPTZ '{FOREVER}') "
            f"AS TABLE {body}"
        )
        self.connection.execute(
            f"CREATE TEMP VIEW {name} AS SELECT * FROM {name}(as_of := TIMESTAMPTZ '{self.as_of}', "
            f"as_recorded := TIMESTAMPTZ '{self.as_recorded}')"
        )

    def _make_events(self) -> None:
        """The log itself as a relation. Segments are read where they are; nothing of it is copied into the state."""
        self._made.add("events")
        whole = arrivals.after(self.ledger, {}, tail=False)
        sealed = [f"SELECT {arrivals.NAMES} FROM {arrivals._files(whole.paths)}"] if whole.paths else []
        if not self._has_tail():
            self.connection.execute(
                f"CREATE TEMP TABLE arrivals_tail ({', '.join(f'{n} {t}' for n, t in arrivals.COLUMNS)})"
            )
        self.make_events_over(" UNION ALL ".join([*sealed, self._unsealed(sealed)]))

    def make_events_over(self, relation: str) -> None:
        """Define `events` over a relation that has the envelope columns (a console gives one without file access)."""
        self._made.add("events")
        own = engine.quote(self.ledger.origin)
        self.prepare("fact_pull")
        self.prepare("fact_unread")
        some = self.connection.execute("SELECT 1 FROM fact_unread LIMIT 1").fetchone()
        unread, of_unread, payload = "NULL::VARCHAR", "", "e.payload"
        if some:
            # what is no JSON at all would stop every query that looks into payloads
            bad = f"u.reason = '{BAD_PAYLOAD}' AND NOT json_valid(e.payload)"
            payload = f"CASE WHEN {bad} THEN NULL ELSE e.payload END AS payload"
            unread = "CASE WHEN u.counts_from IS NULL OR u.counts_from > as_of THEN u.reason END"
            of_unread = "LEFT JOIN fact_unread u ON e.origin = u.origin AND e.position = u.position"
        body = f"""
            SELECT e.origin, e.position, e.event_id, e.stream, e.version, e.type, e.schema_version, e.recorded_at,
                   CASE WHEN e.origin = '{own}' THEN e.recorded_at ELSE k.learned_at END AS learned_at,
                   e.actor, e.host, e.git_sha, e.correlation_id, e.causation_id, e.key, {payload},
                   lower(hex(e.prev_hash)) AS prev_hash, lower(hex(e.hash)) AS hash, {unread} AS unread
            FROM ({relation}) e {of_unread}
            LEFT JOIN (SELECT * FROM fact_pull WHERE origin = '{own}') k
              ON e.origin = k.from_origin AND e.position BETWEEN k.first AND k.last
            WHERE CASE WHEN e.origin = '{own}' THEN e.recorded_at ELSE k.learned_at END <= as_of
              AND e.recorded_at <= as_recorded"""
        self._make_view("events", body)

    def _has_tail(self) -> bool:
        return bool(self._batch.files or self._batch.tail)

    def _unsealed(self, sealed: list[str]) -> str:
        """The journal's events as this session read them, less those a seal has moved into a segment since."""
        own = engine.quote(self.ledger.origin)
        found = (
            self.connection.execute(f"SELECT max(position) FROM ({sealed[0]}) WHERE origin = '{own}'").fetchone()
            if sealed
            else None
        )
        last = (found or [0])[0] or 0
        return f"SELECT {arrivals.NAMES} FROM arrivals_tail WHERE position > {last}"

    # ---------------------------------------------------------------- comparing

    def reached(self) -> dict[str, int]:
        """Return the last position of each origin that this session knows, announced or not."""
        return self._batch.reached

    def export(self) -> dict[str, str]:
        """Return a digest per fact table over its rows in a fixed order, to compare two ways of getting here."""
        self.prepare(" ".join(catalogue.facts()))
        found = {}
        for name, table in catalogue.facts().items():
            row = self.connection.execute(
                f"SELECT count(*), sha256(string_agg(t::VARCHAR, chr(10) ORDER BY {table.key})) FROM {name} t"
            ).fetchone()
            assert row is not None
            found[name] = f"{row[0]} rows {row[1]}"
        return found

    # ---------------------------------------------------------------- closing

    def close(self) -> None:
        """Close the session."""
        self.connection.close()

    def __enter__(self) -> State:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_bytes(parameters: Mapping[str, Any]) -> None:
    """Refuse text that stands for bytes that are no UTF-8: no stored text is like it."""
    for value in parameters.values():
        if isinstance(value, str) and not canonical.is_unicode(value):
            raise BadInput(f"{value!r} is no Unicode text", code="not_unicode", hint="give it in UTF-8")
