# The Docker engine of ../check.sh: the one that runs, or a private one from Debian's packages. Sourced.

private_engine= # its folder, while it runs

# Starts a private engine in FOLDER unless one runs; sets what `docker` needs to reach it.
start_engine() { # FOLDER
  if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
    say "the Docker engine that runs here: $(docker info -f '{{.ServerVersion}}')"
    return
  fi
  [ "$(id -u)" = 0 ] || fail "no Docker engine runs; starting one needs root"
  install_engine "$1"
  export DOCKER_HOST=unix://$1/docker.sock DOCKER_CONFIG=$1/config
  # Without rules in this machine's packet filter: builds use the host's network, and a proxy publishes the port.
  setsid nohup dockerd --data-root "$1/images" --exec-root "$1/exec" -H "$DOCKER_HOST" --pidfile "$1/dockerd.pid" \
    --iptables=false --ip-forward=false >"$1/dockerd.log" 2>&1 </dev/null &
  private_engine=$1
  retry 30 docker info || { tail -20 "$1/dockerd.log"; fail "dockerd does not start"; }
  say "a private Docker engine: $(docker info -f '{{.ServerVersion}}, {{.Driver}}'), compose $(docker compose version --short)"
}

install_engine() { # FOLDER
  local missing=() name
  for name in dockerd:docker.io mmdebstrap:mmdebstrap iptables:iptables; do
    command -v "${name%:*}" >/dev/null || missing+=("${name#*:}")
  done
  if ((${#missing[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
  # Debian 12 has neither plugin: they are taken out of Debian 13's packages and not installed.
  mmdebstrap --quiet --variant=extract --include=docker-compose,docker-buildx trixie "$1/plugins" 2>"$1/plugins.log"
  mkdir -p "$1/config/cli-plugins"
  cp "$1"/plugins/usr/libexec/docker/cli-plugins/docker-* "$1/config/cli-plugins/"
}

# Stops the private engine and removes its network device.
stop_engine() {
  [ -n "$private_engine" ] || return 0
  local pid
  pid=$(cat "$private_engine/dockerd.pid")
  kill "$pid"
  retry 30 eval "! kill -0 $pid"
  ip link del docker0 2>/dev/null || true
  private_engine=
}
