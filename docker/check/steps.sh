# What ../check.sh checks of the stack, and how it is confined. Sourced.

services=(api train sample redis)

check_configuration() {
  local asks='" ".join(name for name, service in value["services"].items() if service.get("deploy"))' command
  [ "$(COMPOSE_FILE=docker-compose.yml compose config --format json | json "$asks")" = "sample train" ] || fail "who asks for a GPU"
  [ -z "$(compose config --format json | json "$asks")" ] || fail "docker/cpu.yml still asks for a GPU"
  ok "each worker asks for a GPU, with docker/cpu.yml none"
  for command in ps logs down; do
    compose "$command" >/dev/null 2>&1 || fail "$command needs a key"
  done
  ok "ps, logs and down need no key"
}

check_without_env() {
  ! compose up --no-build >"$work/up.log" 2>&1 || fail "starts without a key"
  [ "$(grep -c 'set FLAWSMITH_API_KEYS=KEY:admin' "$work/up.log")" = 1 ] || fail "without .env up does not say in one line what to set"
  [ "$(compose ps --quiet | wc -l)" = 0 ] || fail "something runs without a key"
  ok "without .env, up ends and says: $(tail -1 "$work/up.log")"
}

check_start() {
  write_env COMPOSE_PROFILES=
  up
  [ "$(status "$url/datasets")" = 401 ] || fail "lets in without a key"
  ok "up: healthy means ready; no calls without a key"
}

# What the kernel says of each first process, and a file, and the limits of memory and processes in its cgroup.
confinement='
  awk "/^(Uid|Gid|CapEff|CapBnd|NoNewPrivs|Seccomp):/ {print \$2}" /proc/1/status
  touch /file 2>/dev/null && echo writes || echo reads
  cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes
  cat /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids/pids.max'

check_confinement() {
  local service user memory
  local -A users=([redis]="999 1000") limits=([api]=4 [train]=16 [sample]=16 [redis]=2)
  for service in "${services[@]}"; do
    user=${users[$service]:-10001 10001} memory=$((limits[$service] << 30))
    [ "$(compose exec -T "$service" sh -c "$confinement" | paste -sd' ')" = \
      "$user 0000000000000000 0000000000000000 1 2 reads $memory 1024" ] || {
      compose exec -T "$service" sh -c "$confinement"
      fail "$service: another user, a capability, new privileges, no seccomp, a writable root, or no limits"
    }
    ! compose exec -T --user 0 "$service" touch /file 2>/dev/null || fail "$service: root can write"
  done
  ok "each: not root, no capabilities, no new privileges, seccomp, read-only root, limits of memory and processes"
  local code=0
  FLAWSMITH_WORKER_MEMORY=100m compose run -T --rm --no-deps --entrypoint python sample -c 'b"x" * 300_000_000' >/dev/null 2>&1 || code=$?
  [ "$code" = 137 ] || fail "a worker of 100 MB holds 300 MB: exit $code"
  ok "a worker over its memory limit is ended, alone"
  check_logs
}

