#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/packaging/package.sh BUILD-DIR CASE
#
# The Debian package of a build, on this machine's own system seen through an overlay: what is
# installed, mounted and removed there is gone with the test. A CASE is the name of a function here
# that begins with test_; "build" makes the package for the others.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

readonly build=$1 case=$2
readonly packed=$build/package-test
failures=0

complain() {
  printf '%s\n' "$*"
  failures=$((failures + 1))
}

skip() { echo "SKIP: $*" && exit 77; }

# Runs a command in the overlay; what follows the last mount of the test sees no others.
inside() { chroot "$root" /usr/bin/env -u EBBFS_BIN_DIR PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# Leaves a fresh root in `root`, in a mount namespace of its own.
make_root() {
  layers=$(mktemp -d)
  mount -t tmpfs tmpfs "$layers"
  mkdir "$layers"/{upper,work,root}
  root=$layers/root
  mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" overlay "$root" ||
    skip "no overlay over this system's root"
  local dir
  for dir in proc sys dev; do mount --rbind "/$dir" "$root/$dir"; done
  for dir in tmp run mnt; do mount -t tmpfs tmpfs "$root/$dir"; done
  # None of an earlier installation on this machine.
  rm -rf "$root/etc/ebbfs" "$root"/usr/local/bin/ebb{fs,ctl} "$root"/usr/sbin/mount*.ebbfs
  if inside dpkg -s ebbfs >/dev/null 2>&1; then inside dpkg --no-triggers -P ebbfs >/dev/null; fi
  find "$layers/upper" | sort >"$layers/before"
}

# Ends what is mounted below the root, so that its daemons end.
leave_root() {
  local point
  while read -r point; do umount "$point" || umount -l "$point"; done < <(
    awk '/ - fuse\.ebbfs / { print $5 }' /proc/self/mountinfo | tac
  )
  umount -R -l "$layers"
  rmdir "$layers"
}

install_package() {
  # Triggers are those of man-db and the like, which take longer than the test.
  inside dpkg --no-triggers -i "/tmp/${package##*/}" >"$layers/log" 2>&1 || {
    cat "$layers/log"
    die "dpkg -i failed"
  }
}

# A volume of its own for what is managed; one policy that removes from the start.
prepare_volume() {
  mkdir -p "$root/mnt/ebs" "$root/mnt/raw"
  mount -t tmpfs tmpfs "$root/mnt/ebs"
  mount -t tmpfs tmpfs "$root/mnt/raw"
}

daemon_of() { inside ebbctl status --json --mount "$1" | sed -n 's/^ *"pid": \([0-9]*\).*/\1/p'; }

# Unmounts and waits for the daemon, which stores its index.
end_mount() {
  local pid deadline=$((SECONDS + 20))
  pid=$(daemon_of "$1")
  inside umount "$1"
  while [[ -e /proc/$pid ]]; do
    ((SECONDS < deadline)) || die "the daemon of $1 does not end"
    sleep 0.05
  done
}

test_build() {
  rm -rf "$packed"
  mkdir -p "$packed"
  (cd "$build" && run_quietly cpack -G DEB -B "$packed") || die "cpack failed"
  [[ $(echo "$packed"/*.deb) == *ebbfs_*.deb ]] || die "there is no package"
  # Nothing but libraries of the distribution, which dpkg brings along.
  local program
  for program in "$packed"/_CPack_Packages/*/DEB/*/usr/bin/ebb*; do
    ! readelf -d "$program" | grep -E 'RPATH|RUNPATH|libfuse' || complain "$program: see above"
  done
  rm -rf "$packed/_CPack_Packages"
}

test_has_nothing_that_lintian_calls_an_error() {
  [[ $(type -P lintian) ]] || skip "needs lintian"
  lintian --allow-root --no-tag-display-limit --fail-on error "$packed"/*.deb ||
    complain "lintian finds errors"
}

# What is left of the package in the overlay, one name a line: nothing that the system has as well,
# nor what dpkg notes of each package, and logs.
left_behind() {
  local path
  while read -r path; do
    [[ -d $path || $path =~ ^/var/(lib|cache|log|backups)/ ]] || printf '%s\n' "$path"
  done < <(comm -13 "$layers/before" <(find "$layers/upper" | sort) | sed "s,^$layers/upper,,")
  find "$root"/{etc,usr,var/lib} -xdev \( -name '*ebbfs*' -o -name '*ebbctl*' \) -printf '%P\n'
}

test_leaves_nothing_but_a_changed_policy() {
  install_package
  inside ebbfs --version >/dev/null || complain "ebbfs does not run"
  inside test -x /sbin/mount.ebbfs || complain "mount(8) does not find its helper"
  inside systemd-analyze --version >/dev/null 2>&1 &&
    { inside systemd-analyze verify --man=no /usr/lib/systemd/system/ebbfs@.service ||
      complain "the unit is not understood"; }
  inside ebbctl policy check /etc/ebbfs/policy.toml >/dev/null || complain "the policy is refused"
  inside sh -c 'cd /usr/share/doc/ebbfs &&
    ls README.md operating.md ebbctl.schema.json examples/policies/*.toml' >/dev/null ||
    complain "the documentation is not there"
  prepare_volume
  inside mount -t ebbfs none /mnt/ebs -o policy=/etc/ebbfs/policy.toml
  inside ebbctl status /mnt/ebs | grep -q ENFORCING || complain "it is not in force"
  end_mount /mnt/ebs

  echo 'mode = "observe"' >>"$root/etc/ebbfs/policy.toml"
  sed -i 's/^mode/#&/; 1i mode = "observe"' "$root/etc/ebbfs/policy.toml"
  inside dpkg --no-triggers -r ebbfs >/dev/null || complain "dpkg -r failed"
  grep -q '^mode = "observe"' "$root/etc/ebbfs/policy.toml" || complain "the policy was not kept"
  [[ ! -e $root/usr/bin/ebbfs && ! -L $root/usr/sbin/mount.fuse.ebbfs ]] ||
    complain "programs were not removed"
  install_package
  grep -q '^mode = "observe"' "$root/etc/ebbfs/policy.toml" || complain "the policy was replaced"
  inside dpkg --no-triggers -P ebbfs >/dev/null || complain "dpkg -P failed"
  local left
  left=$(left_behind)
  [[ -z $left ]] || complain "left behind: $left"
}

test_mounts_by_fstab() {
  install_package
  prepare_volume
  cat >"$root/etc/fstab" <<'FSTAB'
/mnt/raw /mnt/raw-managed ebbfs nosuid,nofail,_netdev,x-systemd.requires-mounts-for=/mnt/raw 0 0
/mnt/ebs /mnt/ebs         ebbfs defaults,policy=/etc/ebbfs/policy.toml                       0 0
FSTAB
  mkdir "$root/mnt/raw-managed"
  inside mount -a || complain "mount -a failed"
  inside ebbctl status /mnt/ebs >/dev/null || complain "/mnt/ebs is not mounted"
  inside ebbctl status /mnt/raw-managed >/dev/null || complain "/mnt/raw-managed is not mounted"
  inside findmnt -n -o OPTIONS /mnt/raw-managed | grep -q nosuid || complain "nosuid was lost"
  inside touch /mnt/raw-managed/file
  [[ -e $root/mnt/raw/file ]] || complain "it manages another directory"
  inside mount -a || complain "a second mount -a failed"

  local said pid
  inside mount -o remount,ro /mnt/ebs || complain "it cannot be made read-only"
  inside touch /mnt/ebs/file 2>/dev/null && complain "it is read-only, and was written to"
  inside mount -o remount,rw,noexec /mnt/ebs || complain "it cannot be made writable again"
  inside touch /mnt/ebs/file || complain "it is not writable again"
  inside findmnt -n -o OPTIONS /mnt/ebs | grep -q noexec || complain "noexec was lost"
  said=$(inside mount -o remount,policy=/x.toml /mnt/ebs 2>&1) && complain "it got another policy"
  [[ $said == *"cannot be changed by a remount"* ]] || complain "remount said: $said"

  pid=$(daemon_of /mnt/ebs)
  kill -9 "$pid"
  while [[ -e /proc/$pid ]]; do sleep 0.05; done
  inside mount -t ebbfs none /mnt/ebs || complain "a dead mount cannot be mounted again"
  inside ebbctl status /mnt/ebs >/dev/null || complain "it is not mounted again"
  end_mount /mnt/ebs
  end_mount /mnt/raw-managed

  # Without a line in fstab mount(8) adds what the mount has.
  mkdir "$root/mnt/by-hand"
  inside mount -t ebbfs -o noatime /mnt/raw /mnt/by-hand || complain "it is not mounted by hand"
  inside mount -o remount,ro /mnt/by-hand || complain "with noatime it cannot be made read-only"
  inside touch /mnt/by-hand/file 2>/dev/null && complain "by hand, it was written to read-only"
  inside mount -o remount,rw /mnt/by-hand || complain "with noatime it stays read-only"
  end_mount /mnt/by-hand
}

# Each link of an installed page leads to something that is installed too.
test_links_of_its_pages_lead_somewhere() {
  local scratch page link count=0
  scratch=$(mktemp -d)
  dpkg-deb -x "$packed"/*.deb "$scratch"
  cd "$scratch/usr/share/doc/ebbfs"
  for page in *.md; do
    while read -r link; do
      count=$((count + 1))
      [[ -z $link || -e $link ]] || complain "$page: there is no $link"
    done < <(grep -oE '\]\([^) ]*\)' "$page" | sed -E 's/^..//; s/[)#].*//; /^[a-z]+:/d')
  done
  cd / && rm -rf "$scratch"
  ((count > 30)) || complain "only $count links were found"
}

# The commands of a page, one after the other in one shell: what stands after "# " or "$ " in blocks
# that are marked "console run".
commands_of() {
  awk '
    /^```/ { take = /^```console run$/; more = 0; next }
    take && (more || /^[#$] /) { more = /\\$/; sub(/^[#$] /, ""); print }' "$1"
}

# Each page's commands run as they stand, each must succeed, and what they mount ends with them.
test_commands_in_the_pages_run() {
  install_package
  local page script count=0
  for page in "$ebbfs_source"/docs/*.md; do
    script=$(commands_of "$page")
    [[ -n $script ]] || continue
    count=$((count + $(wc -l <<<"$script")))
    prepare_volume
    inside timeout 60 bash -c "set -xeuo pipefail; cd /mnt; $script" \
      >"$layers/log" 2>&1 </dev/null || {
      complain "${page##*/}:"
      cat "$layers/log"
    }
    while mountpoint -q "$root/mnt/ebs"; do umount -l "$root/mnt/ebs"; done
    umount -l "$root/mnt/raw"
  done
  ((count > 20)) || complain "only $count lines of commands were found"
}

# What README.md shows of a session, as it stands: with the package for what tools/up builds, and a
# repository here for the one that it clones. One command is refused there.
test_session_in_the_readme_runs() {
  install_package
  prepare_volume
  local session
  session=$(awk '/^## / { on = $0 == "## A session" } on && sub(/^# /, "")' \
    "$ebbfs_source/README.md")
  [[ $(wc -l <<<"$session") -ge 15 ]] || complain "the session is not found"
  inside git init -q /mnt/raw/project
  inside git -C /mnt/raw/project -c user.name=n -c user.email=e@localhost \
    commit -q --allow-empty -m begin
  # shellcheck disable=SC2016  # for the shell inside
  inside env GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url./mnt/raw/project.insteadOf \
    GIT_CONFIG_VALUE_0=https://git.example/project.git timeout 60 bash -c '
      function tools/up { ebbfs "$1" && ebbctl status "$1"; }
      trap "echo \"refused: \$BASH_COMMAND\"" ERR
      '"$session" >"$layers/log" 2>&1 </dev/null || true
  local said
  for said in 'deploy.lock$' 'reclaimed     locks/deploy.lock' 'fix-login: pinned' \
    'held by   pinned' 'fix-login: expired' 'fix-login: restored'; do
    grep -q "$said" "$layers/log" || complain "the session does not say: $said"
  done
  [[ $(grep '^refused: ' "$layers/log") == 'refused: ebbctl expire worktrees/fix-login' ]] ||
    complain "another command is refused than the one that README.md shows"
  ((failures == 0)) || cat "$layers/log"
}

main() {
  [[ $(type -t "test_$case") == function ]] || die -2 "no case $case"
  case $case in
    build | has_nothing_that_lintian_calls_an_error | links_of_its_pages_lead_somewhere) ;;
    *)
      [[ $EUID == 0 && -w /dev/fuse ]] || skip "needs root and /dev/fuse"
      make_root
      trap leave_root EXIT
      packages=("$packed"/*.deb)
      package=${packages[0]}
      cp "$package" "$root/tmp"
      ;;
  esac
  "test_$case"
  ((failures == 0))
}

if [[ $case != build && -z ${EBBFS_APART:-} ]]; then
  EBBFS_APART=1 exec unshare -m --propagation private "$BASH" "$0" "$@"
fi
main
