#!/usr/bin/env bash
# Measure, judge, annotate, publish. The exit code is the verdict's: 0 pass, 1 regression, 5 nothing measured.
set -uo pipefail

results=${RESULTS:-fastvideo/tests/performance/results}
remote=${PERFLEDGER_REMOTE:-}

if [ ! -d .perfledger ]; then perfledger init || exit; fi
if [ -n "$remote" ]; then perfledger sync pull --remote "$remote" || exit; fi

# which lanes this change should have started: the strict aggregates need to know
git fetch --quiet origin "${BUILDKITE_PULL_REQUEST_BASE_BRANCH:-main}"
perfledger ci lanes --base FETCH_HEAD --sha HEAD || exit

${MEASURE:-pytest fastvideo/tests/performance -q}
measured=$?

perfledger check "$results" --pytest-rc "$measured" --markdown performance.md
verdict=$?

case $verdict in
  0) style=success ;;
  5) style=warning ;;
  *) style=error ;;
esac
if [ -f performance.md ]; then
  buildkite-agent annotate --context performance --style "$style" < performance.md
fi

if [ -n "${GITHUB_TOKEN:-}" ]; then
  perfledger ci publish "$BUILDKITE_COMMIT" --repository "$GITHUB_REPOSITORY" ||
    echo "the statuses were not all posted; the next run posts them" >&2
fi
if [ -n "$remote" ]; then perfledger sync push --remote "$remote" || echo "not shared yet" >&2; fi
exit $verdict
