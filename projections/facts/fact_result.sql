SELECT recorded_at, learned_at, origin, position, event_id, item, target, shared, instant, commit_sha, path, sha256,
       latency, throughput, memory, text_encoder_time_s, dit_time_s, vae_decode_time_s, build_url
FROM result_rows
