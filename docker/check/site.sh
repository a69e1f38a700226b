# The compose stack of ../check.sh as its user has it: a clone, in which compose runs, and calls to it. Sourced.

compose() { (cd "$clone" && docker compose "$@"); }
call() { inside curl -sS --max-time 60 -H "Authorization: Bearer $key" "$@"; }
status() { inside curl -s -o /dev/null -w '%{http_code}' --max-time 20 "$@" || true; }
json() { python3 -c "import json, sys; value = json.load(sys.stdin); print($1)"; }
ready() { [ "$(status "$url/readyz")" = 200 ]; }
container() { echo "$COMPOSE_PROJECT_NAME-$1-${2:-1}"; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# What a clone of this working tree has, and an override: names of its own, so that no image or volume of another site
# is touched, and builds in the network of the local index.
copy_clone() {
  mkdir "$clone"
  git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$clone"
  local build="{network: host}"
  [ -z "$running" ] || build="{}"
  cat >"$work/check.yml" <<Y
services:
  set-FLAWSMITH_API_KEYS: {image: flawsmith-check-api}
  api: {image: flawsmith-check-api, build: $build}
  train: {image: flawsmith-check-worker, build: $build}
  sample: {image: flawsmith-check-worker}
Y
  # In the environment and not in .env, which a fresh clone does not have.
  export TORCH_INDEX=${TORCH_INDEX:-} COMPOSE_FILE=docker-compose.yml:docker/cpu.yml:$work/check.yml
  if [ -n "$running" ]; then
    FLAWSMITH_PORT=$(free_port) FLAWSMITH_PROMETHEUS_PORT=$(free_port)
    export FLAWSMITH_PORT FLAWSMITH_PROMETHEUS_PORT
  fi
  url=http://127.0.0.1:${FLAWSMITH_PORT:-8000}
}

# Writes .env as docs/operations.md says, with more LINES.
write_env() { # LINE…
  sed "s/^FLAWSMITH_API_KEYS=.*/FLAWSMITH_API_KEYS=$key:admin,$metrics_key:metrics/" "$clone/.env.example" >"$clone/.env"
  printf '%s\n' "FLAWSMITH_METRICS_KEY=$metrics_key" "$@" >>"$clone/.env"
}

up() { # OPTION…
  compose up --detach --no-build --wait "$@" >"$work/up.log" 2>&1 || { tail -20 "$work/up.log"; fail "up: not healthy"; }
  ready || fail "up: healthy, but not ready"
}

remove_site() {
  [ ! -d "$clone" ] || COMPOSE_PROFILES=monitoring,redis-images compose down --volumes --timeout 5 >/dev/null 2>&1 || true
  docker rmi flawsmith-check-api flawsmith-check-worker >/dev/null 2>&1 || true
}

job_state() { call "$url/training-jobs/$1" | json 'value["state"]'; }
job_ended() { [[ $(job_state "$1") =~ succeeded|failed|cancelled ]]; }
picture() { call -f -o "$2" "$url/models/$1/versions/1/images/7.png"; } # MODEL FILE
same_picture() { picture "$1" "$work/again.png" && cmp "$work/$1.png" "$work/again.png"; } # MODEL

# What the site has of data sets, jobs and versions.
inventory() {
  local path
  for path in datasets training-jobs models; do call -f "$url/$path"; done
}

# Upload, a tiny job, images: the way of every user.
check_main_job() { # MODEL
  compose exec -T api sh -c 'flawsmith demo-set /tmp/set.zip --per-type 6 --side 48 && cat /tmp/set.zip' >"$work/set.zip"
  call -f -o /dev/null -F name="$1" -F "archive=@$work/set.zip" "$url/datasets" || fail upload
  local job="{\"dataset\": \"$1\", \"model\": \"$1\", \"preset\": \"dcgan\", \"resolution\": 32, \"steps\": 20,
    \"overrides\": {\"generator_depth\": 8, \"discriminator_depth\": 8, \"batch_size\": 8}}"
  job=$(call -f -H 'Content-Type: application/json' -d "$job" "$url/training-jobs" | json 'value["id"]')
  retry 120 job_ended "$job" || fail "the job is $(job_state "$job")"
  [ "$(job_state "$job")" = succeeded ] || fail "the job is $(job_state "$job")"
  call -f -o "$work/four.zip" -H 'Content-Type: application/json' -d "{\"model\": \"$1@1\", \"count\": 4}" "$url/generate" || fail generate
  python3 -m zipfile --test "$work/four.zip" >/dev/null
  picture "$1" "$work/$1.png" || fail "image by address"
  ok "uploaded, trained, made images"
}
