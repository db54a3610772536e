#!/usr/bin/env bash
# The main job on real data, step by step. Everything happens in .demo/; run it again for a fresh one.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
rm -rf .demo && mkdir -p .demo && cd .demo
export PERFLEDGER_ACTOR=${PERFLEDGER_ACTOR:-demo@example.org}
export PERFORMANCE_RESEED_BACKUP_ROOT=$PWD/backups PERFORMANCE_RESEED_STAGING_ROOT=$PWD/staging
unset HF_TOKEN HF_API_KEY HUGGINGFACE_HUB_TOKEN GITHUB_STEP_SUMMARY PERFLEDGER_DIR

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
typed() { # typed COMMAND...: the words as one would type them, quoted where the shell needs it
  local word out="" plain='^[A-Za-z0-9_./:=@%+,-]+$'
  for word in "$@"; do
    if [[ ! $word =~ $plain ]]; then
      case $word in *[\"\$\`\\!]*) word=${word@Q} ;; *) word="\"$word\"" ;; esac
    fi
    out+=" $word"
  done
  printf '%s' "${out# }"
}
run() { printf '\033[2m$ %s\033[0m\n' "$(typed "$@")"; "$@"; }
quietly() { # quietly FILE COMMAND...: its output goes to FILE
  local file=$1; shift
  printf '\033[2m$ %s   > %s\033[0m\n' "$(typed "$@")" "$file"
  "$@" > "$file" 2>&1
}
expect() { # expect CODE COMMAND...: the exit code is part of what is shown
  local want=$1 got=0; shift
  printf '\033[2m$ %s\033[0m\n' "$(typed "$@")"
  "$@" || got=$?
  printf '\033[2m(exit %s)\033[0m\n' "$got"
  [ "$got" = "$want" ] || { echo "expected exit $want" >&2; exit 1; }
}
target='mmmu-talker@2x NVIDIA H20'

say "1. A ledger, and the history that exists already: 135 measured repeats of real H20 and H100 calibrations."
run perfledger init --origin demo
run python "$root/examples/make_history.py" history history
run perfledger import hf-tracking history

say "2. Three new results against the rolling baseline: an equal one, a faster one, and one 14% slower."
for kind in equal faster regressed; do python "$root/examples/make_history.py" result "$kind" "results/$kind.json"; done
expect 0 perfledger check results/equal.json
expect 0 perfledger check results/faster.json
expect 1 perfledger check results/regressed.json

say "3. What the baseline rests on, and how it got there."
run perfledger baseline show "$target"
run perfledger baseline plot "$target"

say "4. The same question, as this ledger knew it before the three results came in."
before=$(perfledger events list --type ResultRecorded --json | sed -n 135p | python -c 'import json,sys; print(json.loads(sys.stdin.readline())["event_id"])')
run perfledger sql --as-of "$before" "SELECT target, n, round(latency, 3) AS latency, newest FROM baselines WHERE model_id = 'mmmu-talker'"

say "5. Why was the third one refused? Every verdict names the events and limits it used."
verdict=$(perfledger events list --type ResultJudged --json | tail -n 1 | python -c 'import json,sys; print(json.loads(sys.stdin.readline())["event_id"])')
run perfledger explain "$verdict"

say "6. Who loosened which gate? 1,097 real edits of a project's test thresholds, asked in one query."
run perfledger import threshold-history "$root/examples/data/threshold_history.csv"
run perfledger sql "SELECT literal, old, new, round(100 * loosened_by) AS percent, pr FROM threshold_changes WHERE direction = 'loosens' ORDER BY loosened_by DESC LIMIT 5"

say "7. Moving a baseline on purpose: planned, approved by its digest, uploaded in one commit to a Hub on this machine."
mkfifo hub.in hub.out
(cd "$root" && exec python -m tests.hub_server --repo team/performance < .demo/hub.in > .demo/hub.out) &
exec 8> hub.in 9< hub.out  # it serves until its input closes, which it does when this script ends, however it ends
read -r -u 9 hub
HF_ENDPOINT=$(python -c 'import json,sys; print(json.loads(sys.argv[1])["endpoint"])' "$hub"); export HF_ENDPOINT
HF_TOKEN=$(python -c 'import json,sys; d=json.loads(sys.argv[1]); print(d.get("write_token") or d["tokens"]["write"])' "$hub"); export HF_TOKEN
export HF_REPO_ID=team/performance HF_HUB_DISABLE_XET=1
python - "$root" <<'PY'
import os, pathlib
from huggingface_hub import CommitOperationAdd, HfApi
files = sorted(pathlib.Path("history").rglob("*.json"))
HfApi().create_commit(os.environ["HF_REPO_ID"], repo_type="dataset", commit_message="history", operations=[
    CommitOperationAdd(str(f.relative_to("history")), f.read_bytes()) for f in files])
PY
for n in 1 2 3; do python "$root/examples/make_history.py" result "shifted-$n" "results/shifted-$n.json"; done
run perfledger reseed plan --model mmmu-talker --gpu '2x NVIDIA H20' --reason 'torch 2.11 needs 14% more; accepted in review' \
  --source results/shifted-1.json --source results/shifted-2.json --source results/shifted-3.json
id=$(perfledger reseed list --json | python -c 'import json,sys; print(json.load(sys.stdin)[0]["id"])')
run perfledger reseed approve "$id" --confirm 'confirm performance reseed'
run perfledger reseed prepare "$id"
run perfledger reseed upload "$id" --confirm upload
run perfledger sql "SELECT approver, target, reason, of_this_plan FROM approvals"

say "8. The ledger itself, shared: pushed to the same Hub, so that any machine can pull and verify it."
run perfledger sync push --remote hf://datasets/team/performance/ledger
exec 8>&- 9<&-
wait
unset HF_ENDPOINT HF_TOKEN HF_REPO_ID HF_HUB_DISABLE_XET

say "9. Calibrating thresholds: five repeats of a small CPU project, audited, and the literals rewritten in its test files."
cp -r "$root/examples/calibration_sample" sample
(
  cd sample
  git init -q && git add -A && git -c user.name=demo -c user.email=demo@example.org commit -qm 'sample project'
  run perfledger calibrate discover --model sample --check || true
  # the ledger's remote is at the Hub of step 7, which has ended: each push beside the run tries once and waits in the log
  export PERFLEDGER_REMOTE_WAIT=0
  quietly ../run.log perfledger calibrate run --model sample --stages ALL --repeats 5 --output-dir ../calibration
  tail -n 3 ../run.log
  run perfledger sync status
  run perfledger calibrate audit ../calibration
  quietly ../apply.log perfledger calibrate apply ../calibration --mode smart --keep loosens --confirm 'apply thresholds'
  grep -m 4 '  write  ' ../apply.log
  grep -c '  equal$' ../apply.log | sed 's/$/ literals written, read back and equal to what was measured/'
  run perfledger sql "SELECT literal, old, new, direction FROM threshold_changes WHERE way = 'applied' LIMIT 4"
  run git --no-pager diff --stat
)

say "10. Nothing of this can be changed unseen, and all of it can be rebuilt from the log."
run perfledger verify
run perfledger replay --check
say "The ledger is in .demo/.perfledger; try: cd .demo && ../.venv/bin/perfledger sql --list"
