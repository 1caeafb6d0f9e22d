# One image for every job: its name is the argument, as in `docker run IMAGE run calibrate ...`.
# What is installed is what deploy/requirements.txt pins by hash, so that an image built again from
# the same commit holds the same files.
ARG PYTHON=3.13.5-slim-bookworm

FROM python:${PYTHON} AS build
# Times inside of a wheel would differ from build to build.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore \
    SOURCE_DATE_EPOCH=946684800
WORKDIR /build
# Dependencies before code: this layer is kept until a version changes.
COPY deploy/requirements.txt deploy/build-requirements.txt deploy/
RUN python -m venv /opt/build \
    && python -m venv --without-pip /opt/jobs \
    && /opt/build/bin/pip install --require-hashes -r deploy/build-requirements.txt \
    && /opt/build/bin/pip --python /opt/jobs/bin/python install --require-hashes -r deploy/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY gcp_accessor gcp_accessor
COPY etl_jobs etl_jobs
COPY sql sql
# Other people's tests, a sixth of all, stay behind. Compiled by content, not by time: a container
# that starts compiles nothing, and writes nothing.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/pip --python /opt/jobs/bin/python install --no-deps dist/*.whl \
    && find /opt/jobs/lib -depth -type d -name tests -exec rm -r {} + \
    && /opt/jobs/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/jobs/lib

FROM python:${PYTHON}
COPY --from=build /opt/jobs /opt/jobs
# Each line is in the log as soon as it is printed.
ENV PATH=/opt/jobs/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /tmp
# Nobody in particular: an account without a name, a password or a file of its own.
USER 10001:10001
ENTRYPOINT ["etl-jobs"]
CMD ["--help"]
