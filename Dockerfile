# OmniDrop Live. torch as PyPI has it carries CUDA (about 6 GB), which a machine without a GPU does not need: name an index of
# PyTorch's CPU builds with --build-arg TORCH_INDEX=…
ARG PYTHON=3.11.13-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# torch first, in a layer of its own: it is the largest by far and changes least. A CPU build (2.x+cpu) counts as newer than
# the same version without a suffix, so that pip prefers it where it is offered.
RUN pip install -c constraints.txt torch ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}
COPY pyproject.toml README.md LICENSE ./
COPY pruner pruner
COPY nano_omni nano_omni
COPY stream_service stream_service
COPY clients clients
COPY benchmarks benchmarks
RUN pip install -c constraints.txt '.[otel]'

FROM python:${PYTHON}
COPY --from=build /venv /venv
COPY configs/nano.yaml /etc/omnidrop/config.yaml
COPY scripts/container-health /usr/local/bin/container-health
# Nothing is written outside /data and /tmp, so the root file system may be read-only.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin omnidrop \
    && install -d -o omnidrop -g omnidrop /data
ENV PATH=/venv/bin:$PATH HOME=/tmp HF_HOME=/data/huggingface PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080/tcp 40000-40099/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["container-health"]
ENTRYPOINT ["omnidrop", "--log", "info"]
CMD ["serve", "--config", "/etc/omnidrop/config.yaml"]
