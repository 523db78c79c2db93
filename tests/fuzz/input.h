/* SPDX-License-Identifier: MIT */
#ifndef HAKT_FUZZ_INPUT_H
#define HAKT_FUZZ_INPUT_H

/*
 * What a fuzzer's bytes are read as, from the front. Behind their end all is 0,
 * so that a prefix of an input is an input.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct hakt_input {
	const uint8_t *bytes;
	size_t n;
};

/* A claim that fails is a finding. */
#define HAKT_CLAIM(claim)                                              \
	do {                                                           \
		if (!(claim))                                          \
			hakt_claim_failed(__FILE__, __LINE__, #claim); \
	} while (0)
void hakt_claim_failed(const char *file, int line, const char *claim) __attribute__((noreturn));

/* The entry point of a target, as libFuzzer calls it: 0. */
__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static inline uint64_t hakt_input_take(struct hakt_input *input, size_t n)
{
	uint64_t value = 0;

	if (n > input->n)
		n = input->n;
	memcpy(&value, input->bytes, n);
	input->bytes += n;
	input->n -= n;
	return value;
}

/* Two calls in one expression have no order of their own: each gets a statement. */
static inline uint8_t hakt_input_byte(struct hakt_input *input)
{
	return (uint8_t)hakt_input_take(input, 1);
}

/* 0 to n - 1, n up to 256. */
static inline unsigned hakt_input_pick(struct hakt_input *input, unsigned n)
{
	return hakt_input_byte(input) % n;
}

/* A slot of a pool of n SuperSlabs. */
static inline uint32_t hakt_input_slot(struct hakt_input *input, uint32_t n, uint32_t per)
{
	uint32_t superslab = hakt_input_pick(input, n);

	return superslab * per + hakt_input_pick(input, per);
}

/* Mostly a number below n; now and then one that is nobody's, or any of 32 bits. */
static inline uint32_t hakt_input_index(struct hakt_input *input, uint32_t n)
{
	uint8_t byte = hakt_input_byte(input);

	if (byte < 240)
		return byte % n;
	if (byte < 248)
		return n + byte - 240;
	return byte == 255 ? UINT32_MAX : (uint32_t)hakt_input_take(input, 4);
}

#endif
