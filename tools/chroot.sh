# shellcheck shell=bash
# Sourced by the scripts that try the build on another Debian: makes and enters minimal chroots. Needs root.
# The new system reaches the package archive in the way this machine does, whatever that is: its apt configuration,
# its certificates and its proxy are taken over, nothing else.

say() { printf '== %s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

chroot_require_root() {
  (($(id -u) == 0)) || die "needs root, for debootstrap, mount and chroot"
  command -v debootstrap >/dev/null || die "needs the package debootstrap"
}

# The archive that this machine's apt uses for packages of Debian itself.
chroot_mirror() {
  # shellcheck disable=SC2016 # for apt to expand
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main' | grep -v security | head -n 1
}

# chroot_make SUITE DIR [PACKAGE,...]: a minimal system, unless DIR already holds one.
chroot_make() {
  local suite=$1 dir=$2 include=${3:+--include=$3}
  if [[ -e $dir/.ringfence-chroot ]]; then
    say "reusing $dir"
    return
  fi
  say "debootstrap of $suite into $dir"
  # Every suite since sarge has the same script; an old debootstrap only lacks the new names.
  local script=/usr/share/debootstrap/scripts/$suite
  [[ -e $script ]] || script=/usr/share/debootstrap/scripts/sid
  debootstrap --variant=minbase ${include:+"$include"} "$suite" "$dir" "$(chroot_mirror)" "$script" >"$dir.log" 2>&1 ||
    die "debootstrap failed, see $dir.log"
  cp -r /etc/apt/apt.conf.d/. "$dir/etc/apt/apt.conf.d/"
  # Hooks of packages that only this machine has.
  grep -lE 'Post-Invoke|Pre-Install' "$dir"/etc/apt/apt.conf.d/* | xargs -r rm --
  mkdir -p "$dir/usr/local/share/ca-certificates" "$dir/etc/ssl/certs"
  cp -rL /usr/local/share/ca-certificates/. "$dir/usr/local/share/ca-certificates/" 2>/dev/null || true
  cp -L /etc/ssl/certs/ca-certificates.crt "$dir/etc/ssl/certs/" 2>/dev/null || true
  touch "$dir/.ringfence-chroot"
}

# chroot_enter DIR COMMAND...: run with /proc and /dev, an empty environment and no stdin. Both are mounted for the
# command alone: whoever removes DIR, after a trial that was killed as well, does not reach this machine's devices.
chroot_enter() {
  local dir=$1
  shift
  local name kept=()
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [[ -v $name ]] && kept+=("$name=${!name}")
  done
  # shellcheck disable=SC2016 # for the inner shell to expand
  env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${kept[@]}" \
    unshare --mount --propagation private sh -c '
      mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"
    ' "$dir" "$@" </dev/null
}

# chroot_leave DIR CHECKOUT: stops Bazel's server of the checkout.
chroot_leave() {
  local dir=$1 checkout=$2
  [[ ! -d $dir$checkout ]] || chroot_enter "$dir" sh -c "cd $checkout && bazel shutdown" >/dev/null 2>&1 || true
}
