SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.reseed, p.digest, p.kind, p.target, p.model_id, p.gpu_type, p.reason, p.dataset, len(p.prepared) AS seeds,
       p.old, p.batch, p.candidate, p.lat.latency AS old_latency, p.cand.latency AS candidate_latency, p.destination,
       p.approvals_needed, p.supersedes
FROM (SELECT *, struct_insert(
                 json_transform(payload, '{"reseed":"VARCHAR","digest":"VARCHAR","kind":"VARCHAR","target":"VARCHAR",
                 "model_id":"VARCHAR","gpu_type":"VARCHAR","reason":"VARCHAR","dataset":"VARCHAR","prepared":["JSON"],
                 "old":"VARCHAR","batch":"VARCHAR","candidate":"VARCHAR","destination":"VARCHAR",
                 "approvals_needed":"BIGINT","supersedes":"VARCHAR"}'),
                 lat := json_transform(payload->'old', '{"latency":"DOUBLE"}'),
                 cand := json_transform(payload->'candidate', '{"latency":"DOUBLE"}')) AS p
      FROM arrivals WHERE type = 'ReseedPlanned')
