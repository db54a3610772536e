-- One row per target: the medians of its window, how many results they rest on, and what is pinned.
SELECT t.target, t.model_id, t.gpu_type, t.workload_id, t.variant_id, t.benchmark_version, t.identity_digest,
       COUNT(w.event_id) AS n, t.results, t.counted,
       {{each median(w.#) AS #}},
       MIN(w.instant) AS oldest, MAX(w.instant) AS newest, t.last_instant, MAX(p.name) AS pinned
FROM (SELECT target, MAX(model_id) AS model_id, MAX(gpu_type) AS gpu_type, MAX(workload_id) AS workload_id,
             MAX(variant_id) AS variant_id, MAX(benchmark_version) AS benchmark_version,
             MAX(identity_digest) AS identity_digest, COUNT(*) AS results,
             COUNT(*) FILTER (WHERE counted) AS counted, MAX(instant) AS last_instant
      FROM results(as_of := as_of, as_recorded := as_recorded)
      GROUP BY target) AS t
LEFT JOIN baseline_windows(as_of := as_of, as_recorded := as_recorded) AS w ON w.target = t.target
LEFT JOIN pinned_baselines(as_of := as_of, as_recorded := as_recorded) AS p ON p.target = t.target AND p.newest
GROUP BY t.target, t.model_id, t.gpu_type, t.workload_id, t.variant_id, t.benchmark_version, t.identity_digest,
         t.results, t.counted, t.last_instant
