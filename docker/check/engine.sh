# The private Docker engine of ../check.sh, from Debian's packages, in namespaces of its own. Sourced.
#
# It has its own network, mounts and processes, so that no other engine, no packet filter and no interface of this
# machine is touched; with its first process all of that is gone. Its socket is a file, which works across namespaces.

first= # process of the namespaces, while the engine runs
cgroup=/flawsmith-check-$$

# Ends the check where no engine can run. Once `docker info` has answered, everything is a failure.
unable() { say "containers were not run: $*" && exit 77; }

namespaces=(setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc)

check_rights() {
  [ "$(id -u)" = 0 ] || unable "a private Docker engine needs root"
  "${namespaces[@]}" mount -t tmpfs none /run 2>"$work/rights.log" || unable "a private Docker engine needs rights: $(tail -1 "$work/rights.log")"
}

install_packages() {
  local missing=() each
  for each in dockerd:docker.io mmdebstrap:mmdebstrap iptables:iptables ip:iproute2 pgrep:procps curl:curl prometheus:prometheus; do
    command -v "${each%:*}" >/dev/null || missing+=("${each#*:}")
  done
  ((${#missing[@]})) || return 0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >"$work/apt.log" 2>&1 || unable "apt-get cannot install ${missing[*]}: $(tail -1 "$work/apt.log")"
}

# Starts the engine, with its files in FOLDER; sets what `docker` needs to reach it.
start_engine() { # FOLDER
  # Debian 12 has neither plugin: they are taken out of Debian 13's packages and not installed.
  mmdebstrap --quiet --variant=extract --include=docker-compose,docker-buildx trixie "$1/plugins" 2>"$1/plugins.log" ||
    unable "docker-compose and docker-buildx of Debian 13: $(tail -1 "$1/plugins.log")"
  mkdir -p "$1/config/cli-plugins"
  cp "$1"/plugins/usr/libexec/docker/cli-plugins/docker-* "$1/config/cli-plugins/"
  export DOCKER_HOST=unix://$1/docker.sock DOCKER_CONFIG=$1/config
  # An empty /run hides the sockets of another engine and its containerd. Whoever ends this script ends all of them.
  "${namespaces[@]}" bash -ec '
    mount -t tmpfs none /run
    ip link set lo up
    dockerd --data-root "$1/images" --exec-root "$1/exec" -H "$DOCKER_HOST" --pidfile "$1/dockerd.pid" \
      --storage-driver overlay2 --bridge none --cgroup-parent "$2"' bash "$1" "$cgroup" >"$1/dockerd.log" 2>&1 </dev/null &
  unshared=$!
  disown
  retry 60 docker info || unable "dockerd does not start: $(grep -v 'level=\(info\|warn\)' "$1/dockerd.log" | tail -1)"
  first=$(pgrep --parent "$unshared")
  say "a private Docker engine: $(docker info -f '{{.ServerVersion}}, {{.Driver}}'), compose $(docker compose version --short)"
}

# Runs a command in the engine's namespaces: its network has the published ports, and its end is the command's.
inside() {
  if [ -n "$first" ]; then nsenter --target "$first" --net --mount --pid "$@"; else "$@"; fi
}

stop_engine() {
  [ -z "${unshared:-}" ] || kill -KILL "$unshared" 2>/dev/null || true
  [ -z "$first" ] || retry 10 eval "! kill -0 $first"
  [ -z "$first" ] || find /sys/fs/cgroup -depth -type d -path "*$cgroup*" -exec rmdir {} + 2>/dev/null || true
}
