#!/bin/sh
# Checks training on this machine's NVIDIA GPU: ./run.sh [--data data] [--steps 20] [--json FILE] [--help]
# Needs nothing installed but the driver, CUDA 13 and cuDNN 9, which it looks for; libraries of them may also be put into cuda/.
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
here=$(CDPATH='' cd -- "$here" && pwd) || exit 1
if ! "$here/bin/node" --version >/dev/null 2>&1; then
  # A system without the C++ runtime that Node needs.
  LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
  "$here/bin/node" --version >/dev/null || {
    echo "run.sh: the Node of this archive does not start here: it is for Linux on x86-64 with glibc 2.34 or newer." >&2
    exit 1
  }
fi
exec "$here/bin/node" "$here/scripts/gpu/launch.mjs" "$@"
