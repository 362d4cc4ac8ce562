# docker build -t pixel-noise . && docker run --rm -it -p 8866:8866 -v "$PWD/outputs:/work/outputs" pixel-noise make sweep
FROM python:3.12-slim
RUN apt-get update && apt-get install -qy --no-install-recommends make git && rm -rf /var/lib/apt/lists/*
WORKDIR /work
# what changes seldom first: the packages, 6 GB with torch
COPY pyproject.toml requirements.lock README.md LICENSE Makefile ./
COPY .ci .ci
COPY lib lib
RUN make .venv/.ready
COPY . .
CMD ["make", "help"]
