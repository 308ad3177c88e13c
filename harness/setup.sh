#!/bin/sh
# Installs what tidemark needs and this machine lacks, after saying so. It refuses to guess: a
# system without apt-get, dnf or yum is told what to install by hand.
#
# Tried on Debian 12. The dnf and yum branches are untried.
set -eu

say() { printf 'setup: %s\n' "$*"; }

# Rust is the user's own choice of installer, so it is named, not installed.
if ! command -v cargo >/dev/null 2>&1; then
    say "the Rust tool chain is missing (cargo 1.95 or newer is needed)."
    say "Install it with rustup (https://rustup.rs; some distributions package it: apt-get install rustup), then:  rustup default stable"
    exit 1
fi

missing=""          # what is needed, by the command that shows it is there
need() {            # need COMMAND DEBIAN-PACKAGE REDHAT-PACKAGE
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 && return 0
    missing="$missing $1"
    debian="$debian $2"
    redhat="$redhat $3"
}
debian=""
redhat=""
need cc gcc gcc
need g++ g++ gcc-c++
need make make make
need pkg-config pkg-config pkgconf-pkg-config
need perl perl perl
need ip iproute2 iproute
need iptables iptables iptables
need sshd openssh-server openssh-server
need ssh openssh-client openssh-clients
need unshare util-linux util-linux
need java openjdk-17-jre-headless java-17-openjdk-headless
need mvn maven maven
if ! pkg-config --exists openssl 2>/dev/null; then
    missing="$missing openssl-headers"
    debian="$debian libssl-dev"
    redhat="$redhat openssl-devel"
fi
if ! pkg-config --exists zlib 2>/dev/null; then
    missing="$missing zlib-headers"
    debian="$debian zlib1g-dev"
    redhat="$redhat zlib-devel"
fi
[ -z "$missing" ] && exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1; then
        as_root="sudo"
    else
        say "missing:$missing; run this as root, or install sudo."
        exit 1
    fi
fi
if command -v apt-get >/dev/null 2>&1; then
    say "missing:$missing; installing with apt-get:$debian"
    $as_root apt-get update -q
    # A lab starts its own sshd; the machine's own is none of our business, so it is not started.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 $as_root apt-get install -y -q --no-install-recommends $debian
elif command -v dnf >/dev/null 2>&1; then
    say "missing:$missing; installing with dnf:$redhat (this path is untried)"
    $as_root dnf install -y $redhat
elif command -v yum >/dev/null 2>&1; then
    say "missing:$missing; installing with yum:$redhat (this path is untried)"
    $as_root yum install -y $redhat
else
    say "missing:$missing; no apt-get, dnf or yum here: install them by hand."
    exit 1
fi
