#!/bin/sh
# Takes out of a virtual environment what no service uses: tests, debug symbols (a sixth of all), headers and type stubs,
# the decoder of AVIF, which no call accepts, and the packages that are named.
# slim.sh FOLDER PACKAGE…
set -eu
folder=$1
shift
pip --python "$folder" uninstall --quiet --yes --root-user-action ignore "$@"
packages=$(echo "$folder"/lib/python3.*/site-packages)
find "$packages" -type d \( -name tests -o -name SelfTest \) -prune -exec rm -r {} +
find "$packages" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.[ah]' \) -delete
find "$packages" -type f \( -name '_avif.*' -o -name 'libavif-*' \) -delete
find "$packages" -type f -name '*.so*' -exec strip --strip-unneeded {} +
