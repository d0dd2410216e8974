# OmniDrop Live. CPU by default; for an NVIDIA GPU: --build-arg ACCELERATOR=gpu (about 6 GB more).
ARG PYTHON=3.11.13-slim-bookworm

FROM python:${PYTHON} AS build
ARG ACCELERATOR=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# torch first, in a layer of its own: it is the largest by far and changes least. The build on PyPI carries CUDA; the
# one of the same version for the CPU (2.x+cpu) counts as newer, so that pip prefers it where it is offered.
RUN if [ "$ACCELERATOR" = gpu ]; \
    then pip install -c constraints.txt torch; \
    else pip install -c constraints.txt torch --extra-index-url https://download.pytorch.org/whl/cpu; fi
COPY pyproject.toml README.md LICENSE ./
COPY pruner pruner
COPY nano_omni nano_omni
COPY stream_service stream_service
COPY clients clients
COPY benchmarks benchmarks
RUN pip install -c constraints.txt .

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
