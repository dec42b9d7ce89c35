# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the suites of tools/conformance share. A suite is a program in this directory: it runs in an
# empty directory on the filesystem that it judges and knows its cases only. Its environment:
#
#   EBBFS_SOURCE    this source tree
#   EBBFS_SIDE      bare or ebbfs
#   EBBFS_VERDICTS  file that takes a line for each case: verdict, case, reason, between tabs
#   EBBFS_LOGS      directory for what the cases print
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C.UTF-8

verdict() { printf '%s\t%s\t%s\n' "$1" "$2" "$(tr '\t\n' '  ' <<<"${3:-}")" >>"$EBBFS_VERDICTS"; }

last_line() { grep -a -v '^ *$' "$1" | tail -n 1 | cut -c 1-200 || true; }

# needs COMMAND...: without them the suite is skipped.
needs() {
  local command
  for command in "$@"; do
    if ! type -P "$command" >/dev/null; then
      verdict skip all "$command is not installed (tools/deps conformance)"
      exit 0
    fi
  done
}

# try NAME COMMAND...: one case. It passes when the command succeeds; status 77 skips it. Not to be
# used in conditions: there bash forgets `set -e` inside of functions. Returns 0.
try() {
  local name=$1 log status
  log=$EBBFS_LOGS/$(tr -c 'A-Za-z0-9\n' - <<<"$1").log
  shift
  set +e
  (
    set -e
    "$@"
  ) </dev/null >"$log" 2>&1
  status=$?
  set -e
  case $status in
    0) verdict pass "$name" ;;
    77) verdict skip "$name" "$(last_line "$log")" ;;
    *) verdict fail "$name" "$(last_line "$log") (status $status)" ;;
  esac
}

# For cases: what they expect.
fail() {
  printf '%s\n' "$*"
  return 1
}
equal() { [[ $1 == "$2" ]] || fail "expected '$2', got '$1'"; }
silent() {
  local out
  out=$("$@" 2>&1) || fail "$* failed: $out"
  equal "$out" ""
}

git_as_tester() { git -c user.name=tester -c user.email=tester@localhost -c gc.auto=0 "$@"; }

# A repository in $1 with the files of this project, a clone where it is one itself.
project_repository() {
  if git -c safe.directory='*' -C "$EBBFS_SOURCE" rev-parse -q --verify HEAD >/dev/null 2>&1; then
    git -c safe.directory='*' clone -q --no-hardlinks "$EBBFS_SOURCE" "$1"
  else
    git init -q "$1"
    cp -r "$EBBFS_SOURCE"/{CMakeLists.txt,CMakePresets.json,fs,policy,index,tools} "$1"
    git_as_tester -C "$1" add -A
    git_as_tester -C "$1" commit -qm "the project"
  fi
}

# A tree in $1 with all that an archive has to carry over.
archive_tree() {
  mkdir -p "$1/dir/below" "$1/empty"
  (
    cd "$1"
    local i
    for i in {1..50}; do printf 'file %d\n' "$i" >"dir/below/$i"; done
    ln dir/below/1 dir/hard1
    ln dir/below/1 hard2
    ln -s dir/below/2 link
    ln -s /nowhere/at/all dangling
    mkfifo fifo
    mknod char c 1 3
    mknod block b 7 200
    truncate -s 64M sparse
    printf 'middle' | dd of=sparse bs=1 seek=30M conv=notrunc status=none
    head -c 1M /dev/urandom >random
    touch $'odd \n\t\\ "\x27\xff name' "$(printf 'x%.0s' {1..255})"
    chmod 4755 dir/below/3
    chmod 2770 dir
    chmod 1777 empty
    chown 12345:23456 dir/below/4
    chown -h 12345:23456 link
    setfattr -n user.note -v "some value" dir/below/5
    setfattr -n user.note -v dir dir
    setfattr -n trusted.note -v "of root" dir/below/6
    setfacl -m u:12345:rwx,g:23456:r-x dir/below/7
    setfacl -d -m u:12345:rwx dir/below
    touch -d '1999-12-31 23:59:59.123456789 UTC' dir/below/8
    touch -h -d '2001-02-03 04:05:06.5 UTC' dangling
    touch -d '2005-01-01 UTC' dir
  )
}

# All there is to say about the tree in $1 but inode numbers and change times, in a fixed order.
tree_facts() {
  (
    cd "$1"
    find . -mindepth 1 ! -type d -printf '%p|%y|%m|%U|%G|%s|%n|%l|%T@\0' -o \
      -mindepth 1 -printf '%p|%y|%m|%U|%G|%l|%T@\0' | sort -z | tr '\0' '\n'
    find . -type f -print0 | sort -z | xargs -0 sha256sum
    getfattr -R -h -d -m '^(user|trusted)\.' . | sed '/^$/d' | sort
    getfacl -R -n -p . | sort
  )
}
