#!/bin/sh
# Takes a lab down when the lab's own process is gone, however it went: its end of our standard input closes.
# The lab closes it too when it ends in order, so the same path is walked every day.
#
# usage: watchdog.sh MARK DIRECTORY, then lines on standard input:
#   binfmt FILE    an emulator entry to remove (a file of binfmt_misc)
#   mount PATH     a mount to undo
#   cgroup NAME    a control group to remove, in every hierarchy
#   keep           leave DIRECTORY where it is
#
# Every process that the lab starts carries MARK in its environment, and hands it on to its own children: so
# nothing escapes by leaving its group, and a number used again by a stranger is never killed.
trap '' INT TERM HUP QUIT PIPE
mark=$1
directory=$2
binfmts=
mounts=
cgroups=
keep=

while read -r verb argument; do
  case $verb in
    binfmt) binfmts="$argument $binfmts" ;;
    mount) mounts="$argument $mounts" ;;
    cgroup) cgroups="$argument $cgroups" ;;
    keep) keep=yes ;;
  esac
done

# Processes that end while we look are no concern of ours.
marked() {
  grep -lszF "$mark" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)
    if [ -n "$state" ] && [ "$state" != Z ]; then echo "$pid"; fi
  done
}

signal() {
  for pid in $(marked); do kill "-$1" "$pid" 2>/dev/null; done
}

# True when all are gone within so many tenths of a second.
gone() {
  left=$1
  while [ -n "$(marked)" ]; do
    [ "$left" -gt 0 ] || return 1
    left=$((left - 1))
    sleep 0.1
  done
}

signal TERM
gone 30 || { signal KILL; gone 50; }

for entry in $binfmts; do echo -1 2>/dev/null >"$entry"; done
for path in $mounts; do umount "$path" 2>/dev/null || umount -l "$path" 2>/dev/null; done
for name in $cgroups; do
  for path in "/sys/fs/cgroup/$name" /sys/fs/cgroup/*/"$name"; do
    if [ -d "$path" ]; then find "$path" -depth -type d -exec rmdir {} + 2>/dev/null; fi
  done
done
if [ -z "$keep" ]; then rm -rf "$directory" || { sleep 0.5; rm -rf "$directory"; }; fi
exit 0
