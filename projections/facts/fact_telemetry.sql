-- The event holds columns; a row per sample is what people ask for.
SELECT recorded_at, learned_at, origin, position, event_id, nth - 1 AS item,
       session, unit, repeat, attempt, repeat_id, gpu_uuid, gpu_index,
       began + to_milliseconds(offset_ms) AS sampled_at, offset_ms, stride,
       sm_clock_mhz, memory_clock_mhz, power_mw, temperature_c, used_mib, utilization_percent, throttle
FROM (SELECT recorded_at, learned_at, origin, position, event_id, split_part(stream, '/', 2) AS session,
             p.unit, p.repeat, p.attempt, p.repeat_id, p.gpu_uuid, p.gpu_index,
             CAST(p.started_at AS TIMESTAMPTZ) AS began, p.stride,
             generate_subscripts(p.offset_ms, 1) AS nth, unnest(p.offset_ms) AS offset_ms,
             unnest(p.sm_clock_mhz) AS sm_clock_mhz, unnest(p.memory_clock_mhz) AS memory_clock_mhz,
             unnest(p.power_mw) AS power_mw, unnest(p.temperature_c) AS temperature_c,
             unnest(p.used_mib) AS used_mib, unnest(p.utilization_percent) AS utilization_percent,
             unnest(p.throttle) AS throttle
      FROM (SELECT *, json_transform(payload, '{"unit":"VARCHAR","repeat":"BIGINT","attempt":"BIGINT",
              "repeat_id":"VARCHAR","gpu_uuid":"VARCHAR","gpu_index":"BIGINT","started_at":"VARCHAR",
              "stride":"BIGINT","offset_ms":["BIGINT"],"sm_clock_mhz":["BIGINT"],"memory_clock_mhz":["BIGINT"],
              "power_mw":["BIGINT"],"temperature_c":["BIGINT"],"used_mib":["BIGINT"],
              "utilization_percent":["BIGINT"],"throttle":["BIGINT"]}') AS p
            FROM arrivals WHERE type = 'TelemetryRecorded'))
