# SPDX-License-Identifier: MIT
# A throw-away machine whose process 1 is a real systemd, in namespaces of this one. To be sourced:
#   machine_refusal      why none can be made here, on stdout; nothing: one can
#   machine_start SETUP  boots it, after SETUP, a script, has run in its file system; 0 when it is up
#   machine_run COMMAND  in it
#   machine_stop         it and all that it has written are gone
# It sees the files of this machine through an overlay, so nothing that it writes gets out, but for
# the folders in MACHINE_SHARED, which it has as they are. /tmp, /run, /dev/shm are its own, so is
# the network (none), and so are its cgroups: version 2, a group below ours.

machine_refusal() {
	[ "$(id -u)" -eq 0 ] || { echo "needs root"; return; }
	[ -x /lib/systemd/systemd ] || { echo "no systemd is installed"; return; }
	unshare --mount --pid --fork --cgroup --uts --ipc --net true 2>/dev/null ||
		{ echo "no namespaces can be made"; return; }
	unshare --mount --cgroup mount -t cgroup2 cgroup2 /mnt 2>/dev/null ||
		{ echo "no cgroup2 can be mounted"; return; }
	unshare --mount sh -c 'mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir written work root &&
		mount -t overlay -o lowerdir=/,upperdir=/mnt/written,workdir=/mnt/work overlay root' \
		2>/dev/null || echo "no overlay can be mounted over /"
}

# machine_find_cgroups: machine_cgroups is where cgroup2 is mounted; by us, if nowhere else.
machine_find_cgroups() {
	machine_cgroups=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
	[ -z "$machine_cgroups" ] || return 0
	machine_cgroups=$(mktemp -d) machine_mounted=1
	mount -t cgroup2 cgroup2 "$machine_cgroups"
}

# As process 1: makes the file system and becomes systemd.
machine_inside() { # FOLDER SETUP
	local root=$1/root setup=$2 place
	set -eu
	mount --make-rprivate /
	mount -t tmpfs -o mode=755 tmpfs "$1"
	mkdir "$1/written" "$1/work" "$root"
	mount -t overlay -o "lowerdir=/,upperdir=$1/written,workdir=$1/work" overlay "$root"

	mount -t proc proc "$root/proc"
	# systemd would raise limits of the kernel that all machines share.
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,bind,ro "$root/proc/sys"
	mount -t sysfs -o ro sysfs "$root/sys"
	mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
	mount -t tmpfs -o mode=755 tmpfs "$root/dev"
	for place in null zero full random urandom tty; do
		touch "$root/dev/$place"
		mount --bind "/dev/$place" "$root/dev/$place"
	done
	mkdir "$root/dev/shm" "$root/dev/pts"
	mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
	for place in dev/shm tmp; do
		mount -t tmpfs -o mode=1777 tmpfs "$root/$place"
	done
	mount -t tmpfs -o mode=755 tmpfs "$root/run"
	for place in ${MACHINE_SHARED:-}; do
		mkdir -p "$root$place"
		mount --bind "$place" "$root$place"
	done

	# Of the units of this machine none is started; what would touch the kernel is masked.
	rm -rf "$root"/etc/systemd/system/* "$root"/etc/systemd/user/* "$root/var/log/journal"
	: >"$root/etc/machine-id"
	: >"$root/etc/fstab"
	for place in dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount \
		sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount \
		sys-kernel-tracing.mount systemd-binfmt.service systemd-firstboot.service \
		systemd-hwdb-update.service systemd-journald-audit.socket \
		systemd-modules-load.service systemd-pstore.service systemd-random-seed.service \
		systemd-remount-fs.service systemd-sysctl.service systemd-timesyncd.service \
		systemd-udev-trigger.service systemd-udevd.service \
		systemd-update-utmp.service; do
		ln -s /dev/null "$root/etc/systemd/system/$place"
	done
	cat >"$root/etc/systemd/system/machine.target" <<-'UNIT'
		[Unit]
		Requires=sysinit.target systemd-journald.service
		After=sysinit.target systemd-journald.service
		AllowIsolate=yes
	UNIT
	chroot "$root" /bin/bash <"$setup"
	cd "$root"
	mkdir .outside
	pivot_root . .outside
	umount -l /.outside
	rmdir /.outside
	exec env -i container=hakmem-test PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LANG=C.UTF-8 setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time,-sys_boot,-syslog \
		/lib/systemd/systemd --unit=machine.target --show-status=no </dev/null
}

machine_start() {
	local setup=$1 state
	machine_find_cgroups || return 1
	machine_folder=$(mktemp -d)
	machine_group=$machine_cgroups/hakmem-test-$$
	mkdir "$machine_group" || return 1
	# It enters its group before it unshares that: then the group is its root.
	bash -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' - "$machine_group" setsid unshare \
		--mount --pid --fork --cgroup --uts --ipc --net --kill-child bash -c \
		'. "$0"; machine_inside "$@"' "${BASH_SOURCE[0]}" "$machine_folder" "$setup" \
		>"$machine_folder.log" 2>&1 &
	machine_launcher=$!
	for _ in $(seq 600); do
		kill -0 "$machine_launcher" 2>/dev/null || break
		machine_one=$(pgrep -P "$machine_launcher" | head -n 1)
		if [ "$(cat "/proc/$machine_one/comm" 2>/dev/null)" = systemd ]; then
			state=$(machine_run systemctl is-system-running 2>/dev/null)
			[ "$state" != running ] && [ "$state" != degraded ] || return 0
		fi
		sleep 0.1
	done
	echo "the machine doesn't come up: ${state:-no systemd yet}"
	cat "$machine_folder.log"
	return 1
}

machine_run() { nsenter -t "$machine_one" -m -u -i -n -p -C "$@"; }

machine_stop() {
	[ -n "${machine_launcher:-}" ] || return 0
	kill -KILL "$machine_launcher" 2>/dev/null # all that runs in it ends with it
	wait "$machine_launcher" 2>/dev/null
	for _ in $(seq 100); do
		find "$machine_group" -depth -type d -exec rmdir {} + 2>/dev/null
		[ -d "$machine_group" ] || break
		sleep 0.1
	done
	[ -z "${machine_mounted:-}" ] || { umount "$machine_cgroups" && rmdir "$machine_cgroups"; }
	rm -rf "$machine_folder" "$machine_folder.log"
	machine_launcher=
}
