# Plans, watches and reports; no TensorFlow.   docker build -f docker/coordinator.Dockerfile -t orch .
FROM python:3.12-slim

WORKDIR /opt/orch
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY models models
COPY orchestrator orchestrator
COPY workers workers
# What forwards a published port to `orch ui`, which listens on loopback alone.
RUN apt-get update && apt-get install --yes --no-install-recommends socat && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir --constraint constraints.txt ".[drive,postgres]"

# A study is a directory of the host's: what runs here must not own its files.
RUN useradd --create-home --uid 1000 orch && mkdir /study && chown orch /study
USER orch
WORKDIR /study
ENV ORCH_HOME=/study/home
ENTRYPOINT ["orch"]
CMD ["--help"]
