# The stack of ../check.sh with its artifact store in a bucket of an S3 server, and with a second Redis. Sourced.

bucket=http://192.0.2.1:9000/flawsmith

# On a host of its own beside the one with the engine.
serve_bucket() {
  inside bash -ec '
    ip netns add far
    ip link add near type veth peer name far netns far
    ip address add 192.0.2.2/30 dev near && ip link set near up
    ip -n far address add 192.0.2.1/30 dev far && ip -n far link set far up
    ip -n far route add default via 192.0.2.2'
  inside ip netns exec far "$python" -m moto.server --host 192.0.2.1 --port 9000 >"$work/s3.log" 2>&1 &
  retry 60 inside curl -sf -X PUT "$bucket" || { tail -5 "$work/s3.log"; fail "the S3 server does not start"; }
}

# Whether a service gets there.
reaches_bucket() { # SERVICE
  compose exec -T "$1" python -c 'import socket; socket.create_connection(("192.0.2.1", 9000), 5)' 2>/dev/null
}

check_bucket() {
  serve_bucket
  reaches_bucket api || fail "the API does not reach another host"
  ! reaches_bucket train || fail "a worker reaches another host"
  ok "workers reach no other host"
  compose down --volumes >/dev/null 2>&1
  write_env COMPOSE_PROFILES=redis-images FLAWSMITH_IMAGE_REDIS_URL=redis://redis-images:6379/0 \
    FLAWSMITH_ARTIFACT_STORE=s3://flawsmith/site FLAWSMITH_BACK_INTERNAL=false "AWS_ENDPOINT_URL=${bucket%/*}" \
    AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=check AWS_SECRET_ACCESS_KEY=check
  up
  check_main_job bolts
  [ "$(compose exec -T redis-images valkey-cli dbsize)" -gt 0 ] || fail "nothing in the second Redis"
  ok "profile redis-images: the second Redis is in use"
  local before
  before=$(inventory)
  compose down --volumes >/dev/null 2>&1
  up
  same_picture bolts || fail "another image from the bucket"
  [ "$(inventory)" = "$before" ] || fail "not all is there: $before, then $(inventory)"
  ok "in a bucket: without its volumes the site has the same data set, job and bytes"
}
