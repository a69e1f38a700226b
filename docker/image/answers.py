"""Exits 0 where this machine answers 200: answers.py PORT PATH SECONDS. Health checks run it, so it imports little."""

import socket
import sys

port, path, seconds = sys.argv[1:]
with socket.create_connection(("127.0.0.1", int(port)), float(seconds)) as connection:
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
    sys.exit(b" 200 " not in connection.recv(64))
