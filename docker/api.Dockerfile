# The API image, without torch. Build it from the repository's root: docker build -f docker/api.Dockerfile -t flawsmith-api .
FROM python:3.12-slim
WORKDIR /opt/flawsmith
COPY requirements/api.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/api.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY app app
COPY worker worker
COPY models models
COPY core core
COPY cli cli
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
RUN useradd --create-home --uid 10001 flawsmith && install -d -o flawsmith /data
USER flawsmith
ENV FLAWSMITH_DATA_DIR=/data FLAWSMITH_HOST=0.0.0.0 FLAWSMITH_PORT=8000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["flawsmith", "api"]
