# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion of ebbctl for bash. Commands and options come from `ebbctl COMMAND --help`, so they are
# those of the ebbctl that is run; paths, names and numbers come from the mount, which has a second
# to answer.

# Prints the options of the help in $1, one a line.
__ebbctl_options() {
  sed -nE '/^Options:/,/^$/s/^  ((-[A-Za-z]),)?(--[a-z-]+).*/\2\n\3/p' <<<"$1" | sed '/^$/d'
}

# Prints the commands below a command whose help is $1.
__ebbctl_commands() { sed -nE '/^Subcommands:/,/^$/s/^  ([a-z]+) .*/\1/p' <<<"$1"; }

# Whether option $2 has a value, in the help $1.
__ebbctl_has_value() { grep -qE -- "^  (-[A-Za-z],)?$2 [A-Z]+([ :=]|$)" <<<"$1"; }

# Prints the words that the help $1 allows for $2: an option, or the name of an operand.
__ebbctl_choices() {
  sed -nE "s/^  (-[A-Za-z],)?$2 [A-Z]*:\{([a-z,]+)\}.*/\2/p" <<<"$1" | tr , '\n'
}

# Asks the mount. Prints the values of key $1 in the JSON that the rest of the arguments ask for, as
# they stand there: names with a quote or backslash in them are left out.
__ebbctl_ask() {
  local key=$1
  shift
  timeout 1 "$program" "${mount[@]}" "$@" --json 2>/dev/null </dev/null |
    sed -nE "s/^ *\"$key\": \"?([^\"\\\\]*[^\"\\\\,])\"?,?\$/\1/p"
}

# Prints what the command $1 may be followed by.
__ebbctl_operands() {
  case $1 in
    'show ' | 'pin ' | 'expire ') __ebbctl_ask path units ;;&
    'show ') __ebbctl_ask path locks ;;
    'unpin ') __ebbctl_ask path units --state pinned ;;
    'restore ' | 'trash restore ' | 'trash empty ') __ebbctl_ask path trash list ;;
    'quota set ' | 'quota show ' | 'quota clear ')
      __ebbctl_ask scope quota list --all
      printf '%s\n' volume class: unit: user: group: job:
      compgen -u | sed 's/^/user:/'
      compgen -g | sed 's/^/group:/'
      ;;
    'quota default ') __ebbctl_choices "$help" KIND ;;
  esac
}

# Prints what the option $1 may be followed by.
__ebbctl_values() {
  __ebbctl_choices "$help" "$1"
  case $1 in
    --class) __ebbctl_ask name policy show ;;
    --user) compgen -u ;;
    --job) __ebbctl_ask job units | sort -u ;;
    --id) __ebbctl_ask id trash list ;;
    --kind)
      printf '%s\n' adopted braked evicted expired handed_over hook mounted no_space pinned \
        policy_loaded policy_rejected purged quota reclaimed requested restored resumed unmounted \
        unpinned warning would_remove
      ;;
    --op)
      printf '%s\n' copy_file_range create fallocate forget fsync fsyncdir getattr getxattr ioctl \
        link listxattr lookup lseek mkdir mknod open read readdir readdirplus readlink release \
        removexattr rename rmdir setattr setxattr statfs statx symlink tmpfile unlink write
      ;;
    --since | --older | --grace) printf '%s\n' 30m 1h 24h 7d ;;
    --interval) printf '%s\n' 1s 2s 5s 10s ;;
  esac
}

# Sets an option of the completion that goes on; nothing where none does.
__ebbctl_mode() { compopt -o "$1" 2>/dev/null || true; }

_ebbctl() {
  local program=${COMP_WORDS[0]} mount=() words=() word i
  # bash takes "user:ci" and "--state=idle" apart.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == = && ${words[-1]-} == --* ]]; then
      ((i < COMP_CWORD)) || words+=('')
    elif ((${#words[@]})) && [[ $word == :* || ${words[-1]} == *: ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done

  local last=$((${#words[@]} - 1)) current previous='' command='' help
  current=${words[last]}
  help=$("$program" --help 2>/dev/null) || return 0
  for ((i = 0; i < last; i++)); do
    word=${words[i]}
    if [[ $word == -* ]]; then
      __ebbctl_has_value "$help" "$word" || continue
      if ((i + 1 == last)); then
        previous=$word
      elif [[ $word == --mount ]]; then
        mount=(--mount "${words[i + 1]}")
      fi
      i=$((i + 1))
    elif [[ $word == help && -z $command ]]; then
      continue  # what follows is completed as without it
    elif grep -qxF -- "$word" < <(__ebbctl_commands "$help"); then
      command+="$word "
      # shellcheck disable=SC2086  # one or two words
      help=$("$program" $command --help 2>/dev/null) || return 0
    fi
  done

  local found=''
  if [[ -n $previous ]]; then
    found=$(__ebbctl_values "$previous")
    case $previous in
      --mount) __ebbctl_mode filenames && found=$(compgen -d -- "$current") ;;
      --to | --html) __ebbctl_mode filenames && found=$(compgen -f -- "$current") ;;
    esac
  elif [[ $current == -* ]]; then
    found=$(__ebbctl_options "$help")
  elif grep -q '^Subcommands:' <<<"$help"; then
    found=$(__ebbctl_commands "$help")
  else
    found=$(__ebbctl_operands "$command")
    if grep -qE '^  (PATH|FILE) ' <<<"$help"; then
      [[ -n $found ]] || __ebbctl_mode filenames
      found+=$'\n'$(compgen -f -- "$current")
    fi
  fi

  COMPREPLY=()
  while IFS= read -r word; do
    [[ -n $word && $word == "$current"* ]] || continue
    # What stands before the last colon is on the line already, for bash.
    [[ $current != *:* || $COMP_WORDBREAKS != *:* ]] || word=${word#"${current%:*}:"}
    COMPREPLY+=("$word")
  done < <(sort -u <<<"$found")
  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then __ebbctl_mode nospace; fi
}

complete -F _ebbctl ebbctl
