# SPDX-License-Identifier: MIT
# To be sourced by what runs things that wait, or need one core.

# beside COMMAND...: in the background, once fewer than two are there; then wait ends when all have.
beside() {
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
	"$@" &
}
