#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/packaging/json.sh CASE
#
# Whether docs/ebbctl.schema.json says what the ebbctl in $EBBFS_BIN_DIR prints with --json, on a
# volume that has something of everything. A CASE is the name of a function here that begins with
# test_.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
# shellcheck source=tests/packaging/ebbctl.sh
source "$(dirname "${BASH_SOURCE[0]}")/ebbctl.sh"

PATH=${EBBFS_BIN_DIR:?}:$PATH
count=0

# keep CODE COMMAND: that the newest output is of this command, and its exit code.
keep() { printf '%s\t%s\t%s\n' "$count" "$1" "$2" >>"$outputs/list"; }

# said COMMAND [ARGUMENT...]: runs it with --json, and keeps what it prints.
said() {
  local command=$1 code=0
  shift
  count=$((count + 1))
  # shellcheck disable=SC2086  # one or two words
  ebbctl --mount "$mnt" $command --json "$@" >"$outputs/$count" 2>>"$outputs/stderr" || code=$?
  keep "$code" "$command"
}

# What is asked of any volume, in whatever state it is.
look() {
  said status
  said units --sort bytes
  said locks
  said events --limit 0
  said explain
  said report
  said top --interval 100ms
  said "trash list"
  said "quota list" --all
  said "quota show" volume
  said "policy show"
  said resume --dry-run
}

# Ends what runs in the background, which may have ended by itself.
end() {
  kill "$@" 2>/dev/null || true
  wait "$@" 2>/dev/null || true
}

# policy MODE TTL BRAKE_UNITS HIGH: writes it anew; TTL is of worktrees.
policy() {
  cat >"$volume/policy.toml" <<TOML
mode = "$1"
[volume]
adopt_grace = "0s"
brake_units = $3
brake_percent = "1%"
high = "$4"
low = "1%"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "$2"
keep = "0s"
[[class]]
name = "task"
kind = "tree"
match = ["tasks/{job}/*"]
ttl = "none"
keep = "none"
[[class]]
name = "brief"
kind = "tree"
match = ["brief/*"]
ttl = "1s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**", "{git}/**/*.lock"]
orphan_grace = "1h"
ttl = "5m"
[[class]]
name = "fleeting"
kind = "lock"
match = ["fleeting/**"]
orphan_grace = "0s"
[[quota]]
scope = "user:*"
bytes = "1G"
[[hook]]
on = "expired"
command = ["/bin/true", "{path}"]
user = "root"
TOML
}

# The daemon ends when nobody has its mount any more.
clean_up() {
  end "${helpers[@]}"
  umount -l "$mnt" "$volume" || true
  rmdir "$volume"
}

mount_volume() {
  volume=$(mktemp -d)
  mnt=$volume/mnt outputs=$volume/outputs helpers=()
  mount -t tmpfs -o size=96M tmpfs "$volume"
  trap clean_up EXIT
  mkdir "$mnt" "$outputs" "$volume/backing"
  policy enforce 24h 100000 99%
  ebbfs --backing "$volume/backing" --policy "$volume/policy.toml" "$mnt"
}

# Units, locks, a git worktree, quotas; whoever holds something ends with the case.
fill() {
  local git=(git -C "$mnt/repo" -c user.name=n -c user.email=e@localhost)
  mkdir -p "$mnt"/worktrees/{old,pinned,full,busy} "$mnt/worktrees/"$'not-\xff-text' \
    "$mnt/tasks/nightly/1" "$mnt/brief/a" "$mnt/locks" "$mnt/fleeting"
  git init -q "$mnt/repo"
  "${git[@]}" commit -q --allow-empty -m begin
  "${git[@]}" worktree add -q "$mnt/worktrees/branch" 2>/dev/null
  head -c 3M /dev/zero >"$mnt/worktrees/old/file"
  head -c 10K /dev/zero >"$mnt/tasks/nightly/1/file"
  : >"$mnt/plain"
  # Their owners: one lives, two are killed at once.
  (: >"$mnt/locks/live.lock" && exec sleep 100) &
  helpers+=($!)
  (exec 9>"$mnt/worktrees/busy/file" && exec sleep 100) &
  helpers+=($!)
  (: >"$mnt/locks/orphan.lock" && : >"$mnt/fleeting/orphan.lock" && exec sleep 100) &
  local killed=$!
  until [[ -e $mnt/fleeting/orphan.lock ]]; do sleep 0.02; done
  kill -KILL "$killed"
  wait "$killed" 2>/dev/null || true
}

# While somebody writes.
top() {
  (while sleep 0.05; do echo line >>"$mnt/tasks/nightly/1/log"; done) &
  local writer=$!
  said top --interval 300ms
  end "$writer"
}

