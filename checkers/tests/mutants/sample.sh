#!/bin/sh
# sample.sh SEED [ARGUMENT OF CARGO-MUTANTS ...]: changes the judge and the readers of evidence in single
# places, drawn by lot, and names the changes that no test of the changed package notices. The same
# sources and seed give the same places. Weights: the rules have more than their share.
#
# It needs cargo-mutants (27.1). The tree is copied and left alone. An hour to three, by the machine.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../../.."
seed=$1
shift
out=target/mutants-sample
rm -rf "$out"
mkdir -p "$out"
# Fields that a struct would take from `..rest` are all tried: cargo-mutants lets nobody choose them.
cargo mutants --list -p checkers -p evidence | grep -v ': delete field ' >"$out/places"

# SIZE PATTERN: the places with the smallest hashes among those that match.
draw() {
    grep -E "$2" "$out/places" | while IFS= read -r place; do
        printf '%s %s\n' "$(printf '%s %s' "$seed" "$place" | sha256sum | cut -c 1-16)" "$place"
    done | sort | head -n "$1" | cut -d ' ' -f 2-
}
{
    draw 160 '^checkers/src/(guarantees|gone|causes|contract|jepsen)/'
    draw 60 '^checkers/src/([a-z_]+\.rs|facts/|figures/|judgement/|operations/)'
    draw 60 '^harness/evidence/src/'
} >"$out/sample"

{
    echo 'examine_re = ['
    sed "s/[][\\\\.*^\$+?(){}|]/\\\\&/g; s/.*/'''^&\$''',/" "$out/sample"
    echo ']'
} >"$out/mutants.toml"

# What the two quickest suites let through is tried against the rest. Codes 2 and 3 of cargo-mutants:
# some change was missed, or ended only by the clock.
try() {
    code=0
    cargo mutants --config "$out/mutants.toml" --output "$out" --profile mutants --iterate \
        -C=--config=checkers/tests/mutants/profile.toml --timeout 90 "$@" || code=$?
    case $code in 0 | 2 | 3) ;; *) exit "$code" ;; esac
}
try -p checkers -C=--test=guarantees -C=--test=jepsen "$@"
try -p checkers -p evidence -C=--tests "$@"
