SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.ledger_format, p.perfledger_version, host
FROM (SELECT *, json_transform(payload, '{"ledger_format":"BIGINT","perfledger_version":"VARCHAR"}') AS p
      FROM arrivals WHERE type = 'LedgerCreated')
