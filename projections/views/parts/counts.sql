-- What counts in a window, the one definition: a row of `results` under the `rules` of a policy.
-- Successful, eligible, measured, and not superseded. A result without identity is also eligible when the policy
-- says that success is enough, or, never judged here, when it comes from a run source the policy names.
r.superseded IS NULL
AND (r.measured OR rules.nothing_measured = 'pass')
AND CASE rules.success_text WHEN 'truth' THEN r.success_as_truth ELSE r.success END
AND (r.eligible
     OR (NOT r.claims_identity
         AND (rules.legacy_eligibility = 'successful'
              OR (r.judgement_event_id IS NULL AND list_contains(rules.eligible_run_sources, r.run_source)))) IS TRUE)
