#!/usr/bin/env bash
# Builds both images and drives the compose stack without a GPU, from upload to image: `make containers`.
#
# It uses the Docker engine that runs here and the real base images. Where none runs, it starts a private one from
# Debian's packages, which needs root, and builds stand-ins for the base images (docker/check/stand_ins.sh), as such a
# machine rarely reaches an image registry; STAND_INS=0 takes the real ones there too. TORCH_INDEX: where torch is from.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d) key=check-$RANDOM$RANDOM passed=0
export COMPOSE_PROJECT_NAME=flawsmith-check FLAWSMITH_API_KEYS=$key:admin FLAWSMITH_BIND=127.0.0.1 TORCH_INDEX=${TORCH_INDEX:-}
FLAWSMITH_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export FLAWSMITH_PORT
url=http://127.0.0.1:$FLAWSMITH_PORT
files=(-f docker-compose.yml -f docker/cpu.yml -f "$work/check.yml")

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*" && exit 1; }
ok() { passed=$((passed + 1)) && say "ok: $*"; }
compose() { docker compose --env-file /dev/null "${files[@]}" "$@"; }
call() { curl -sS --max-time 60 -H "Authorization: Bearer $key" "$@"; }
status() { curl -s -o /dev/null -w '%{http_code}' --max-time 20 "$@" || true; }
json() { python3 -c "import json, sys; value = json.load(sys.stdin); print($1)"; }
ready() { [ "$(status "$url/readyz")" = 200 ]; }

# Repeats a command every second until it succeeds, at most so many times.
retry() { # SECONDS COMMAND…
  local left=$1
  shift
  until "$@" >/dev/null 2>&1; do
    ((left-- > 0)) || return 1
    sleep 1
  done
}

source docker/check/engine.sh
source docker/check/stand_ins.sh

finish() {
  local result=$?
  if [ "$result" != 0 ]; then compose logs --tail 30 2>/dev/null || true; fi
  compose down --volumes --timeout 5 >/dev/null 2>&1 || true
  docker rmi flawsmith-check-api flawsmith-check-worker >/dev/null 2>&1 || true
  stop_index
  stop_engine
  rm -rf "$work"
  [ "$result" != 0 ] || echo "$passed passed, 0 failed"
}

# Names of its own, so that images and volumes of this machine stay as they are.
write_override() { # NETWORK of the builds
  local build="{network: $1}"
  cat >"$work/check.yml" <<Y
services:
  api: {image: flawsmith-check-api, build: $build}
  train: {image: flawsmith-check-worker, build: $build}
  sample: {image: flawsmith-check-worker}
Y
}

prepare_bases() {
  # Only in the private engine: stand-ins take the names of the real images.
  if [ -n "$private_engine" ] && [ "${STAND_INS:-1}" = 1 ]; then
    read -r python valkey <<<"$(compose config --format json |
      json 'value["services"]["api"]["build"]["args"]["PYTHON_IMAGE"], value["services"]["redis"]["image"]')"
    build_stand_ins "$work" "$python" "$valkey"
    [ -n "$TORCH_INDEX" ] || serve_torch "$work/index"
  else
    say "the real base images"
  fi
}

check_configuration() {
  docker compose --env-file /dev/null -f docker-compose.yml -f docker/cpu.yml config --format json |
    json '[name for name, service in value["services"].items() if service.get("deploy")] or "none"' | grep -q none ||
    fail "docker/cpu.yml still asks for a GPU"
  ok "docker/cpu.yml asks for no GPU"
  local command
  for command in ps logs down; do
    env -u FLAWSMITH_API_KEYS docker compose --env-file /dev/null "${files[@]}" "$command" >/dev/null 2>&1 || fail "$command needs a key"
  done
  ok "ps, logs and down need no key"
}

check_build() {
  compose build >"$work/build.log" 2>&1 || { tail -30 "$work/build.log"; fail "build"; }
  ok "built: $(docker images --format '{{.Repository}} {{.Size}}' | grep '^flawsmith-check-[aw]' | paste -sd,)"
  [ -z "$(docker images --quiet --filter dangling=true --filter label=com.docker.compose.project=$COMPOSE_PROJECT_NAME)" ] ||
    fail "the worker's image was built twice"
}

