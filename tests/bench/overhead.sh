#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# overhead.sh BUILD: a full heap of blocks of one size, 64 bytes or more, takes less than 3 % beyond
# the blocks, metadata included; what bench/overhead.sh writes is what it promises.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

bash bench/overhead.sh --build "$build" --output "$directory" \
	--sizes 16,64,100,256,4096,5120,12288,20480,24576,26624,32768,65536,1048576

holds() { # CLAIM JQ-EXPRESSION
	jq -e "$2" "$directory/overhead.json" >/dev/null || { echo "not so: $1" >&2 && exit 1; }
}
holds "each row has its members" '(.rows | length == 13) and (.rows | all(.blocks > 0 and
	.payload_bytes == .blocks * .size and .class_bytes >= .size and .private_bytes > 0 and
	.percent_of_class > 0 and .percent_of_class <= .percent_of_requested))'
holds "the pool was full" '.rows | all(.granted_bytes == 268435456)'
holds "pages of the pool are counted" '.rows | all(.resident_bytes > .granted_bytes)'
holds "64 bytes and more cost less than 3 %" \
	'.rows | all(.size < 64 or .percent_of_class < 3)'
holds "a size between two classes costs more" \
	'.rows | any(.size == 100 and .percent_of_requested > 10)'
