#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# deploy/container, as far as it can be checked without an engine: what is copied is what the build
# installs, programs find their libraries among the packages that are named, and take the
# arguments that they are given. files.sh BUILD; prints "ok" and "not ok" lines.
set -uo pipefail
build=$(readlink -f "${1:?a build}")
cd "$(dirname "$(readlink -f "$0")")/../.."

failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
judge() { # OK WHAT
	if [ "$1" -eq 0 ]; then
		echo "ok      $2"
	else
		failed=$((failed + 1))
		echo "not ok  $2"
	fi
}
file=deploy/container/Containerfile

DESTDIR=$work/out cmake --install "$build" --prefix /usr/local >/dev/null
judge $? "the build can be installed"
copied=$(grep -o '/out/usr/local/[^ ]*' $file)
for path in $copied; do
	compgen -G "$work$path" >/dev/null
	judge $? "$path is installed"
done

# Of what a program needs itself: packages know what they need.
packages=$(grep -oE '\blib[a-z0-9-]+[0-9]' $file | sort -u)
for program in $(grep -o '/usr/local/bin/[a-z-]*' $file | sort -u); do
	[ "$program" != /usr/local/bin/ ] || continue
	needed=$(readelf -d "$work/out$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	for library in $(ldd "$work/out$program" | awk '/=> \// { print $3 }' | grep -v hakmem); do
		grep -qxF "${library##*/}" <<<"$needed" || continue
		package=$(dpkg -S "$(readlink -f "$library")" "$library" 2>/dev/null | head -n 1 | cut -d: -f1)
		[ "$package" = libc6 ] || grep -qx "$package" <<<"$packages"
		judge $? "${program##*/}: $library is of $package, which is installed"
	done
done

mapfile -t words < <(sed -n 's/^CMD //p' $file | jq -r '.[]')
"$work/out/usr/local/bin/${words[0]}" "${words[@]:1}" --version >/dev/null
judge $? "${words[*]}"
/usr/bin/python3 - deploy/container/compose.yaml $file <<'PYTHON'
import re, sys, yaml
compose = yaml.safe_load(open(sys.argv[1]))
targets = re.findall(r"^FROM \S+ AS (\S+)", open(sys.argv[2]).read(), re.M)
for name, service in compose["services"].items():
    assert service["build"]["target"] in targets, name
    assert service["build"]["dockerfile"] == sys.argv[2], name
    for volume in service["volumes"]:
        assert volume.split(":")[0] in compose["volumes"], volume
    for other in service.get("depends_on", []):
        assert other in compose["services"], other
PYTHON
judge $? "compose.yaml names what is there"
echo "$failed failed"
[ $failed -eq 0 ]
