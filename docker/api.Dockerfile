# The API image, without torch. Build it from the repository's root: docker build -f docker/api.Dockerfile -t flawsmith-api .
# Dependencies by their lock file and the code are layers of their own: a change of code installs no package again.
ARG PYTHON_IMAGE=python:3.12.13-slim-trixie
FROM ${PYTHON_IMAGE} AS dependencies
RUN command -v strip || (apt-get update && apt-get install --yes --no-install-recommends binutils)
RUN python -m venv --without-pip /opt/flawsmith
COPY requirements/api.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
  pip --python /opt/flawsmith install --no-compile --require-hashes -r requirements/api.txt

FROM dependencies AS slim
COPY docker/image/slim.sh /
# What builds the package, Celery's shell, and what uvicorn needs for WebSockets and reloading.
RUN sh /slim.sh /opt/flawsmith editables hatchling pathspec pluggy tomlkit trove-classifiers \
  click-repl prompt-toolkit wcwidth watchfiles websockets

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
RUN pip --python /opt/flawsmith install --no-compile --no-cache-dir --no-deps --no-build-isolation --no-index --prefix /code .
COPY docker/image docker/image
RUN python docker/image/only_cards.py /code && cp docker/image/answers.py /code/

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 flawsmith \
  && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home flawsmith \
  && install -d -o 10001 -g 10001 /data
COPY --from=slim /opt/flawsmith /opt/flawsmith
COPY --from=code /code /opt/flawsmith
WORKDIR /opt/flawsmith
# By number: Kubernetes' runAsNonRoot cannot check a name.
USER 10001:10001
# Python compiles what it imports into /tmp at its first start: 24 MB in place of 60 MB in the image.
ENV PATH=/opt/flawsmith/bin:$PATH PYTHONPYCACHEPREFIX=/tmp/pycache \
  FLAWSMITH_DATA_DIR=/data FLAWSMITH_HOST=0.0.0.0 FLAWSMITH_PORT=8000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["python", "-S", "/opt/flawsmith/answers.py", "8000", "/healthz", "4"]
CMD ["flawsmith", "api"]
