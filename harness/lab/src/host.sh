# The first process of a host: gives it files of its own, then keeps sshd and reaps what is left
# behind. Runs as pid 1 of fresh mount, pid and uts namespaces; never ends while sshd lives.
#   $1 the host's directory  $2 its name  $3 the directory to hide behind srv/  $4 root's home
#   $5 sshd  $6 the JDK to keep visible, or empty
set -eu
umask 022
: > "$1/started"
mount -n --make-rprivate /
echo "$2" > /proc/sys/kernel/hostname

# Everything is gathered below run/ before anything is hidden: the host's directory or the JDK may
# lie below one of the directories that disappear.
mount -n -t tmpfs -o mode=0755,size=64m tmpfs "$1/run"
mkdir "$1/run/host" "$1/run/sshd" "$1/run/lock"
mount -n --bind "$1" "$1/run/host"
if [ -n "$6" ]; then
  mkdir "$1/run/java"
  mount -n --bind "$6" "$1/run/java"
fi
mount -n --move "$1/run" /run
here=/run/host
for file in hosts hostname shadow; do
  if [ -e "/etc/$file" ]; then mount -n --bind "$here/etc/$file" "/etc/$file"; fi
done
mount -n --bind "$here/srv" "$3"
mount -n --bind "$here/root" "$4"
mount -n --bind "$here/log" /var/log
mount -n --bind "$here/tmp" /tmp

cd /
set +e
ulimit -n 100000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
# OpenSSH 9.8 and later lock out an address after failed logins; older ones do not know the word.
more=
"$5" -t -f $here/sshd_config -o PerSourcePenalties=no 2>/dev/null && more='-o PerSourcePenalties=no'
"$5" -D -f $here/sshd_config -E $here/sshd.log $more &
sshd=$!
while kill -0 "$sshd" 2>/dev/null; do wait "$sshd"; done
