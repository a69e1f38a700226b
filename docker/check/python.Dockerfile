# A stand-in for the official Python image: stand_ins.sh.
FROM flawsmith-check-debian
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
COPY lib/ /usr/local/lib/
COPY bin/ /usr/local/bin/
RUN ldconfig && python3 -m ensurepip --default-pip >/dev/null 2>&1 && pip --version
RUN printf '[global]\nindex-url = http://127.0.0.1/packages\n' >/etc/pip.conf
ENV PYTHONDONTWRITEBYTECODE=
CMD ["python3"]