# Commands that change something, each as refused, as a dry run, and for good where it can be.
change() {
  said pin worktrees/pinned --dry-run
  said pin worktrees/pinned
  said pin plain
  said unpin worktrees/old
  said "quota set" unit:worktrees/full --bytes 1M --soft 4K --grace 1d
  said "quota set" user:root --soft 1K --inodes 1M --dry-run
  said "quota set" user:root --bytes 1K --soft 2K
  said "quota set" $'unit:worktrees/not-\xff-text' --bytes 1M
  ! head -c 2M /dev/zero 2>/dev/null >"$mnt/worktrees/full/file" || die "no quota holds"
  said "quota show" unit:worktrees/full
  said "quota show" unit:worktrees/none-such
  said "quota default" job --bytes 1G
  said "quota clear" 'job:*' --dry-run
  said "quota clear" 'job:*'
  said "quota clear" job:none
  said "quota list"
  said expire worktrees/branch --dry-run
  said expire worktrees/branch
  said expire $'worktrees/not-\xff-text'
  said expire worktrees/pinned
  said expire worktrees/busy --dry-run
  said expire locks/live.lock
  said expire locks/orphan.lock
}

show() {
  local path
  for path in . plain worktrees/old worktrees/old/file worktrees/pinned worktrees/busy \
    $'worktrees/not-\xff-text' tasks/nightly/1 locks/live.lock locks/orphan.lock none-such; do
    said show "$mnt/$path"
  done
}

restore() {
  said "trash list"
  said restore worktrees/branch --dry-run
  said restore worktrees/branch
  said expire worktrees/branch
  said "trash restore" worktrees/branch --to worktrees/moved
  said "trash restore" worktrees/none-such
  said restore
}

# follow COMMAND [ARGUMENT...]: goes on in the background until followed.
follow() {
  local command=$1
  shift
  # shellcheck disable=SC2086  # one or two words
  ebbctl --mount "$mnt" $command --json "$@" >"$volume/followed" &
  follower=$!
}

# followed COMMAND: ends it once it has printed something, and keeps what.
followed() {
  local code=0 deadline=$((SECONDS + 20))
  until [[ -s $volume/followed ]]; do
    ((SECONDS < deadline)) || die "$1 prints nothing"
    stat "$mnt/plain" "$mnt/none-such" >/dev/null 2>&1 || true
    sleep 0.05
  done
  kill -TERM "$follower"
  wait "$follower" || code=$?
  count=$((count + 1))
  mv "$volume/followed" "$outputs/$count"
  keep "$code" "$1"
}

# Each without a mount, or without what it needs.
misuse() {
  local command
  while read -r command; do mnt=$volume said "$command"; done <"$volume/commands"
  said units --none-such
}

test_each_command_prints_what_the_schema_says() {
  local follower
  mount_volume
  look
  fill
  wait_for "$mnt" locks orphan
  show
  top
  follow trace
  change
  followed trace
  follow "events --follow"
  followed "events --follow"
  wait_for "$mnt" "events --kind hook" brief/a
  wait_for "$mnt" "events --kind reclaimed" fleeting
  restore
  look

  wait_for "$mnt" "status --json" '"provisional": false'
  said check
  mkdir "$volume/backing/worktrees/pinned/behind"
  said check
  said check --repair
  said "policy check" "$volume/policy.toml"
  echo 'mode = "neither"' >"$volume/bad.toml"
  said "policy check" "$volume/bad.toml"
  said "policy check" "$volume/none.toml"

  # Something is evicted, for want of space.
  policy enforce 24h 100000 2%
  said "policy reload"
  wait_for "$mnt" "events --kind evicted" worktrees
  look
  said "trash empty" --dry-run
  said "trash empty"

  # Many are due at once.
  policy enforce 24h 1 99%
  said "policy reload"
  mkdir "$mnt"/worktrees/mass-{1,2,3}
  sleep 1
  policy enforce 1s 1 99%
  said "policy reload"
  wait_for "$mnt" "status --json" '"cause": "mass"'
  look
  said resume
  said resume
  policy observe 24h 1 99%
  said "policy reload"
  look
  said "trash empty"
  echo broken >"$volume/policy.toml"
  said "policy reload"
  commands >"$volume/commands"
  misuse
  "$(dirname "${BASH_SOURCE[0]}")/json_schema.py" "$ebbfs_source/docs/ebbctl.schema.json" \
    "$outputs" "$volume/commands"
}

[[ $(type -t "test_${1:?}") == function ]] || die -2 "no case $1"
[[ $EUID == 0 && -w /dev/fuse ]] || { echo "SKIP: needs root and /dev/fuse" && exit 77; }
# Mounts that are nobody else's, and go with this script.
if [[ -z ${EBBFS_OWN_MOUNTS-} ]]; then
  python3 -c 'import importlib.util as i, sys; sys.exit(i.find_spec("jsonschema") is None)' ||
    { echo "SKIP: needs python3-jsonschema" && exit 77; }
  EBBFS_OWN_MOUNTS=yes exec unshare --mount --propagation private -- "$0" "$@"
fi
"test_$1"
