-- Telemetry samples of every attempt. throttled: a reason other than idle or a chosen clock held the GPU back (the
-- bits are nvml.h's: 4 and 16 power and sync, the others heat, slowdown and power brake).
SELECT session, unit, repeat, attempt, gpu_index, gpu_uuid, sampled_at, offset_ms, stride,
       sm_clock_mhz, memory_clock_mhz, power_mw / 1000 AS power_w, temperature_c, used_mib, utilization_percent,
       throttle, (throttle & 252) <> 0 AS throttled, repeat_id, event_id, recorded_at, learned_at, origin, position
FROM fact_telemetry
WHERE learned_at <= as_of AND recorded_at <= as_recorded
