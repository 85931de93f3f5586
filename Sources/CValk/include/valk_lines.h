// Search in a line of sixteen 32-bit slots, each [tag 10 bits][value 22 bits], 0 for an empty one: one cache line,
// looked at with vector instructions where there are some. Other threads may write slots meanwhile; a slot is read as
// it was or as it is.
#ifndef VALK_LINES_H
#define VALK_LINES_H

#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// The first slot that is not empty and has this tag, -1 when there is none. `line` is aligned to 64 bytes.
__attribute__((no_sanitize("thread")))
static inline int32_t valk_line_find(const void *line, uint32_t tag) {
#if defined(__SSE2__)
    const __m128i *at = (const __m128i *)line;
    const __m128i wanted = _mm_set1_epi32((int)tag);
    const __m128i zero = _mm_setzero_si128();
    uint32_t found = 0;
    for (int i = 0; i < 4; i++) {
        __m128i slots = _mm_load_si128(at + i);
        __m128i same = _mm_cmpeq_epi32(_mm_srli_epi32(slots, 22), wanted);
        __m128i full = _mm_andnot_si128(_mm_cmpeq_epi32(slots, zero), same);
        found |= (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(full)) << (4 * i);
    }
    return found ? __builtin_ctz(found) : -1;
#else
    const uint32_t *slots = (const uint32_t *)line;
    for (int32_t i = 0; i < 16; i++) {
        if (slots[i] != 0 && slots[i] >> 22 == tag) return i;
    }
    return -1;
#endif
}

/// The slot with the least value; an empty one before all others.
__attribute__((no_sanitize("thread")))
static inline int32_t valk_line_least(const void *line) {
    const uint32_t *slots = (const uint32_t *)line;
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t value = slots[i] == 0 ? 0 : (slots[i] & 0x3FFFFF) + 1;
        uint32_t candidate = value << 4 | i;
        best = candidate < best ? candidate : best;
    }
    return (int32_t)(best & 15);
}

static inline uint32_t valk_load_relaxed_u32(const void *p) {
    return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
}
static inline void valk_store_relaxed_u32(void *p, uint32_t v) { __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELAXED); }

#endif
