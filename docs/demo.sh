#!/bin/sh
# The user guide on one synthetic full-size frame: simulate, mount, ingest, look, process, look, validate.
set -eu
BIN=${BIN:-.venv/bin}
PATH=$(cd "$BIN" && pwd):$PATH
root=${1:-demo}
docs=$(cd "$(dirname "$0")" && pwd)
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() { say "$@"; "$@"; }

rm -rf "$root"
mkdir -p "$root"
cd "$root"
here=$(pwd)

run hscbox simulate .
run hscbox mount input --calib "$here/CALIB" --ref-cats "$here/ref_cats"
run ingestImages.py input "$here/raw/HSCA04098410.fits"
run hscbox query input
run processCcd.py input --output output --id visit=40984 ccd=55
say tree input
python "$docs/tree.py" input
say tree output
python "$docs/tree.py" output
run hscbox validate output --truth truth --level floor --json validate.json
printf '\nPictures:\n  %s\n  %s\n' "$here/output/01378/HSC-R/thumbs/oss-0040984-055.png" \
    "$here/output/01378/HSC-R/thumbs/flattened-0040984-055.png"
