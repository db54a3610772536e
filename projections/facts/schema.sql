-- Made by `make docs` from the SQLModel classes in projections/facts/. Do not edit.

CREATE TABLE fact_calibration (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    session VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    model VARCHAR,
    repeats BIGINT,
    calibration_git_sha VARCHAR,
    git_branch VARCHAR,
    dirty BOOLEAN,
    run_dir VARCHAR,
    started_at VARCHAR,
    gpu_summary VARCHAR,
    commits VARCHAR,
    diff_sha256 VARCHAR
);

CREATE TABLE fact_calibration_stage (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    session VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    plan_position BIGINT NOT NULL,
    title VARCHAR NOT NULL,
    stage_group VARCHAR NOT NULL,
    test VARCHAR NOT NULL,
    preset VARCHAR,
    variant VARCHAR,
    expected_samples BIGINT,
    counted BOOLEAN NOT NULL,
    docs BOOLEAN NOT NULL,
    required_metrics VARCHAR NOT NULL
);

CREATE TABLE fact_change (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    sha VARCHAR NOT NULL,
    files VARCHAR NOT NULL,
    base VARCHAR,
    repository VARCHAR,
    number BIGINT
);

CREATE TABLE fact_check (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    sha VARCHAR NOT NULL,
    context VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    reported_at TIMESTAMPTZ NOT NULL,
    remote_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    repository VARCHAR,
    description VARCHAR NOT NULL,
    target_url VARCHAR
);

CREATE TABLE fact_ci_policy (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    policy VARCHAR NOT NULL,
    globs VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    replaces VARCHAR,
    replaces_events VARCHAR,
    number BIGINT NOT NULL
);

CREATE TABLE fact_command (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    repository VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    comment_id BIGINT NOT NULL,
    entry BIGINT NOT NULL,
    text VARCHAR NOT NULL,
    known BOOLEAN NOT NULL,
    allowed BOOLEAN NOT NULL,
    action VARCHAR,
    test_type VARCHAR,
    scope VARCHAR,
    ref VARCHAR,
    sha VARCHAR,
    answer VARCHAR NOT NULL,
    reaction VARCHAR NOT NULL,
    policy VARCHAR NOT NULL
);

CREATE TABLE fact_delivery (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    delivery VARCHAR NOT NULL,
    event VARCHAR NOT NULL,
    action VARCHAR,
    repository VARCHAR,
    body_sha256 VARCHAR NOT NULL,
    body_bytes BIGINT NOT NULL,
    understood BOOLEAN NOT NULL
);

CREATE TABLE fact_judgement (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    target VARCHAR NOT NULL,
    result_event_id VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    baseline_status VARCHAR NOT NULL,
    success BOOLEAN NOT NULL,
    baseline_eligible BOOLEAN NOT NULL,
    run_source VARCHAR NOT NULL,
    window_length BIGINT NOT NULL,
    baseline_n BIGINT NOT NULL,
    policy_digest VARCHAR NOT NULL,
    failing_metrics VARCHAR NOT NULL,
    pinned_exceeded VARCHAR
);

CREATE TABLE fact_metric (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    session VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    repeat BIGINT NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE
);

CREATE TABLE fact_metric_policy (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    policy VARCHAR NOT NULL,
    window_length BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    replaces_events VARCHAR,
    number BIGINT NOT NULL
);

CREATE TABLE fact_observation (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    session VARCHAR NOT NULL,
    unit VARCHAR,
    stage VARCHAR NOT NULL,
    repeat BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    metrics VARCHAR NOT NULL,
    problems VARCHAR,
    samples_total BIGINT,
    samples_ok BIGINT,
    duration_s DOUBLE,
    attempts BIGINT,
    pytest_rc BIGINT,
    git_sha VARCHAR,
    git_sha_start VARCHAR,
    dirty BOOLEAN,
    measured_at TIMESTAMPTZ,
    measured_on VARCHAR,
    gpu_uuids VARCHAR,
    telemetry VARCHAR,
    telemetry_sha256 VARCHAR,
    environment VARCHAR,
    environment_problems VARCHAR,
    suspect VARCHAR,
    halt VARCHAR,
    log_sha256 VARCHAR,
    imported BOOLEAN NOT NULL
);

