# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts beside this one share about ebbctl. Sourced, never run.

# Prints the commands of ebbctl that ask something, those with two words as they are typed.
commands() {
  local command below
  for command in $(ebbctl --help | sed -nE '/^Subcommands:/,/^$/s/^  ([a-z]+) .*/\1/p'); do
    [[ $command != help ]] || continue
    below=$(ebbctl "$command" --help | sed -nE '/^Subcommands:/,/^$/s/^  ([a-z]+) .*/\1/p')
    if [[ -z $below ]]; then
      printf '%s\n' "$command"
    else
      for below in $below; do printf '%s %s\n' "$command" "$below"; done
    fi
  done
}

# Waits until `ebbctl $2` prints something that matches $3, about the mount $1.
wait_for() {
  local deadline=$((SECONDS + 20))
  # shellcheck disable=SC2086  # a command line
  until ebbctl --mount "$1" $2 2>/dev/null | grep -q -- "$3"; do
    ((SECONDS < deadline)) || die "ebbctl $2 never says $3"
    sleep 0.05
  done
}
