# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts in tools/ share. Sourced, never run. Sets nothing but the names below and prints
# nothing by itself.

# Top of the source tree.
ebbfs_source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# Where tools/deps puts libfuse when the system's own will not do. CMakeLists.txt has the same
# default.
export EBBFS_PREFIX=${EBBFS_PREFIX:-/opt/ebbfs/fuse3}

step() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
warn() { printf '%s: warning: %s\n' "${0##*/}" "$*" >&2; }

# die [-STATUS] MESSAGE...   STATUS defaults to 1.
die() {
  local status=1
  if [[ $1 =~ ^-[0-9]+$ ]]; then
    status=${1#-}
    shift
  fi
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit "$status"
}

# Prints the comment block at the top of the running script, less the licence line: its help.
usage() { awk 'NR > 2 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# Runs a command with its output kept aside, and shows that output only if the command fails.
run_quietly() {
  local log status=0
  log=$(mktemp)
  "$@" </dev/null >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    tail -n 60 "$log" >&2
    warn "failed with status $status: $*"
  fi
  rm -f "$log"
  return "$status"
}

require_root() { ((EUID == 0)) || die "must run as root $*"; }

# The presets that CMakePresets.json offers for building, one a line.
presets() {
  sed -n 's/.*"configurePreset": "\([a-z-]*\)".*/\1/p' "$ebbfs_source/CMakePresets.json" | sort -u
}

require_preset() {
  presets | grep -qxF -- "$1" || die -2 "no preset '$1'; there are: $(presets | paste -sd' ')"
}

# Canonical path of a directory that may be a dead mount: only its parent is looked at.
mount_path() {
  local parent
  [[ $1 != / ]] || die -2 "/ cannot be an ebbfs mount"
  parent=$(cd "$(dirname -- "$1")" 2>/dev/null && pwd -P) || die "$1: no such directory"
  printf '%s/%s\n' "${parent%/}" "$(basename -- "$1")"
}

# Filesystem type of the topmost mount at exactly this canonical path; fails if there is none. Reads
# mountinfo (proc(5)) rather than the path, which hangs or fails on a dead mount.
mount_type() {
  awk -v want="$1" '
    # Escapes of mountinfo: \040 blank, \011 tab, \012 newline, \134 backslash.
    function plain(s) {
      gsub(/\\040/, " ", s); gsub(/\\011/, "\t", s); gsub(/\\012/, "\n", s); gsub(/\\134/, "\\", s)
      return s
    }
    plain($5) == want { for (i = 7; $i != "-"; i++); type = $(i + 1) " " $(i + 2) }
    END { if (type == "") exit 1; print type }' /proc/self/mountinfo
}

is_ebbfs_mount() { [[ $(mount_type "$1") =~ (^|[ .])ebbfs($|[ .]) ]]; }

# A dead mount answers with ENOTCONN, or ECONNABORTED the first time.
is_dead_mount() {
  [[ $(LC_ALL=C stat -- "$1" 2>&1 >/dev/null) =~ 'endpoint is not connected'|'connection abort' ]]
}

# tally PASSED FAILED SKIPPED [FAILURE...]: adds to the running total of .ci/run, where there is
# one, and to the failures that it names in the end.
tally() {
  [[ -n ${EBBFS_TALLY:-} ]] || return 0
  {
    printf '%s %s %s\n' "$1" "$2" "$3"
    if (($# > 3)); then printf 'failed: %s\n' "${@:4}"; fi
  } >>"$EBBFS_TALLY"
}
