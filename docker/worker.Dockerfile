# A worker.   docker build -f docker/worker.Dockerfile --target cpu -t orch-worker .
#             docker build -f docker/worker.Dockerfile --target gpu -t orch-worker:gpu .
FROM python:3.12-slim AS base

WORKDIR /opt/orch
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY models models
COPY orchestrator orchestrator
COPY workers workers

RUN useradd --create-home --uid 1000 orch && mkdir /study && chown orch /study

FROM base AS gpu
# TensorFlow brings the CUDA libraries that it was built with; the host gives the driver (--gpus all).
RUN pip install --no-cache-dir --constraint constraints.txt ".[worker,postgres]" "tensorflow[and-cuda]"
USER orch
WORKDIR /study
ENV ORCH_HOME=/study/home
ENTRYPOINT ["orch-worker"]

FROM base AS cpu
RUN pip install --no-cache-dir --constraint constraints.txt ".[worker,postgres]"
USER orch
WORKDIR /study
ENV ORCH_HOME=/study/home
ENTRYPOINT ["orch-worker"]
