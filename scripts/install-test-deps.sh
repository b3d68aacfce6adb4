#!/bin/sh
# Installs what the tests need and a fresh Debian or Ubuntu does not have.
#
#   scripts/install-test-deps.sh          redis-server (7.0 or newer), redis-cli; MariaDB's server and client;
#                                         haproxy
#   scripts/install-test-deps.sh bench    also redis-benchmark and nutcracker (twemproxy)
#
# Does nothing, and says nothing, when all is there. Exits 1 and says why when it
# cannot help. What it installs does not run as a system service: the tests
# start their own servers, and the ports 6379 and 3306 stay free.
set -eu

policy=/usr/sbin/policy-rc.d # asked by Debian packages before they start a service
work=
own_policy=
root= # how to become root: empty or sudo

die() {
	echo "install-test-deps: $*" >&2
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# cleanup runs at every exit and leaves nothing of ours behind.
cleanup() {
	if [ -n "$own_policy" ]; then
		$root rm -f "$policy"
	fi
	if [ -n "$work" ]; then
		rm -rf "$work"
	fi
}

# missing prints the packages whose programs are not in PATH.
missing() {
	have redis-server || echo redis-server
	have redis-cli || echo redis-tools
	have mariadbd && have mariadb-install-db && have mariadb || echo mariadb-server # which brings the client
	have haproxy || echo haproxy
	if [ "$bench" = yes ]; then
		have redis-benchmark || ! have redis-cli || echo redis-tools
		have nutcracker || echo nutcracker
	fi
}

# become_root finds out how to run apt-get.
become_root() {
	have apt-get || die "cannot install $1: there is no apt-get here; install it by other means (Redis 7.0 or newer, any MariaDB) and have it in PATH"
	[ "$(id -u)" -ne 0 ] || return 0
	have sudo || die "cannot install $1: this needs root, and there is no sudo; run as root: apt-get install $1"
	# Without a terminal sudo could not ask for a password.
	[ -t 0 ] || sudo -n true 2>/dev/null || die "cannot install $1: sudo needs a password; run: sudo apt-get install $1"
	root=sudo
}

# forbid_services keeps the packages from starting what they install, unless
# there is a policy already: then that one decides, and stop_services helps.
forbid_services() {
	[ ! -e "$policy" ] || return 0
	printf '#!/bin/sh\nexit 101\n' >"$work/policy-rc.d"
	own_policy=yes
	$root install -m 0755 "$work/policy-rc.d" "$policy"
}

# stop_services stops and disables what came with the packages. They were not
# installed before, so nobody had them running.
stop_services() {
	for package; do
		case $package in
		redis-tools) continue ;;
		mariadb-server) service=mariadb ;;
		*) service=$package ;;
		esac
		if [ -d /run/systemd/system ]; then
			$root systemctl disable --now --quiet "$service" >/dev/null 2>&1 || :
		elif [ -z "$own_policy" ] && [ -x "/etc/init.d/$service" ]; then
			$root "/etc/init.d/$service" stop >/dev/null 2>&1 || :
		fi
	done
}

# apt runs apt-get without questions. Another apt may be at work: wait for it.
apt() {
	$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >>"$work/log" 2>&1 </dev/null
}

# install_packages installs its arguments, with fresh package lists if need be.
install_packages() {
	become_root "$*"
	trap cleanup EXIT
	trap 'exit 1' HUP INT TERM
	work=$(mktemp -d)
	forbid_services
	echo "install-test-deps: installing $*" >&2
	if ! apt install --no-install-recommends "$@"; then
		if ! { apt update && apt install --no-install-recommends "$@"; }; then
			tail -n 20 "$work/log" >&2
			die "apt-get could not install $* (is there a network?); its last words are above"
		fi
	fi
	stop_services "$@"
}

# check_version ends the script when redis-server is too old for the tests.
check_version() {
	version=$(redis-server --version) || die "redis-server does not run"
	version=${version#*v=}
	version=${version%% *}
	case ${version%%.*} in
	'' | *[!0-9]*) die "cannot tell the version of redis-server from \`redis-server --version\`" ;;
	esac
	[ "${version%%.*}" -ge 7 ] ||
		die "redis-server is $version, the tests need 7.0 or newer: install a newer one and put it first in PATH"
}

bench=no
case ${1-} in
'') ;;
bench) bench=yes ;;
*) die "usage: $0 [bench]" ;;
esac

# Debian puts nutcracker and mariadbd into /usr/sbin, which is not in every user's PATH.
PATH=$PATH:/usr/sbin:/sbin
# shellcheck disable=SC2046 # one word per package
set -- $(missing)
if [ $# -gt 0 ]; then
	install_packages "$@"
	set -- $(missing)
	[ $# -eq 0 ] || die "installed, but still not in PATH: $*"
fi
check_version
