# A stand-in for the official Python image: stand_ins.sh.
FROM flawsmith-check-debian
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
COPY certificates/ /usr/local/share/ca-certificates/
COPY lib/ /usr/local/lib/
COPY bin/ /usr/local/bin/
RUN printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >/etc/pip.conf \
  && (update-ca-certificates; ldconfig; python3 -m ensurepip --default-pip) >/dev/null 2>&1 \
  && pip --version
CMD ["python3"]
