#!/bin/sh
# synth.sh [TIDEMARK]: writes the synthetic exhibits that are not there, one for each kind of finding
# that `tidemark synth` can plant, and a well-behaved one. The same version gives the same bytes.
# An exhibit that is there is left alone: it stands for the version that wrote it.
set -eu
cd "$(dirname "$0")"
tidemark=${1:-tidemark}

# NAME OPERATIONS TOPICS FAILOVERS [OPTION]: as small as the plant allows.
one() {
    [ -e "$1" ] && return
    option=${5:-}
    plant="--plant $1"
    case $1 in well-behaved*) plant= ;; esac
    # Word splitting is meant: no plant, no argument.
    # shellcheck disable=SC2086
    "$tidemark" synth --seed 1 --value-size 32 --operations "$2" --topics "$3" --failovers "$4" \
        $plant $option --to "$1"
}

one well-behaved 1600 2 2
one acked-lost-below-hw 600 1 1
one acked-lost-above-hw 1600 2 2
one acked-lost-undetermined 1200 2 1
one committed-lost 600 1 1
one acked-offset-wrong 600 1 1
one read-then-vanished 600 1 1
one read-then-changed 600 1 1
one duplicate-in-log 600 1 1
one order-broken 600 1 1
one real-time-order-broken 1200 2 1
one committed-prefix 600 1 1
one divergence-below-hw 600 1 1
one divergence-lasting 600 1 1
one log-matching-broken 600 1 1
one log-malformed 600 1 1
one log-hole 1200 2 1
one producer-state 600 1 1
one truncation-audit 1200 2 1
one truncated-below-hw 900 1 2
one dirty-hw 600 1 1
one hw-regressed 600 1 1
one watermarks-disordered 600 1 1
one isr-member-lacks-data 600 1 1
one two-leaders-one-epoch 600 1 1
one committed-past-election 900 1 2
one hw-stalled 1200 2 1
one acked-under-min-isr 600 1 1
one phantom 600 1 1
one misplaced 1200 2 1
one stuck 600 1 1
one well-behaved-clients 900 1 2 "--transactions --groups"
one txn-atomicity 600 1 1 --transactions
one txn-atomicity-revived 600 1 1 --transactions
one txn-atomicity-torn 600 1 1 --transactions
one txn-atomicity-given 600 1 1 --transactions
one txn-atomicity-withheld 600 1 1 --transactions
one txn-atomicity-index 600 1 1 --transactions
one group-skipped 600 1 1 --groups
one redelivered 600 1 1 --groups
one offset-regressed 600 1 1 --groups