# Of a container that writes 40 MB.
check_logs() {
  local log files
  [ -z "$running" ] || return 0 # its logs are another user's files
  compose run -T --no-deps --detach --name flawsmith-check-talks --entrypoint python sample \
    -c 'for line in range(40_000): print("x" * 1000)' >/dev/null 2>&1
  docker wait flawsmith-check-talks >/dev/null
  log=$(docker inspect -f '{{.LogPath}}' flawsmith-check-talks)
  files=("$log"*)
  docker rm flawsmith-check-talks >/dev/null
  [ ${#files[@]} = 3 ] || fail "${#files[@]} log files"
  ok "40 MB of log leave 3 files of at most 10 MB"
}

# The workers' own counts, read in the compose network.
drawn_by_workers='
import json, re, sys, urllib.request as http
call = http.Request("http://127.0.0.1:8000/metrics/targets", headers={"Authorization": "Bearer " + sys.argv[1]})
drawn = re.compile(r"^flawsmith_images_generated_total{.*purpose=.request.*} (.+)$", re.M)
for group in json.load(http.urlopen(call)):
    text = http.urlopen("http://" + group["targets"][0] + "/metrics").read().decode()
    print(group["labels"]["queue"], round(sum(map(float, drawn.findall(text)))))'

all_three_draw() {
  local image calls=()
  for image in 1 2 3 4; do
    call -f -o /dev/null -H 'Content-Type: application/json' \
      -d "{\"model\": \"steel@1\", \"count\": 128, \"seed\": $((RANDOM * 1000)), \"format\": \"npy\"}" "$url/generate" &
    calls+=($!)
  done
  wait "${calls[@]}"
  compose exec -T api python -c "$drawn_by_workers" "$metrics_key" >"$work/drawn"
  [ "$(grep -c '^sample [1-9]' "$work/drawn")" = 3 ]
}

check_scale() {
  up --scale sample=3
  retry 60 all_three_draw || fail "not all of three sampling workers draw: $(paste -sd, "$work/drawn")"
  ok "--scale sample=3: all draw ($(grep sample "$work/drawn" | paste -sd,))"
}

up_in_prometheus() {
  compose exec -T prometheus wget -qO- "http://127.0.0.1:9090/api/v1/query?query=up" |
    json '*sorted(each["metric"].get("queue", "api") + "=" + each["value"][1] for each in value["data"]["result"])'
}
watches_all() { [ "$(up_in_prometheus)" = "api=1 sample=1 sample=1 sample=1 train=1" ]; }

check_monitoring() {
  compose up --detach --no-build --wait --no-recreate prometheus >"$work/up.log" 2>&1 || { tail "$work/up.log"; fail "prometheus: not healthy"; }
  retry 60 watches_all || fail "in Prometheus: $(up_in_prometheus)"
  ok "profile monitoring: Prometheus finds the API and all four workers up"
}

check_health() {
  cost
  compose exec -T redis valkey-cli config set maxmemory 1 >/dev/null
  retry 20 eval "call '$url/readyz' | grep -q 'redis: full'" || fail "/readyz does not say that Redis is full"
  compose exec -T redis valkey-cli config set maxmemory 1gb >/dev/null
  retry 20 ready || fail "not ready after Redis was full"
  ok "/readyz says that Redis is full"
  compose pause redis >/dev/null 2>&1
  retry 60 unhealthy train || fail "a worker without Redis is healthy"
  compose unpause redis >/dev/null 2>&1
  retry 240 ready || fail "not ready after Redis was away"
  ok "a worker without Redis is unhealthy"
}

unhealthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$(container "$1")")" = unhealthy ]; }

# CPU time of a health check's command, of ten.
cost() {
  local service test
  for service in api train; do
    test=$(docker inspect -f '{{range slice .Config.Healthcheck.Test 1}}{{.}} {{end}}' "$(container $service)")
    compose exec -T "$service" sh -c "for turn in 0 1 2 3 4 5 6 7 8 9; do $test; done; times" >"$work/times"
    say "a health check of $service costs $(awk -F '[ms ]+' 'END {print ($2 + $4) * 100}' "$work/times") ms of CPU, every 10 s"
  done
}

check_restart() {
  local begun=$SECONDS service code before
  before=$(inventory)
  compose stop >/dev/null 2>&1
  for service in "${services[@]}"; do
    code=$(docker inspect -f '{{.State.ExitCode}}' "$(container "$service")")
    [[ $code =~ ^(0|143)$ ]] || fail "$service exited $code"
  done
  ok "stopped in $((SECONDS - begun)) s"
  compose logs >"$work/logs" 2>/dev/null
  ! grep -q "$key" "$work/logs" || fail "the key stands in the logs"
  ! grep -qE 'GET /(healthz|readyz) 200' "$work/logs" || fail "the health checks stand in the logs"
  compose start >/dev/null 2>&1
  retry 240 ready || fail "not ready after stop and start"
  same_picture steel || fail "another image after stop and start"
  compose down >/dev/null 2>&1
  up
  same_picture steel || fail "another image after down and up"
  [ "$(inventory)" = "$before" ] || fail "not all is there: $before, then $(inventory)"
  ok "after stop and start, and after down and up: the same data set, job and bytes"
}
