# fermloop and its simulator in one image, as an unprivileged user.
# The lock also holds the tools of the tests; one lock means that what is tested is what runs.
FROM python:3.12.12-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --system --uid 10001 --user-group --create-home --home-dir /var/lib/fermloop fermloop

WORKDIR /app
COPY requirements.lock ./
RUN python -m pip install --require-hashes --only-binary=:all: -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY controller ./controller
COPY dashboards ./dashboards
COPY drivers ./drivers
COPY fermloop ./fermloop
COPY historian ./historian
COPY models ./models
COPY sim ./sim
RUN python -m pip install --no-deps --no-build-isolation --editable . \
 && fermloop --version

USER 10001:10001
VOLUME /var/lib/fermloop
ENTRYPOINT ["fermloop"]
CMD ["--help"]
