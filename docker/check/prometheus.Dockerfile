# A stand-in for the official Prometheus image, with Debian's Prometheus and the paths of the image: stand_ins.sh.
FROM flawsmith-check-debian
RUN install -d -o 65534 -g 65534 /prometheus && ln -s busybox /usr/bin/wget
COPY --chmod=755 prometheus /bin/
VOLUME /prometheus
WORKDIR /prometheus
