# The API: no torch. Build from the repository's root: docker build -f docker/api.Dockerfile -t flawsmith-api .
FROM python:3.12-slim
WORKDIR /opt/flawsmith
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY worker worker
COPY models models
COPY core core
COPY cli cli
RUN pip install --no-cache-dir -c constraints.txt '.[api]'
RUN useradd --create-home --uid 10001 flawsmith && install -d -o flawsmith /data
USER flawsmith
ENV FLAWSMITH_DATA_DIR=/data FLAWSMITH_HOST=0.0.0.0 FLAWSMITH_PORT=8000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["flawsmith", "api"]