check_start() {
  local name
  [[ $(compose run -T --rm --no-deps --env FLAWSMITH_API_KEYS= api 2>&1) == *"set FLAWSMITH_API_KEYS="* ]] ||
    fail "without a key the API starts, or does not say why not"
  ok "without a key the API does not start, and says why"
  compose up --detach --no-build --wait >"$work/up.log" 2>&1 || { tail -20 "$work/up.log"; fail "not healthy"; }
  ready || fail "healthy, but not ready"
  ok "up: healthy means ready"
  [ "$(status "$url/datasets")" = 401 ] || fail "lets in without a key"
  for name in api train sample; do
    [ "$(compose exec -T $name id -u):$(compose exec -T $name id -g)" = 10001:10001 ] || fail "$name is another user"
  done
  for name in api train sample redis; do
    ! compose exec -T --user 0 $name touch /file 2>/dev/null || fail "$name can write into its root"
  done
  ok "not root, and a read-only root"
}

# Upload, a tiny job, images: the way of every user.
check_main_job() {
  compose exec -T api sh -c 'flawsmith demo-set /tmp/set.zip --per-type 6 --side 48 && cat /tmp/set.zip' >"$work/set.zip"
  call -f -o /dev/null -F name=steel -F "archive=@$work/set.zip" "$url/datasets" || fail upload
  local job='{"dataset": "steel", "model": "steel", "preset": "dcgan", "resolution": 32, "steps": 20,
    "overrides": {"generator_depth": 8, "discriminator_depth": 8, "batch_size": 8}}'
  job=$(call -f -H 'Content-Type: application/json' -d "$job" "$url/training-jobs" | json 'value["id"]')
  retry 120 job_ended "$job" || fail "the job is $(job_state "$job")"
  [ "$(job_state "$job")" = succeeded ] || fail "the job is $(job_state "$job")"
  ok "trained"
  call -f -o "$work/four.zip" -H 'Content-Type: application/json' -d '{"model": "steel@1", "count": 4}' "$url/generate" || fail generate
  python3 -m zipfile --test "$work/four.zip" >/dev/null
  picture "$work/before.png" || fail "image by address"
  ok "made images"
}

job_state() { call "$url/training-jobs/$1" | json 'value["state"]'; }
job_ended() { [[ $(job_state "$1") =~ succeeded|failed|cancelled ]]; }
picture() { call -f -o "$1" "$url/models/steel/versions/1/images/7.png"; }

check_health() {
  compose exec -T redis valkey-cli config set maxmemory 1 >/dev/null
  retry 20 eval "call '$url/readyz' | grep -q 'redis: full'" || fail "/readyz does not say that Redis is full"
  compose exec -T redis valkey-cli config set maxmemory 1gb >/dev/null
  retry 20 ready || fail "not ready after Redis was full"
  ok "/readyz says that Redis is full"
  compose pause redis >/dev/null 2>&1
  retry 60 unhealthy train || fail "a worker without Redis is healthy"
  compose unpause redis >/dev/null 2>&1
  retry 60 ready || fail "not ready after Redis was away"
  ok "a worker without Redis is unhealthy"
}

unhealthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$COMPOSE_PROJECT_NAME-$1-1")" = unhealthy ]; }

check_restart() {
  local begun=$SECONDS name code
  compose stop >/dev/null 2>&1
  for name in api train sample redis; do
    code=$(docker inspect -f '{{.State.ExitCode}}' "$COMPOSE_PROJECT_NAME-$name-1")
    [[ $code =~ ^(0|143)$ ]] || fail "$name exited $code"
  done
  ok "stopped in $((SECONDS - begun)) s"
  compose logs 2>/dev/null | grep -q "$key" && fail "the key stands in the logs"
  compose logs 2>/dev/null | grep -qE 'GET /(healthz|readyz) 200' && fail "the health checks stand in the logs"
  compose down >/dev/null 2>&1
  compose up --detach --no-build --wait >"$work/up.log" 2>&1 || { tail -20 "$work/up.log"; fail "second start"; }
  picture "$work/after.png" && cmp "$work/before.png" "$work/after.png" || fail "another image after the restart"
  ok "the same bytes after down and up"
}

trap finish EXIT
start_engine "$work"
write_override "$([ -n "$private_engine" ] && echo host || echo default)"
prepare_bases
check_configuration
check_build
check_start
check_main_job
check_health
check_restart
