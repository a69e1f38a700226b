# The stack of ../check.sh with its artifact store in a bucket of an S3 server, and with a second Redis. Sourced.

bucket=http://192.0.2.1:9000/flawsmith # an address of nobody's, in the engine's network

serve_bucket() {
  inside ip address add 192.0.2.1/32 dev lo
  inside "$python" -m moto.server --host 192.0.2.1 --port 9000 >"$work/s3.log" 2>&1 &
  retry 30 inside curl -sf -X PUT "$bucket" || { tail -5 "$work/s3.log"; fail "the S3 server does not start"; }
}

check_bucket() {
  serve_bucket
  ! compose exec -T train python -c 'import socket; socket.create_connection(("192.0.2.1", 9000), 5)' 2>/dev/null ||
    fail "a worker reaches addresses outside"
  ok "workers reach nothing outside the stack"
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
