# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion of ebbfs for bash.
_ebbfs() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} found=''
  case $previous in
    --transport) found=$'auto\nio_uring\ndev' ;;
    --log-level) found=$'debug\ninfo\nwarn\nerror' ;;
    --metrics) found=127.0.0.1:9469 ;;
    -o) found=$'nosuid,nodev\nnoexec\nro\npolicy=\nbacking=\nmetrics=\ntransport=' ;;
    --policy) found=$(compgen -f -- "$current") ;;
    *)
      if [[ $current == -* ]]; then
        found=$("${COMP_WORDS[0]}" --help 2>/dev/null | grep -oE '^  -[a-zA-Z,-]+' |
          sed 's/^  //; s/,/\n/')
      else
        found=$(compgen -d -- "$current")
      fi
      ;;
  esac
  COMPREPLY=()
  local word
  while IFS= read -r word; do
    if [[ -n $word && $word == "$current"* ]]; then COMPREPLY+=("$word"); fi
  done <<<"$found"
}

complete -o filenames -F _ebbfs ebbfs
