#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/packaging/mount_helper.sh CASE
#
# What packaging/mount.ebbfs makes of a command line of mount(8). That a real mount(8) and fstab
# lead to it is a matter of the package (package.sh).
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

readonly helper=$ebbfs_source/packaging/mount.ebbfs
PATH=${EBBFS_BIN_DIR:?}:$PATH
failures=0
complain() {
  printf '%s\n' "$*"
  failures=$((failures + 1))
}

# becomes WANTED ARGUMENT...: the arguments make this command line of ebbfs, without quotes.
becomes() {
  local wanted=$1 said
  shift
  said=$("$helper" "$@" -f -v 2>&1) || complain "'$*' is refused: $said"
  said=${said//\'/}
  [[ $said == "mount.ebbfs: $EBBFS_BIN_DIR/ebbfs $wanted" ]] || complain "'$*' became: $said"
}

# refused STATUS WORDS ARGUMENT...: in one line that has the words.
refused() {
  local status=$1 words=$2 said got=0
  shift 2
  said=$("$helper" "$@" 2>&1) || got=$?
  [[ $got == "$status" ]] || complain "'$*' ended with $got: $said"
  [[ $said == *"$words"* && $said != *$'\n'* ]] || complain "'$*' said: $said"
}

test_takes_what_fstab_and_mount_say() {
  becomes "-- /mnt/ebs" none /mnt/ebs
  becomes "-- /mnt/ebs" none /mnt/ebs -o defaults,nofail,_netdev,auto,x-systemd.after=a.mount,X-b
  becomes "-- /mnt/ebs" /mnt/ebs /mnt/ebs -n
  becomes "--backing /tmp -o relatime -- /mnt/ebs" /tmp /mnt/ebs -o relatime,user=ci -t ebbfs
  becomes "--backing /tmp -o rw -- /mnt/ebs" none /mnt/ebs -o rw,backing=/tmp
  becomes "--backing /tmp -- /mnt/ebs" /tmp /mnt/ebs -o backing=/tmp/
  becomes "--policy /etc/p.toml --metrics 127.0.0.1:9 -o nosuid,nodev -- /mnt/ebs" \
    none /mnt/ebs -o nosuid,policy=/etc/p.toml -o metrics=127.0.0.1:9,nodev
  becomes "--policy /a,b -o ro -- /mnt/ebs" none /mnt/ebs -o 'policy="/a,b",ro'
  becomes "--transport dev -o passthrough_from=-1 -- /mnt/ebs" \
    none /mnt/ebs -o transport=dev,passthrough_from=-1
  becomes "-- /mnt/a b" none "/mnt/a b"
  becomes "-o ro -- /mnt/ebs" none /mnt/ebs -s -o ro,colour=red
}

test_remounts_what_is_the_kernels() {
  local said options=rw,nosuid,remount,ro,relatime,user_id=0,allow_other
  said=$("$helper" none /mnt/ebs -f -v -o $options 2>&1) || complain "a remount is refused: $said"
  said=${said//\'/}
  [[ $said == "mount.ebbfs: mount -i -o remount,rw,nosuid,ro -- /mnt/ebs" ]] ||
    complain "a remount became: $said"
}

test_refuses_in_one_line() {
  refused 1 "policy=/p cannot be changed by a remount" none /mnt/ebs -o remount,policy=/p
  refused 1 "noatime cannot be changed by a remount" none /mnt/ebs -o remount,ro,noatime
  refused 1 "option not known: colour=red" none /mnt/ebs -o colour=red
  refused 1 "say it once" /tmp /mnt/ebs -o backing=/usr
  refused 1 "a quote is not closed" none /mnt/ebs -o 'policy="/a'
  refused 1 "needs a source and a directory" none
  refused 1 "option not known: -Z" none /mnt/ebs -Z
  refused 1 "-o needs a value" none /mnt/ebs -o
  refused 1 "nsenter" none /mnt/ebs -N /proc/1/ns/mnt
  refused 32 "/nowhere" none /nowhere
}

[[ $(type -t "test_${1:?}") == function ]] || die -2 "no case $1"
"test_$1"
((failures == 0))
