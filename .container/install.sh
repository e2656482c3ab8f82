#!/bin/sh
# The steps that both images share. Each is a function, called by name: install.sh STEP...
#   system        Debian's Python, nothing that tells when it was installed
#   tools         what builds the program, in /opt/tools of the build stage only
#   dependencies  /opt/hscbox, a virtual environment with the locked packages
#   program       hscbox itself, the scenes, the compiled loops, the lists of what is inside
# Settings: BASE, BASE_DIGEST, REVISION, SOURCE_DATE_EPOCH; all may be missing.
#
# `apptainer build` binds the host's /tmp, /var/tmp and perhaps home: delete there only what this script made.
set -eu

here=$(dirname "$(readlink -f "$0")")
source=$(dirname "$here")
prefix=/opt/hscbox
# What is made at build time must not depend on when and by whom.
export LC_ALL=C.UTF-8 TZ=UTC PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
umask 022
# Given but empty is the same as missing.
[ -n "${SOURCE_DATE_EPOCH:-}" ] || unset SOURCE_DATE_EPOCH

# Bytecode that is valid by its source's content, checked by nobody: the files' times are set later to one value.
bytecode() {
    find "$@" -name __pycache__ -type d -prune -exec rm -rf {} +
    python3 -I -W ignore -m compileall -q -j 1 --invalidation-mode unchecked-hash "$@"
}

packages() {
    apt-get -qq update
    apt-get -qq install --yes --no-install-recommends "$@" >/dev/null
}

tools() {
    packages python3 python3-venv binutils
    python3 -m venv /opt/tools
    /opt/tools/bin/pip install --quiet --require-hashes --no-deps --only-binary :all: -r "$here/tools.lock"
}

dependencies() {
    python3 -m venv --without-pip "$prefix"
    /opt/tools/bin/pip --python "$prefix/bin/python" install --quiet --require-hashes --no-deps --no-compile \
        --only-binary :all: -r "$here/requirements.lock"
    # Not needed to run: 190 MB of debug symbols, 100 MB of the packages' own tests (astropy imports its top one).
    strip --strip-debug "$prefix"/lib/python3*/site-packages/galsim/*.so
    find "$prefix/lib" -name tests -type d ! -path '*/site-packages/astropy/tests' -prune -exec rm -rf {} +
    bytecode "$prefix/lib"
}

program() {
    wheels=$(mktemp -d)
    /opt/tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$wheels" "$source"
    /opt/tools/bin/pip --python "$prefix/bin/python" install --quiet --no-deps --no-compile \
        --no-index --find-links "$wheels" hscbox
    # Isolated: neither PYTHONPATH nor packages of the user's home get in, whoever passes them.
    (cd "$prefix/bin" && sed -i '1s|^#!.*|& -I|' hscbox ingestImages.py ingestCalibs.py processCcd.py)
    bytecode "$prefix"/lib/python3*/site-packages/hscbox
    compiled_loops
    contents
    rm -rf "$wheels"
}

# A small frame goes through the whole program once, so that every loop is compiled and kept beside its source.
compiled_loops() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (
        cd "$work"
        export PATH="$prefix/bin:$PATH" HOME="$work"
        hscbox simulate sim --rows 512
        hscbox mount input --calib sim/CALIB --ref-cats sim/ref_cats
        hscbox ingest-images input sim/raw/*.fits
        hscbox process-ccd input --output output --id visit=40984 ccd=55
    ) >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    rm -rf "$work"
    "$prefix/bin/python" "$here/compile.py"
    trap - EXIT
}

# The software bill of materials, the lock and the image's identity.
contents() {
    share="$prefix/share/hscbox"
    mkdir -p "$share"
    cp "$here/requirements.lock" "$share/requirements.lock"
    /opt/tools/bin/cyclonedx-py environment --output-reproducible --spec-version 1.6 --of JSON \
        -o "$share/sbom.cdx.json" "$prefix/bin/python"
    "$prefix/bin/python" - "$share/image.json" <<'PYTHON'
import importlib.metadata, json, os, sys, time

epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
moment = time.gmtime(int(epoch)) if epoch else time.gmtime()
identity = {
    "name": "hscbox",
    "version": importlib.metadata.version("hscbox"),
    "revision": os.environ.get("REVISION") or "unknown",
    "base": os.environ.get("BASE") or "unknown",
    "baseDigest": os.environ.get("BASE_DIGEST") or "unknown",
    "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
}
with open(sys.argv[1], "w") as stream:
    json.dump(identity, stream, indent=2)
    stream.write("\n")
PYTHON
}

system() {
    packages python3
    bytecode /usr/lib/python3.*/ /usr/lib/python3/
    # An ordinary user; appended, because useradd notes the day.
    echo 'hscbox:x:1000:1000:hscbox:/nonexistent:/usr/sbin/nologin' >>/etc/passwd
    echo 'hscbox:x:1000:' >>/etc/group
    mkdir -p "$prefix/share/hscbox"
    dpkg-query --show >"$prefix/share/hscbox/debian-packages.txt"
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* /var/lib/dpkg/*-old \
        /var/log/apt /var/log/*.log /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow-
}

for step in "$@"; do
    echo "== $step"
    "$step"
done
