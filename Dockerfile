# SPDX-License-Identifier: Apache-2.0
#
# Image with ebbfs and ebbctl. Build it with `docker build -t ebbfs .`, then, to manage the host's
# /mnt/ebs for the host and for every other container:
#
#   docker run -d --name ebbfs --restart unless-stopped \
#     --device /dev/fuse --cap-add SYS_ADMIN --cap-add DAC_READ_SEARCH \
#     --security-opt apparmor=unconfined --pid host \
#     -v /mnt:/mnt:rshared ebbfs /mnt/ebs
#
# --pid host       owners of locks are processes of the host; without it none is visible
# /mnt             the directory above: docker cannot start a container with a dead mount as a volume
# rshared          the mount made inside must reach the host. Where docker says that the path is not
#                  a shared mount: mount --rbind /mnt /mnt && mount --make-rshared /mnt
# DAC_READ_SEARCH  inodes are reached by file handle
#
# FUSE-over-io_uring is switched on at the host: echo Y >/sys/module/fuse/parameters/enable_uring
# `docker exec ebbfs ebbctl status /mnt/ebs` asks it; `docker stop ebbfs` unmounts. Metrics: add
# --metrics 0.0.0.0:9469 after the mount point and publish that port. examples/docker/ has the same
# for docker compose.
FROM debian:12 AS build
WORKDIR /src
COPY tools/deps tools/lib.sh tools/
RUN tools/deps build
COPY . .
RUN tools/build release && strip build/release/bin/ebbfs build/release/bin/ebbctl
# The packages that own the shared libraries which the binaries load. By name, as dpkg knows some by
# the path that they had before /lib became a link.
RUN ldd build/release/bin/ebbfs build/release/bin/ebbctl \
      | sed -n 's/.* => .*\(\/[^ ]*\) .*/*\1/p' | sort -u \
      | xargs dpkg-query -S | cut -d: -f1 | sort -u >/runtime-packages

FROM debian:12-slim
COPY --from=build /runtime-packages /tmp/
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends \
      </tmp/runtime-packages \
 && rm -rf /tmp/runtime-packages /var/lib/apt/lists/*
COPY --from=build /src/build/release/bin/ebbfs /src/build/release/bin/ebbctl /usr/local/bin/
# Its mount answers; the only one that it sees.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5m CMD ["ebbctl", "status"]
ENTRYPOINT ["ebbfs", "--foreground"]
