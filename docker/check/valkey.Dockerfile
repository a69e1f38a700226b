# A stand-in for the official Valkey image, with its user and group: stand_ins.sh.
FROM flawsmith-check-debian
RUN install -d -o 999 -g 1000 /data
COPY --chmod=755 valkey-server /usr/local/bin/
VOLUME /data
WORKDIR /data
CMD ["valkey-server"]
