"""A Debian nginx in front of services: TLS, a path prefix, its default buffering, and a cache."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.conftest import free_port, until

SERVER = """
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    location /flaws/ {{
      proxy_pass {target};
      proxy_cache $kept;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}
"""
CONFIGURATION = """
daemon off;
user root;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/bodies;
  proxy_temp_path {folder}/answers;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=images:1m;
  map $uri $kept {{ ~/images/ images; default off; }}  # where a cache is on, nginx asks for no ranges
{servers}
}}
"""


@dataclass
class Proxied:
    """One server of the nginx: a client of it, whose addresses begin with the prefix, and its origin."""

    client: httpx2.Client
    origin: str


@contextmanager
def nginx_before(folder: Path, *targets: str) -> Iterator[list[Proxied]]:
    """Runs an nginx with one server for each target of ``proxy_pass``; all serve the prefix ``/flaws/``."""
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("needs nginx and openssl")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run([*make.split(), *names], cwd=folder, check=True, capture_output=True, timeout=30)
    ports = [free_port() for _ in targets]
    servers = "".join(
        SERVER.format(port=port, folder=folder, target=target) for port, target in zip(ports, targets, strict=True)
    )
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, servers=servers))
    process = subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-p", folder])
    trust = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    origins = [f"https://localhost:{port}" for port in ports]
    clients = [httpx2.Client(base_url=f"{origin}/flaws", verify=trust, timeout=60) for origin in origins]
    try:
        for client in clients:
            until(lambda client=client: client.get("/healthz").status_code == 200, 30, "nginx answers")
        yield [Proxied(*each) for each in zip(clients, origins, strict=True)]
    finally:
        for client in clients:
            client.close()
        process.terminate()
        process.wait(20)
