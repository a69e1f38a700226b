# The worker image, with CUDA: docker build -f docker/worker.Dockerfile -t flawsmith-worker .
# For machines without a GPU: … --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cu130
WORKDIR /opt/flawsmith
COPY requirements/worker.txt requirements/torch.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/worker.txt
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" -r requirements/torch.txt
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
ENV FLAWSMITH_DATA_DIR=/data FLAWSMITH_METRICS_HOST=0.0.0.0 FLAWSMITH_METRICS_PORT=9100
VOLUME /data
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9100/metrics', timeout=4)"]
# The argument is the kind of work: train or sample.
ENTRYPOINT ["flawsmith", "worker"]
CMD ["train"]
