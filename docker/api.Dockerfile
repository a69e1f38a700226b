# The API image, without torch. Build it from the repository's root: docker build -f docker/api.Dockerfile -t flawsmith-api .
# From the layer that changes least to the one that changes most: user, dependencies by their lock file, code.
ARG PYTHON_IMAGE=python:3.12.13-slim-trixie
FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 flawsmith \
  && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home flawsmith \
  && install -d -o 10001 -g 10001 /data
WORKDIR /opt/flawsmith
COPY requirements/api.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes -r requirements/api.txt
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
ENV FLAWSMITH_DATA_DIR=/data FLAWSMITH_HOST=0.0.0.0 FLAWSMITH_PORT=8000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["flawsmith", "api"]
