# The worker image, with torch: docker build -f docker/worker.Dockerfile -t flawsmith-worker .
# torch comes from the index that pip uses for all packages, unless TORCH_INDEX names another: docs/operations.md.
# From the layer that changes least to the one that changes most: user, dependencies by their lock file, torch, code.
ARG PYTHON_IMAGE=python:3.12.13-slim-trixie
FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 flawsmith \
  && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home flawsmith \
  && install -d -o 10001 -g 10001 /data
WORKDIR /opt/flawsmith
COPY requirements/worker.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes -r requirements/worker.txt
ARG TORCH_INDEX=
COPY requirements/torch.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
  pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r requirements/torch.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY app app
COPY worker worker
COPY models models
COPY core core
COPY client client
COPY cli cli
COPY trackers trackers
RUN pip install --no-cache-dir --no-deps --no-build-isolation --no-index .
# By number: Kubernetes' runAsNonRoot cannot check a name.
USER 10001:10001
ENV FLAWSMITH_DATA_DIR=/data FLAWSMITH_METRICS_HOST=0.0.0.0 FLAWSMITH_METRICS_PORT=9100
VOLUME /data
EXPOSE 9100
# Healthy means that Redis accepts this worker's heartbeats.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9100/readyz', timeout=4)"]
# The argument is the kind of work: train or sample.
ENTRYPOINT ["flawsmith", "worker"]
CMD ["train"]
