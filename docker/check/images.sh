# The images of ../check.sh. Sourced.

bytes() { docker image inspect -f '{{.Size}}' "$1"; }
megabytes() { echo "$((($1 + 500000) / 1000000)) MB"; }

check_build() {
  [ ! -e "$clone/.env" ] || fail "the clone has a file .env"
  # As docs/operations.md says, but for .env.
  ! compose up --build --detach --wait >"$work/build.log" 2>&1 || fail "starts without a key"
  [[ $(tail -1 "$work/build.log") == *set-FLAWSMITH_API_KEYS* ]] || { tail -30 "$work/build.log"; fail "build"; }
  [ -z "$(docker images --quiet --filter dangling=true --filter label=com.docker.compose.project=$COMPOSE_PROJECT_NAME)" ] ||
    fail "an image was built twice"
  local python base api worker
  python=$(compose config --format json | json 'value["services"]["api"]["build"]["args"]["PYTHON_IMAGE"]')
  [ -z "$running" ] || docker pull --quiet "$python" >/dev/null
  base=$(bytes "$python") api=$(bytes flawsmith-check-api) worker=$(bytes flawsmith-check-worker)
  say "images: API $(megabytes "$api"), worker $(megabytes "$worker"), of which base $(megabytes "$base")"
  ((api - base <= 120000000)) || fail "the API is $(megabytes $((api - base))) above its base: at most 120 MB"
  ok "the API is $(megabytes $((api - base))) above its base, the worker $(megabytes $((worker - base)))"
  docker run --rm --network none flawsmith-check-api python -c '
import importlib.util, sys
sys.exit(importlib.util.find_spec("torch") is not None)' || fail "torch is in the image of the API"
  ok "no torch in the image of the API"
}
