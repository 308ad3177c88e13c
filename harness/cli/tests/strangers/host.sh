# The first process of a machine that somebody else runs: files of its own, then its sshd.
#   $1 its directory  $2 its name  $3 sshd
set -eu
umask 022
mount -n --make-rprivate /
echo "$2" > /proc/sys/kernel/hostname
for file in passwd group shadow sudoers hosts; do mount -n --bind "$1/etc/$file" "/etc/$file"; done
# Where the system's commands are links into this directory, its own lacks Java.
if [ -d "$1/etc/alternatives" ]; then mount -n --bind "$1/etc/alternatives" /etc/alternatives; fi
mount -n --bind "$1/srv" /srv
mount -n --bind "$1/home" /home
mount -n --bind "$1/run" /run
mount -n --bind "$1/tmp" /tmp
cd /
"$3" -D -f /run/sshd_config -E /run/sshd.log &
sshd=$!
while kill -0 "$sshd" 2>/dev/null; do wait "$sshd"; done
