# The worker image, with torch: docker build -f docker/worker.Dockerfile -t flawsmith-worker .
# torch comes from the index that pip uses for all packages, unless TORCH_INDEX names another: docs/operations.md.
# Dependencies by their lock file, torch and the code are layers of their own: a change of code installs no package again.
ARG PYTHON_IMAGE=python:3.12.13-slim-trixie
FROM ${PYTHON_IMAGE} AS dependencies
RUN command -v strip || (apt-get update && apt-get install --yes --no-install-recommends binutils)
RUN python -m venv --without-pip /opt/flawsmith
COPY requirements/worker.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
  pip --python /opt/flawsmith install --require-hashes -r requirements/worker.txt

FROM dependencies AS slim
COPY docker/image/slim.sh /
RUN sh /slim.sh /opt/flawsmith editables hatchling pathspec pluggy tomlkit trove-classifiers

FROM dependencies AS code
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY docs docs
COPY app app
COPY worker worker
COPY models models
COPY core core
COPY client client
COPY cli cli
COPY trackers trackers
RUN pip --python /opt/flawsmith install --no-cache-dir --no-deps --no-build-isolation --no-index --prefix /code .
COPY docker/image/answers.py /code/

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 flawsmith \
  && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home flawsmith \
  && install -d -o 10001 -g 10001 /data
COPY --from=slim /opt/flawsmith /opt/flawsmith
WORKDIR /opt/flawsmith
ARG TORCH_INDEX=
COPY requirements/torch.txt requirements/
# Its tests, and headers to compile extensions with, are 145 MB.
RUN --mount=type=cache,target=/root/.cache/pip \
  pip --python /opt/flawsmith install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r requirements/torch.txt \
  && rm -rf lib/python3.*/site-packages/torch/include lib/python3.*/site-packages/torch/test
COPY --from=code /code /opt/flawsmith
# By number: Kubernetes' runAsNonRoot cannot check a name.
USER 10001:10001
ENV PATH=/opt/flawsmith/bin:$PATH \
  FLAWSMITH_DATA_DIR=/data FLAWSMITH_METRICS_HOST=0.0.0.0 FLAWSMITH_METRICS_PORT=9100
VOLUME /data
EXPOSE 9100
# Healthy means that Redis accepts this worker's heartbeats.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
  CMD ["python", "-S", "/opt/flawsmith/answers.py", "9100", "/readyz", "4"]
# The argument is the kind of work: train or sample.
ENTRYPOINT ["flawsmith", "worker"]
CMD ["train"]
