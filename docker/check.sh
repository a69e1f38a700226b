#!/usr/bin/env bash
# Builds both images and drives the compose stack without a GPU, from upload to image: `make containers`.
#
# It runs a private Docker engine from Debian's packages, in namespaces of its own, which needs root, with stand-ins for
# the base images (docker/check/stand_ins.sh), as such a machine rarely reaches an image registry. Where no engine can
# run, it says so in a line and exits with 77.
# --running: the engine that runs here and the real base images. TORCH_INDEX: where they take torch from.
set -euo pipefail
cd "$(dirname "$0")/.."
running=
[ "${1:-}" != --running ] || running=yes
for name in ${!FLAWSMITH_@} ${!COMPOSE_@} ${!AWS_@} PYTHON_IMAGE; do unset "$name"; done
[ -n "$running" ] || unset ${!DOCKER_@}
python=${VENV:-$PWD/.venv}/bin/python # make containers makes it
export COMPOSE_PROJECT_NAME=flawsmith-check
work=$(mktemp -d) clone=$work/clone passed=0 fetching=
key=check-$RANDOM$RANDOM$RANDOM metrics_key=metrics-$RANDOM$RANDOM$RANDOM

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
ok() { passed=$((passed + 1)) && say "ok: $*"; }
fail() { say "FAILED: $*" && exit 1; }

# Repeats a command every half second until it succeeds, for so many seconds.
retry() { # SECONDS COMMAND…
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until)) || return 1
    sleep 0.5
  done
}

for part in engine stand_ins images site steps bucket; do source "docker/check/$part.sh"; done

finish() {
  local result=$?
  trap '' INT TERM
  [ "$result" = 0 ] || [ "$result" = 77 ] || [ ! -e "$clone/.env" ] || compose logs --tail 30 2>/dev/null || true
  [ -z "$running" ] || remove_site
  [ -z "$fetching" ] || kill -- "-$fetching" 2>/dev/null || true
  stop_engine
  rm -rf "$work"
  [ "$result" != 0 ] || echo "$passed passed, 0 failed, in $SECONDS s"
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -n "$running" ]; then
  docker info >/dev/null || fail "no Docker engine runs here"
  say "the Docker engine that runs here, $(docker info -f '{{.ServerVersion}}'), and the real base images"
else
  check_rights
  [ -x "$python" ] || fail "no $python: make containers makes it"
  install_packages
  set -m # a process group of its own, to end it by
  fetch "$work" & # while the engine starts
  fetching=$!
  set +m
  start_engine "$work"
  wait "$fetching" || fail "downloads"
  fetching=
  build_stand_ins "$work"
fi
copy_clone
check_configuration
check_build
check_without_env
check_start
check_confinement
check_main_job steel
check_scale
check_monitoring
check_health
check_restart
[ -n "$running" ] || check_bucket
