// C shims for Valk: what Swift cannot call directly (GNU-only system calls, atomics on raw memory, long double
// text, hardware checksums). Everything small is static inline so that it disappears into the Swift caller.
// Symbols carry the prefix `valk_`. Nothing here keeps state.
#ifndef CVALK_H
#define CVALK_H

// Without _GNU_SOURCE, like every other C module: system types must look the same to the compiler in all of them.
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include "valk_lines.h"

/// For the body of a loop that waits for another thread for less than a microsecond or two.
static inline void valk_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// MARK: Atomics on raw memory. Swift's Atomic cannot live inside an arena; these can.
static inline uint64_t valk_load_acquire_u64(const void *p) {
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
}
static inline void valk_store_release_u64(void *p, uint64_t v) { __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELEASE); }
static inline uint64_t valk_load_relaxed_u64(const void *p) {
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
}
static inline void valk_store_relaxed_u64(void *p, uint64_t v) { __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED); }
static inline uint64_t valk_fetch_add_u64(void *p, uint64_t v) {
    return __atomic_fetch_add((uint64_t *)p, v, __ATOMIC_RELAXED);
}
static inline uint64_t valk_fetch_or_u64(void *p, uint64_t v) {
    return __atomic_fetch_or((uint64_t *)p, v, __ATOMIC_ACQ_REL);
}
static inline bool valk_cas_u64(void *p, uint64_t expected, uint64_t desired) {
    return __atomic_compare_exchange_n((uint64_t *)p, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline uint32_t valk_load_acquire_u32(const void *p) {
    return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
}
static inline void valk_store_release_u32(void *p, uint32_t v) { __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELEASE); }
static inline bool valk_cas_u32(void *p, uint32_t expected, uint32_t desired) {
    return __atomic_compare_exchange_n((uint32_t *)p, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline uint32_t valk_fetch_add_u32(void *p, uint32_t v) {
    return __atomic_fetch_add((uint32_t *)p, v, __ATOMIC_ACQ_REL);
}
static inline uint32_t valk_fetch_sub_u32(void *p, uint32_t v) {
    return __atomic_fetch_sub((uint32_t *)p, v, __ATOMIC_ACQ_REL);
}
static inline uint8_t valk_load_acquire_u8(const void *p) {
    return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE);
}
static inline void valk_store_release_u8(void *p, uint8_t v) { __atomic_store_n((uint8_t *)p, v, __ATOMIC_RELEASE); }
static inline void valk_cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}
// MARK: Small searches, written so that the compiler turns them into vector instructions.
/// Of the first `count` of 16 bytes, the least that is not below `low`: byte << 4 | place, or -1. Reads all 16.
static inline int32_t valk_least_byte16(const void *p, int32_t count, int32_t low) {
    const uint8_t *bytes = (const uint8_t *)p;
    int16_t best = INT16_MAX;
    for (int16_t i = 0; i < 16; i++) {
        int16_t candidate = (int16_t)(bytes[i] << 4 | i);
        candidate = bytes[i] >= low && i < count ? candidate : INT16_MAX;
        best = candidate < best ? candidate : best;
    }
    return best == INT16_MAX ? -1 : best;
}
/// The same of 4 bytes.
static inline int32_t valk_least_byte4(const void *p, int32_t count, int32_t low) {
    const uint8_t *bytes = (const uint8_t *)p;
    int32_t best = INT32_MAX;
    for (int32_t i = 0; i < 4; i++) {
        int32_t candidate = bytes[i] >= low && i < count ? bytes[i] << 4 | i : INT32_MAX;
        best = candidate < best ? candidate : best;
    }
    return best == INT32_MAX ? -1 : best;
}

static inline void valk_prefetch(const void *p) { __builtin_prefetch(p); }

// MARK: Checksums and hashes.
/// CRC32C (Castagnoli) of `length` bytes, continuing from `seed` (0 to begin). Uses the SSE4.2 / ARMv8
/// instruction where the processor has it, a table otherwise; both give the same value.
uint32_t valk_crc32c(uint32_t seed, const void *bytes, size_t length);
/// The portable form, for tests that compare the two.
uint32_t valk_crc32c_portable(uint32_t seed, const void *bytes, size_t length);
/// XXH3, 64 bits.
uint64_t valk_xxh3(const void *bytes, size_t length, uint64_t seed);

/// memmem: the first place of `needle` in `bytes`, or null.
const void *valk_find_bytes(const void *bytes, size_t length, const void *needle, size_t needle_length);

// MARK: Clocks.
static inline uint64_t valk_monotonic_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static inline uint64_t valk_wall_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

// MARK: System calls that Swift's importer cannot reach. All return -errno on failure.
/// preadv2 with one buffer and RWF_NOWAIT: -EAGAIN when the bytes are not in the page cache.
int64_t valk_pread_nowait(int fd, void *buffer, size_t length, int64_t offset);
int64_t valk_pread(int fd, void *buffer, size_t length, int64_t offset);
int64_t valk_pwrite(int fd, const void *buffer, size_t length, int64_t offset);
/// Writes up to two buffers in order (the second may be empty).
int64_t valk_pwritev2(int fd, const void *a, size_t alen, const void *b, size_t blen, int64_t offset);
/// flags: 1 read-write, 2 create, 4 exclusive, 8 O_DIRECT, 16 truncate. Always O_CLOEXEC. Mode 0644.
int valk_open(const char *path, int flags);
int valk_punch_hole(int fd, int64_t offset, int64_t length);
int valk_allocate(int fd, int64_t offset, int64_t length);
/// Never waits: -EWOULDBLOCK when somebody else holds the lock.
int valk_flock_exclusive(int fd);
/// Turns O_DIRECT on for an open file.
int valk_set_direct(int fd);
int valk_close(int fd);
int valk_fdatasync(int fd);
int valk_ftruncate(int fd, int64_t length);
int64_t valk_file_size(int fd);
int valk_rename(const char *source, const char *target);
int valk_link(const char *source, const char *target);
/// Removes a file, or a directory that is empty.
int valk_remove(const char *path);
/// 0 also when the directory is there already.
int valk_make_directory(const char *path);
int valk_sync_directory(const char *path);
/// 1 when something has this name, 0 when nothing has.
int valk_exists(const char *path);
/// Calls `each` with the name of every entry but "." and "..".
int valk_list_directory(const char *path, void *context, void (*each)(void *context, const char *name));
/// Bytes free for an unprivileged writer and total bytes of the file system of `path`.
int valk_disk_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes);
/// Allocated bytes (st_blocks * 512) of an open file, or -errno.
int64_t valk_allocated_bytes(int fd);
/// Names (hard links) of an open file, or -errno.
int64_t valk_link_count(int fd);
void valk_drop_cache(int fd, int64_t offset, int64_t length);
/// Has the system begin to read the range; does not wait for it.
void valk_will_need(int fd, int64_t offset, int64_t length);
/// Has the system begin to write the range to the device; does not wait for its end.
void valk_start_writing(int fd, int64_t offset, int64_t length);

