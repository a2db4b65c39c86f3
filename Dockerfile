# postmill in a container, for machines that are not Linux and for clusters that start containers.
#
#   docker build -t postmill .
#   docker build -t postmill:cuda --build-arg TORCH=https://download.pytorch.org/whl/cu126 .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" postmill run data RUN --models light
#
# TORCH is the index that torch is taken from: by default the one without CUDA, which is some GB smaller. A GPU is handed
# in by `docker run --gpus all`; the driver is the host's.
FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm
ARG TORCH=https://download.pytorch.org/whl/cpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# For LightGBM.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/constraints.txt
RUN pip install --no-cache-dir --index-url "$TORCH" "$(grep '^torch==' /tmp/constraints.txt)"
COPY --from=wheel /wheels /tmp/wheels
RUN pip install --no-cache-dir -c /tmp/constraints.txt "$(echo /tmp/wheels/*.whl)[all,s3,gs,sftp]" \
    && rm -r /tmp/wheels /tmp/constraints.txt
# Whoever runs it: a home for caches and for addresses that hold a secret; mount one to keep them.
ENV HOME=/home/postmill
RUN mkdir -m 1777 "$HOME"
WORKDIR /work
USER 1000
ENTRYPOINT ["postmill"]
CMD ["--help"]
