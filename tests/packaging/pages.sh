#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/packaging/pages.sh CASE
#
# Whether man pages, completions, the policy file and the examples say what the programs in
# $EBBFS_BIN_DIR do. A CASE is the name of a function here that begins with test_.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
# shellcheck source=tests/packaging/ebbctl.sh
source "$(dirname "${BASH_SOURCE[0]}")/ebbctl.sh"

readonly man=$ebbfs_source/packaging/man
PATH=${EBBFS_BIN_DIR:?}:$PATH
failures=0

# complain MESSAGE...: the case goes on, and fails in the end.
complain() {
  printf '%s\n' "$*"
  failures=$((failures + 1))
}

# Whether man page $1 has the word $2, as a reader sees it.
page_has() { [[ " ${pages[$1]} " == *[^a-z-]"$2"[^a-z-]* ]]; }

declare -A pages
read_page() { pages[$1]=$(MANWIDTH=200 mandoc -T utf8 "$man/$1" | sed 's/.\x08//g' | tr '\n' ' '); }

# Prints the long options in the help on standard input.
options_of() { sed -nE '/^Options:/,/^$/s/^  (-[A-Za-z],)?(--[a-z-]+).*/\2/p'; }

# Each page reads the same by either formatter, and neither has to guess.
test_man_pages_are_clean() {
  local page said
  for page in "$man"/*.[58]; do
    said=$(mandoc -T lint -W warning "$page" 2>&1) || true
    [[ -z $said ]] || complain "$said"
    said=$(groff -ww -mdoc -Kutf8 -Tutf8 "$page" 2>&1 >/dev/null) || true
    [[ -z $said ]] || complain "$said"
  done
}

# Prints the subsection of ebbctl(8) that has the command $1, as it is written.
subsection_of() {
  awk -v command="$1" '
    /^\.S[sh] / { if (found) exit; text = "" }
    { text = text $0 "\n" }
    $0 ~ "^\\.It .*Cm " command "( |$)" { found = 1 }
    END { if (found) printf "%s", text }' "$man/ebbctl.8"
}

# Those of all commands stand at the top, each other one near its command.
test_man_page_of_ebbctl_has_each_command_and_option() {
  local command option count=0 subsection
  read_page ebbctl.8
  while read -r command; do
    grep -qE -- "^\.It .*Cm $command( |$)" "$man/ebbctl.8" ||
      complain "ebbctl(8) lacks the command $command"
    subsection=$(subsection_of "$command")
    # shellcheck disable=SC2086  # one or two words
    for option in $(ebbctl $command --help | options_of); do
      if [[ $option == --@(help|json|mount) ]]; then
        page_has ebbctl.8 "$option" || complain "ebbctl(8) lacks $option"
      else
        grep -qE -- " ${option#-}( |$)" <<<"$subsection" ||
          complain "ebbctl(8) lacks $option of $command where that is explained"
      fi
      count=$((count + 1))
    done
  done < <(commands)
  ((count > 50)) || complain "only $count options were found in the help of ebbctl"
}

test_man_page_of_ebbfs_has_each_option() {
  local option count=0
  read_page ebbfs.8
  for option in $(ebbfs --help | options_of); do
    page_has ebbfs.8 "$option" || complain "ebbfs(8) lacks $option"
    count=$((count + 1))
  done
  ((count > 8)) || complain "only $count options were found in the help of ebbfs"
}

test_man_page_of_the_policy_has_each_key() {
  local key count=0
  read_page ebbfs-policy.5
  while read -r key; do
    page_has ebbfs-policy.5 "$key" || complain "ebbfs-policy(5) lacks $key"
    count=$((count + 1))
  done < <(sed -nE 's/.*reader\.(read[a-z_]*|required_strings?|tables?)\("([a-z_]+)".*/\2/p' \
    "$ebbfs_source/policy/policy_file.cc" | sort -u)
  ((count > 20)) || complain "only $count keys were found in policy/policy_file.cc"
}

policy_of() { ebbctl policy check --json "$1" | sed -n 's/^ *"text": //p'; }

# As it is installed, and with every line in force.
test_installed_policy_states_the_default() {
  local scratch default
  scratch=$(mktemp -d)
  : >"$scratch/empty.toml"
  default=$(policy_of "$scratch/empty.toml")
  [[ $default == *worktrees* ]] || complain "no default policy: $default"
  sed 's/^#\([a-z[]\)/\1/' "$ebbfs_source/packaging/policy.toml" >"$scratch/all.toml"
  [[ $(grep -c '^[a-z[]' "$scratch/all.toml") -gt 20 ]] || complain "nothing is commented out"
  local file
  for file in "$ebbfs_source/packaging/policy.toml" "$scratch/all.toml"; do
    [[ $(policy_of "$file") == "$default" ]] || complain "$file is not the default policy"
  done
  rm -rf "$scratch"
}