// MARK: Sockets.
/// A non-blocking, close-on-exec eventfd, or -errno.
int valk_eventfd(void);
/// Accepts one connection, non-blocking and close-on-exec; its address goes to the 128 bytes at `address`. Or -errno.
int valk_accept(int fd, void *address);
/// bind(2); 0 or -errno. (Its C type depends on feature macros that differ between builds.)
int valk_bind(int fd, const void *address, unsigned length);
/// The address at this (`peer` false) or the other end, into 128 bytes. 0 or -errno.
int valk_socket_address(int fd, bool peer, void *address);

// MARK: Threads.
void valk_set_thread_name(const char *name);

// MARK: Process.
/// Bytes that the program holds from the C heap.
uint64_t valk_heap_bytes(void);
/// Bytes that the C heap has from the system.
uint64_t valk_heap_active_bytes(void);
/// Sets the C library's allocator for a server with a memory budget: threads share few heaps, and large blocks go back
/// to the system when they are freed. Before other threads are started.
void valk_tune_heap(void);
/// Hands free heap memory back to the system.
void valk_release_free_memory(void);
/// CPU time of this process, or of its children that have ended, in microseconds. 0 or -errno.
int valk_cpu_times(int children, uint64_t *user_us, uint64_t *system_us);
/// The same of the calling thread.
int valk_thread_cpu_times(uint64_t *user_us, uint64_t *system_us);
/// Whether a crash writes a report, with the stack of the thread that crashed, to the file at `path` or, when that is
/// empty, to standard output. `version` names the program.
void valk_report_crashes(bool on, const char *path, const char *version);
/// Crashes the process, for those who want to see the report.
_Noreturn void valk_crash(void);

// MARK: Numbers as text, with Redis's rules.
/// Parses a whole long double (no leading or trailing space, no nan). Returns false when it is not one.
bool valk_parse_long_double(const char *bytes, size_t length, void *out16);
/// Parses a whole double (at most 511 characters, no nan). Strict: neither empty nor with space in front nor out of
/// range; lenient: as strtod takes it. Returns false when it is not one.
bool valk_parse_double(const char *bytes, size_t length, bool lenient, double *out);
/// The nearest double of a long double.
double valk_long_double_value(const void *value16);
/// Adds two long doubles held in 16-byte slots. Returns false when the result is nan or infinite.
bool valk_add_long_double(void *accumulator16, const void *increment16);
/// Fixed notation with at most 17 decimals, trailing zeros removed (Redis's "human" form). Returns the length.
int valk_format_long_double(const void *value16, char *buffer, size_t capacity);
/// Fixed notation with `digits` decimals, without trailing zeros where it `trims`. Returns the length, 0 without room.
int valk_format_fixed(double value, int digits, bool trims, char *buffer, size_t capacity);
/// Shortest-ish double text as Redis prints it ("%.17g" and integers without a fraction). Returns the length.
int valk_format_double(double value, char *buffer, size_t capacity);

#endif