CREATE TABLE fact_origin (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    ledger_format BIGINT NOT NULL,
    perfledger_version VARCHAR NOT NULL,
    host VARCHAR NOT NULL
);

CREATE TABLE fact_pin (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    target VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    pinned BOOLEAN NOT NULL,
    medians VARCHAR,
    result_event_ids VARCHAR,
    reason VARCHAR NOT NULL
);

CREATE TABLE fact_post (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    plan VARCHAR NOT NULL,
    step VARCHAR NOT NULL,
    kind VARCHAR,
    repository VARCHAR,
    subject VARCHAR,
    sha VARCHAR,
    number BIGINT,
    body VARCHAR,
    http_status BIGINT,
    reason VARCHAR
);

CREATE TABLE fact_pull (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    from_origin VARCHAR NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    remote VARCHAR NOT NULL
);

CREATE TABLE fact_pull_request (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    repository VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    title VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    draft BOOLEAN NOT NULL,
    merged BOOLEAN NOT NULL,
    mergeable BOOLEAN,
    mergeable_state VARCHAR,
    head_sha VARCHAR NOT NULL,
    head_ref VARCHAR NOT NULL,
    base_ref VARCHAR NOT NULL,
    labels VARCHAR NOT NULL,
    author VARCHAR NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE fact_push (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    remote VARCHAR NOT NULL,
    through BIGINT NOT NULL,
    revision VARCHAR,
    segments BIGINT NOT NULL,
    evidence BIGINT NOT NULL
);

CREATE TABLE fact_record_change (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    old_sha256 VARCHAR NOT NULL,
    new_sha256 VARCHAR
);

CREATE TABLE fact_repeat_end (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    session VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    repeat BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    reason VARCHAR
);

CREATE TABLE fact_reseed_plan (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    reseed VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    model_id VARCHAR NOT NULL,
    gpu_type VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    seeds BIGINT NOT NULL,
    old VARCHAR NOT NULL,
    batch VARCHAR NOT NULL,
    candidate VARCHAR NOT NULL,
    old_latency DOUBLE,
    candidate_latency DOUBLE,
    destination VARCHAR NOT NULL,
    approvals_needed BIGINT NOT NULL,
    supersedes VARCHAR
);

CREATE TABLE fact_reseed_source (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    reseed VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL
);

CREATE TABLE fact_reseed_step (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    reseed VARCHAR NOT NULL,
    step VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    digest VARCHAR,
    approver VARCHAR,
    signature VARCHAR,
    folder VARCHAR,
    dataset VARCHAR,
    revision VARCHAR,
    reason VARCHAR,
    superseded_by VARCHAR,
    path VARCHAR
);

CREATE TABLE fact_result (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL USING COMPRESSION uncompressed,
    item BIGINT NOT NULL,
    target VARCHAR NOT NULL,
    shared BIGINT NOT NULL,
    instant TIMESTAMPTZ,
    commit_sha VARCHAR USING COMPRESSION uncompressed,
    path VARCHAR NOT NULL USING COMPRESSION uncompressed,
    sha256 VARCHAR NOT NULL USING COMPRESSION uncompressed,
    latency DOUBLE,
    throughput DOUBLE,
    memory DOUBLE,
    text_encoder_time_s DOUBLE,
    dit_time_s DOUBLE,
    vae_decode_time_s DOUBLE,
    build_url VARCHAR
);

CREATE TABLE fact_result_shared (
    shared BIGINT NOT NULL,
    target VARCHAR NOT NULL,
    identity_digest VARCHAR,
    model_id VARCHAR NOT NULL,
    gpu_type VARCHAR NOT NULL,
    workload_id VARCHAR,
    variant_id VARCHAR,
    benchmark_version VARCHAR,
    recipe_fingerprint VARCHAR,
    hardware_profile_id VARCHAR,
    software_profile_id VARCHAR,
    claims_identity BOOLEAN NOT NULL,
    source VARCHAR,
    format VARCHAR NOT NULL,
    success_as_truth BOOLEAN NOT NULL,
    success BOOLEAN NOT NULL,
    marked_eligible BOOLEAN NOT NULL,
    run_source_claimed BOOLEAN NOT NULL,
    run_source VARCHAR,
    branch VARCHAR,
    pr_number VARCHAR,
    test_scope VARCHAR,
    comparison_status VARCHAR,
    seeded BOOLEAN NOT NULL,
    regression_thresholds VARCHAR,
    static_limits VARCHAR,
    odd_timestamp VARCHAR,
    unusable VARCHAR
);

CREATE TABLE fact_review (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    repository VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    reviewer VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    review_id BIGINT NOT NULL,
    sha VARCHAR,
    submitted_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE fact_round_mark (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    session VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    repeat BIGINT,
    mark VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);

CREATE TABLE fact_stage_repeat (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    session VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    repeat BIGINT NOT NULL,
    unit VARCHAR,
    readable BOOLEAN NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    metrics VARCHAR NOT NULL,
    metric_keys VARCHAR NOT NULL,
    metric_count BIGINT NOT NULL,
    null_count BIGINT NOT NULL,
    samples_total BIGINT,
    samples_ok BIGINT,
    git_sha VARCHAR,
    git_sha_start VARCHAR,
    diff_sha256 VARCHAR,
    measured_at VARCHAR NOT NULL,
    duration_s DOUBLE,
    attempts BIGINT,
    pytest_rc BIGINT,
    destructive BOOLEAN NOT NULL,
    block_discarded BOOLEAN NOT NULL,
    suspect VARCHAR NOT NULL,
    foreign_file BOOLEAN NOT NULL
);

CREATE TABLE fact_superseded_seed (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    reseed VARCHAR NOT NULL,
    by_reseed VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    path VARCHAR NOT NULL
);

CREATE TABLE fact_telemetry (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    session VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    repeat BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    repeat_id VARCHAR NOT NULL,
    gpu_uuid VARCHAR NOT NULL,
    gpu_index BIGINT NOT NULL,
    sampled_at TIMESTAMPTZ NOT NULL,
    offset_ms BIGINT NOT NULL,
    stride BIGINT NOT NULL,
    sm_clock_mhz BIGINT,
    memory_clock_mhz BIGINT,
    power_mw BIGINT,
    temperature_c BIGINT,
    used_mib BIGINT,
    utilization_percent BIGINT,
    throttle BIGINT
);

CREATE TABLE fact_threshold_change (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    way VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    subkey VARCHAR,
    literal VARCHAR NOT NULL,
    change VARCHAR NOT NULL,
    old DOUBLE,
    new DOUBLE,
    worst_op VARCHAR,
    direction VARCHAR,
    percent DOUBLE,
    group_name VARCHAR,
    effective_at TIMESTAMPTZ NOT NULL,
    commit_sha VARCHAR,
    pr BIGINT,
    who VARCHAR,
    calibration VARCHAR,
    stage VARCHAR,
    metric VARCHAR,
    evidence_event_ids VARCHAR,
    source VARCHAR
);

CREATE TABLE fact_unread (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    stream VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    schema_version BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    counts_from TIMESTAMPTZ
);

CREATE TABLE fact_upload (
    recorded_at TIMESTAMPTZ NOT NULL,
    learned_at TIMESTAMPTZ NOT NULL,
    origin VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    item BIGINT NOT NULL,
    upload_id VARCHAR NOT NULL,
    step VARCHAR NOT NULL,
    dataset VARCHAR,
    path VARCHAR,
    sha256 VARCHAR,
    size BIGINT,
    target VARCHAR,
    result_event_id VARCHAR,
    revision VARCHAR,
    code VARCHAR,
    message VARCHAR
);
