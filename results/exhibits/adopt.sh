#!/bin/sh
# adopt.sh RUN NAME: copies a real run to results/exhibits/NAME, without what names the machine that
# recorded it, and seals it again.
#
# Left out, each replaced in its place so that line numbers stay: the values of the environment that
# ZooKeeper's server and clients log (paths, account, kernel), the kernel in setting.json, the path of
# Java and the login in lab.toml. Derived files are not copied. All else is verbatim, images included.
# Refuses to replace an exhibit, and to adopt a run whose seal does not fit it.
set -eu
[ $# -eq 2 ] || { echo "usage: adopt.sh RUN NAME" >&2; exit 64; }
run=$1 to=$(dirname "$0")/$2
[ ! -e "$to" ] || { echo "$to exists already: exhibits are never changed" >&2; exit 64; }
[ -f "$run/seal.json" ] || { echo "$run is not sealed" >&2; exit 64; }

sealed() { sed -n 's/^ *"\(.*\)": "\([0-9a-f]\{64\}\)",\{0,1\}$/\2  \1/p' "$1/seal.json"; }
sealed "$run" | (cd "$run" && sha256sum --check --quiet --strict)

cp -R "$run" "$to"
cd "$to"
rm -rf verdict.json report.html junit.xml summary.md export
for log in nodes/*/logs/*.log; do
    sed -i 's/\( environment:\)\([a-z.]*\)=.* (/\1\2=(left out) (/' "$log"
done
sed -i 's/^\( *"kernel": \)".*"/\1"(left out)"/' setting.json
sed -i -e 's/^java = .*/java = "java"/' -e 's/^user = .*/user = "left-out"/' lab.toml
find . -type f ! -name seal.json | sed 's/^\.\///' | while read -r file; do
    digest=$(sha256sum "$file" | cut -d' ' -f1)
    sed -i "s|^\( *\"$file\": \)\"[0-9a-f]*\"|\1\"$digest\"|" seal.json
done