test_example_policies_are_valid() {
  local file count=0
  for file in "$ebbfs_source"/examples/policies/*.toml; do
    ebbctl policy check "$file" || complain "$file is refused"
    count=$((count + 1))
  done
  ((count >= 3)) || complain "only $count examples"
}

# What an orchestrator would refuse, or what would leave the mount where nobody sees it.
test_examples_for_containers_have_what_they_need() {
  python3 - "$ebbfs_source/examples" <<'PYTHON' || complain "see above"
import json, pathlib, sys, yaml
root = pathlib.Path(sys.argv[1])

compose = yaml.safe_load((root / "docker/compose.yaml").read_text())["services"]
ebbfs, worker = compose["ebbfs"], compose["worker"]
assert ebbfs["pid"] == "host" and "/dev/fuse" in ebbfs["devices"]
assert {"SYS_ADMIN", "DAC_READ_SEARCH"} <= set(ebbfs["cap_add"])
assert ebbfs["healthcheck"]["test"][0] == "CMD"
binds = [v["bind"]["propagation"] for v in ebbfs["volumes"] if isinstance(v, dict)]
assert binds == ["rshared"]
assert (root / "docker" / ebbfs["volumes"][0].split(":")[0]).exists()
assert worker["volumes"][0]["bind"]["propagation"] == "rslave"
assert worker["depends_on"]["ebbfs"]["condition"] == "service_healthy"

for name, propagation in ("ebbfs", "rshared"), ("worker", "rslave"):
    task = json.loads((root / f"ecs/{name}.json").read_text())
    assert task["family"] == name and task["requiresCompatibilities"] == ["EC2"]
    container = task["containerDefinitions"][0]
    sources = {v["name"] for v in task["volumes"]}
    assert {m["sourceVolume"] for m in container["mountPoints"]} <= sources
    assert container["mountPoints"][0]["containerPath"] == f"/mnt:{propagation}"
    if name == "ebbfs":
        assert container["privileged"] and task["pidMode"] == "host"
        assert container["healthCheck"]["command"][:2] == ["CMD", "ebbctl"]

config, daemons = yaml.safe_load_all((root / "kubernetes/daemonset.yaml").read_text())
assert config["kind"] == "ConfigMap" and daemons["kind"] == "DaemonSet"
pod = daemons["spec"]["template"]["spec"]
assert daemons["spec"]["selector"]["matchLabels"].items() <= \
    daemons["spec"]["template"]["metadata"]["labels"].items()
container = pod["containers"][0]
assert pod["hostPID"] and container["securityContext"]["privileged"]
assert container["volumeMounts"][0]["mountPropagation"] == "Bidirectional"
assert container["startupProbe"]["exec"]["command"][0] == "ebbctl"
assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
assert pod["volumes"][1]["configMap"]["name"] == config["metadata"]["name"]
(worker,) = yaml.safe_load_all((root / "kubernetes/worker.yaml").read_text())
for container in worker["spec"]["initContainers"] + worker["spec"]["containers"]:
    assert container["volumeMounts"][0]["mountPropagation"] == "HostToContainer"
PYTHON
  local policy
  policy=$(mktemp)
  python3 -c 'import sys, yaml; print(next(yaml.safe_load_all(sys.stdin))["data"]["policy.toml"])' \
    <"$ebbfs_source/examples/kubernetes/daemonset.yaml" >"$policy"
  ebbctl policy check "$policy" || complain "the policy in the ConfigMap is refused"
  rm -f "$policy"
}

# systemd has nothing to complain of; the daemon and the manual need not be installed for that.
test_unit_is_understood_by_systemd() {
  [[ $(type -P systemd-analyze) ]] || { echo "SKIP: needs systemd-analyze" && exit 77; }
  local scratch said
  scratch=$(mktemp -d)
  sed "s,/usr/bin/ebb,$EBBFS_BIN_DIR/ebb,; /^Documentation=/d" \
    "$ebbfs_source/packaging/ebbfs@.service" >"$scratch/ebbfs@mnt-ebs.service"
  said=$(systemd-analyze verify "$scratch/ebbfs@mnt-ebs.service" 2>&1) || complain "it fails"
  [[ -z $said ]] || complain "$said"
  # What would keep the mount from everybody else.
  local apart='Protect(System|Home|Kernel.*|ControlGroups|Proc)|Private.*|Read.*Paths|MountFlags'
  ! grep -E "^($apart)=" "$scratch/ebbfs@mnt-ebs.service" ||
    complain "it would have a mount namespace of its own"
  rm -rf "$scratch"
}

# What a program says when it refuses stands in the page that explains it, piece by piece between
# what differs; and the page explains nothing that no program says.
test_troubleshooting_has_each_message() {
  python3 - "$ebbfs_source" <<'PYTHON' || complain "see above"
import pathlib, re, sys
root = pathlib.Path(sys.argv[1])
page = (root / "docs/troubleshooting.md").read_text()
# Within another message, or with a place in a file and what was expected there.
passed_over = ("fs/git_", "fs/control_protocol.cc", "fs/quotas.cc", "policy/")
sources = {}
for directory in "fs", "policy", "tools":
    for file in (root / directory).glob("*.cc"):
        # Literals that stand beside each other are one.
        sources[f"{directory}/{file.name}"] = re.sub(r'"\s*\n\s*"', "", file.read_text())
lost, found = [], 0
for name, text in sources.items():
    if name.startswith(passed_over):
        continue
    said = r"\b(?:unexpected|cannot|refused?|no_mount|MountError)[({]([^;]*);"
    for call in re.finditer(said, text):
        for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', call[1]):
            for piece in re.split(r"\{\d?\}|\\.|%s", literal):
                piece = piece.strip(" :;()")
                if len(piece) >= 12 and " " in piece:
                    found += 1
                    if piece not in page:
                        lost.append(f"{name}: not explained: {piece}")
everything = "\n".join(sources.values()) + (root / "packaging/mount.ebbfs").read_text()
for message in re.findall(r"`([^`]*…[^`]*)`", page):
    for piece in re.split(r"…|: [A-Z][a-z]+ [a-z ]+ |pid|policy.toml:12:7", message):
        piece = piece.strip(" :;()")
        if len(piece) >= 12 and piece not in everything:
            lost.append(f"nobody says: {piece}")
print(*lost, sep="\n")
assert found > 40, f"only {found} pieces were found"
assert not lost
PYTHON
}

# drive WORD...: completes the last one as bash would, which has the words taken apart.
drive() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMPREPLY=()
  "_$1"
}

# offers WANTED WORD...: complains unless each of the wanted words is offered.
offers() {
  local wanted=$1 word
  shift
  drive "$@"
  for word in $wanted; do
    [[ " ${COMPREPLY[*]} " == *" $word "* ]] ||
      complain "'$*' is not completed to $word, but to: ${COMPREPLY[*]}"
  done
}

test_completion_offers_what_the_help_has() {
  # shellcheck source=packaging/completions/ebbctl.bash
  source "$ebbfs_source/packaging/completions/ebbctl.bash"
  # shellcheck source=packaging/completions/ebbfs.bash
  source "$ebbfs_source/packaging/completions/ebbfs.bash"
  [[ $(complete -p ebbctl ebbfs) == *_ebbctl*_ebbfs* ]] || complain "no completion is in force"
  local command
  while read -r command; do
    # shellcheck disable=SC2086  # one or two words
    offers "$(ebbctl $command --help | options_of)" ebbctl $command --
  done < <(commands)
  offers "status units trash" ebbctl ''
  offers "list empty restore" ebbctl trash ''
  offers "status quota" ebbctl help ''
  offers "list set" ebbctl help quota ''
  offers "busy idle due" ebbctl units --state ''
  offers due ebbctl units --state = d
  offers "expires bytes" ebbctl --json units /tmp --sort ''
  offers "user group" ebbctl quota default ''
  local operations
  operations=$(sed -n '/kNames{/,/};/p' "$ebbfs_source/fs/request_counts.h" | grep -oE '"[a-z_]+"')
  [[ $(wc -w <<<"$operations") -gt 30 ]] || complain "only these operations: $operations"
  offers "$(tr -d '"' <<<"$operations")" ebbctl trace --op ''
  offers root ebbctl quota set user : ro
  offers /etc/hostname ebbctl policy check /etc/hostn
  offers "--foreground --policy" ebbfs --
  offers "io_uring dev" ebbfs --transport ''
  drive ebbctl nothing-like-it
  ((${#COMPREPLY[@]} == 0)) || complain "offers ${COMPREPLY[*]} for nonsense"
}

test_completion_offers_what_is_on_the_volume() {
  [[ $EUID == 0 && -w /dev/fuse ]] || { echo "SKIP: needs root and /dev/fuse" && exit 77; }
  # shellcheck source=packaging/completions/ebbctl.bash
  source "$ebbfs_source/packaging/completions/ebbctl.bash"
  volume=$(mktemp -d)
  mount -t tmpfs tmpfs "$volume"
  printf '[volume]\nadopt_grace = "0s"\n' >"$volume/policy.toml"
  # shellcheck disable=SC2064  # the name is wanted now
  trap "umount '$volume'; umount '$volume'; rmdir '$volume'" EXIT
  ebbfs --policy "$volume/policy.toml" "$volume"
  mkdir -p "$volume/worktrees/one" "$volume/worktrees/two"
  wait_for "$volume" units one
  ebbctl --mount "$volume" pin worktrees/two >/dev/null
  ebbctl --mount "$volume" expire worktrees/one >/dev/null
  cd "$volume"
  offers worktrees/two ebbctl show worktrees/t
  offers worktrees/two ebbctl unpin ''
  offers worktrees/one ebbctl restore ''
  offers 1 ebbctl restore --id ''
  offers "worktree lock" ebbctl units --class ''
  ((${#COMPREPLY[@]} == 2)) || complain "what is no class is offered: ${COMPREPLY[*]}"
  cd / && offers worktrees/two ebbctl --mount "$volume" expire ''
}

[[ $(type -t "test_${1:?}") == function ]] || die -2 "no case $1"
"test_$1"
((failures == 0))
