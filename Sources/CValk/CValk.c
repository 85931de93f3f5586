// Out-of-line parts of the shims; see CValk.h for contracts.
#define _GNU_SOURCE
#include "CValk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const void *valk_find_bytes(const void *bytes, size_t length, const void *needle, size_t needle_length) {
    return memmem(bytes, length, needle, needle_length);
}

uint64_t valk_xxh3(const void *bytes, size_t length, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, length, seed);
}

// CRC32C, polynomial 0x1EDC6F41 (reflected 0x82F63B78), one byte at a time through a table.
static uint32_t crc_table[256];
__attribute__((constructor)) static void crc_table_init(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = (c & 1) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        crc_table[i] = c;
    }
}

uint32_t valk_crc32c_portable(uint32_t seed, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    uint32_t c = ~seed;
    while (length--) c = crc_table[(c ^ *p++) & 0xFF] ^ (c >> 8);
    return ~c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t seed, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    uint64_t c = (uint32_t)~seed;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
        p += 8;
        length -= 8;
    }
    uint32_t c32 = (uint32_t)c;
    while (length--) c32 = __builtin_ia32_crc32qi(c32, *p++);
    return ~c32;
}
uint32_t valk_crc32c(uint32_t seed, const void *bytes, size_t length) {
    if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(seed, bytes, length);
    return valk_crc32c_portable(seed, bytes, length);
}
#else
uint32_t valk_crc32c(uint32_t seed, const void *bytes, size_t length) {
    return valk_crc32c_portable(seed, bytes, length);
}
#endif

int64_t valk_pread_nowait(int fd, void *buffer, size_t length, int64_t offset) {
    struct iovec v = {buffer, length};
    ssize_t n;
    do { n = preadv2(fd, &v, 1, offset, RWF_NOWAIT); } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t valk_pread(int fd, void *buffer, size_t length, int64_t offset) {
    ssize_t n;
    do { n = pread(fd, buffer, length, offset); } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t valk_pwrite(int fd, const void *buffer, size_t length, int64_t offset) {
    ssize_t n;
    do { n = pwrite(fd, buffer, length, offset); } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t valk_pwritev2(int fd, const void *a, size_t alen, const void *b, size_t blen, int64_t offset) {
    struct iovec v[2] = {{(void *)a, alen}, {(void *)b, blen}};
    ssize_t n;
    do { n = pwritev(fd, v, blen ? 2 : 1, offset); } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int valk_open(const char *path, int flags) {
    int f = O_CLOEXEC | ((flags & 1) ? O_RDWR : O_RDONLY);
    if (flags & 2) f |= O_CREAT;
    if (flags & 4) f |= O_EXCL;
    if (flags & 8) f |= O_DIRECT;
    if (flags & 16) f |= O_TRUNC;
    int fd;
    do { fd = open(path, f, 0644); } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int valk_punch_hole(int fd, int64_t offset, int64_t length) {
    int r;
    do { r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length); } while (r && errno == EINTR);
    return r ? -errno : 0;
}

int valk_allocate(int fd, int64_t offset, int64_t length) {
    int r;
    do { r = fallocate(fd, 0, offset, length); } while (r && errno == EINTR);
    return r ? -errno : 0;
}

int valk_flock_exclusive(int fd) {
    int r;
    do { r = flock(fd, LOCK_EX | LOCK_NB); } while (r && errno == EINTR);
    return r ? -errno : 0;
}

int valk_set_direct(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    return fcntl(fd, F_SETFL, flags | O_DIRECT) ? -errno : 0;
}

// Not retried after EINTR: on Linux the descriptor is gone by then.
int valk_close(int fd) { return close(fd) ? -errno : 0; }

int valk_fdatasync(int fd) {
    int r;
    do { r = fdatasync(fd); } while (r && errno == EINTR);
    return r ? -errno : 0;
}

int valk_ftruncate(int fd, int64_t length) {
    int r;
    do { r = ftruncate(fd, length); } while (r && errno == EINTR);
    return r ? -errno : 0;
}

int64_t valk_file_size(int fd) {
    struct stat s;
    if (fstat(fd, &s)) return -errno;
    return (int64_t)s.st_size;
}

int valk_rename(const char *source, const char *target) { return rename(source, target) ? -errno : 0; }

int valk_link(const char *source, const char *target) { return link(source, target) ? -errno : 0; }

int valk_remove(const char *path) {
    if (!unlink(path)) return 0;
    if (errno != EISDIR) return -errno;
    return rmdir(path) ? -errno : 0;
}

int valk_make_directory(const char *path) {
    if (!mkdir(path, 0755)) return 0;
    if (errno != EEXIST) return -errno;
    struct stat s;
    if (stat(path, &s)) return -errno;
    return S_ISDIR(s.st_mode) ? 0 : -EEXIST;
}

int valk_sync_directory(const char *path) {
    int fd;
    do { fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); } while (fd < 0 && errno == EINTR);
    if (fd < 0) return -errno;
    int r;
    do { r = fsync(fd); } while (r && errno == EINTR);
    int code = r ? errno : 0;
    close(fd);
    // Some file systems have no way to sync a directory and say so with these two.
    return code == EINVAL || code == EBADF ? 0 : -code;
}

int valk_exists(const char *path) {
    struct stat s;
    if (!lstat(path, &s)) return 1;
    return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

int valk_list_directory(const char *path, void *context, void (*each)(void *context, const char *name)) {
    DIR *directory = opendir(path);
    if (!directory) return -errno;
    int code = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (!entry) {
            code = -errno;
            break;
        }
        const char *n = entry->d_name;
        if (n[0] == '.' && (!n[1] || (n[1] == '.' && !n[2]))) continue;
        each(context, n);
    }
    closedir(directory);
    return code;
}

int valk_disk_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes) {
    struct statvfs s;
    if (statvfs(path, &s)) return -errno;
    *free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
    *total_bytes = (uint64_t)s.f_blocks * s.f_frsize;
    return 0;
}

int64_t valk_allocated_bytes(int fd) {
    struct stat s;
    if (fstat(fd, &s)) return -errno;
    return (int64_t)s.st_blocks * 512;
}

int64_t valk_link_count(int fd) {
    struct stat s;
    if (fstat(fd, &s)) return -errno;
    return (int64_t)s.st_nlink;
}

void valk_drop_cache(int fd, int64_t offset, int64_t length) {
    (void)posix_fadvise(fd, offset, length, POSIX_FADV_DONTNEED);
}

void valk_will_need(int fd, int64_t offset, int64_t length) {
    (void)posix_fadvise(fd, offset, length, POSIX_FADV_WILLNEED);
}

void valk_start_writing(int fd, int64_t offset, int64_t length) {
    (void)sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

int valk_eventfd(void) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int valk_accept(int fd, void *address) {
    socklen_t length = sizeof(struct sockaddr_storage);
    int accepted = accept4(fd, address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return accepted < 0 ? -errno : accepted;
}

int valk_bind(int fd, const void *address, unsigned length) {
    return bind(fd, address, (socklen_t)length) ? -errno : 0;
}

int valk_socket_address(int fd, bool peer, void *address) {
    socklen_t length = sizeof(struct sockaddr_storage);
    return (peer ? getpeername(fd, address, &length) : getsockname(fd, address, &length)) ? -errno : 0;
}

void valk_set_thread_name(const char *name) { pthread_setname_np(pthread_self(), name); }

bool valk_parse_long_double(const char *bytes, size_t length, void *out16) {
    char text[5 * 1024];
    if (length == 0 || length >= sizeof(text)) return false;
    memcpy(text, bytes, length);
    text[length] = 0;
    char first = text[0];
    if (first == ' ' || (first >= '\t' && first <= '\r')) return false;
    char *end;
    errno = 0;
    long double v = strtold(text, &end);
    if (end != text + length || isnan(v)) return false;
    if (errno == ERANGE && (v == HUGE_VALL || v == -HUGE_VALL || fpclassify(v) == FP_ZERO)) return false;
    memset(out16, 0, 16);
    memcpy(out16, &v, sizeof v);
    return true;
}

double valk_long_double_value(const void *value16) {
    long double v;
    memcpy(&v, value16, sizeof v);
    return (double)v;
}

bool valk_parse_double(const char *bytes, size_t length, bool lenient, double *out) {
    /* Most are short integers, which doubles hold exactly. */
    size_t sign = length > 0 && bytes[0] == '-';
    if (length > sign && length - sign <= 15) {
        int64_t n = 0;
        size_t i = sign;
        while (i < length && (unsigned char)(bytes[i] - '0') <= 9) n = n * 10 + (bytes[i++] - '0');
        if (i == length) {
            *out = sign ? -(double)n : (double)n;
            return true;
        }
    }
    char text[512];
    if (length >= sizeof(text)) return false;
    memcpy(text, bytes, length);
    text[length] = 0;
    char first = text[0];
    if (!lenient && (length == 0 || first == ' ' || (first >= '\t' && first <= '\r'))) return false;
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end != text + length || isnan(v)) return false;
    if (!lenient && errno == ERANGE && (v == HUGE_VAL || v == -HUGE_VAL || fpclassify(v) == FP_ZERO)) return false;
    *out = v;
    return true;
}

bool valk_add_long_double(void *accumulator16, const void *increment16) {
    long double a, b;
    memcpy(&a, accumulator16, sizeof a);
    memcpy(&b, increment16, sizeof b);
    a += b;
    if (isnan(a) || isinf(a)) return false;
    memcpy(accumulator16, &a, sizeof a);
    return true;
}

int valk_format_long_double(const void *value16, char *buffer, size_t capacity) {
    long double v;
    memcpy(&v, value16, sizeof v);
    int n = snprintf(buffer, capacity, "%.17Lf", v);
    if (n < 0 || (size_t)n >= capacity) return 0;
    if (memchr(buffer, '.', (size_t)n)) {
        while (n > 0 && buffer[n - 1] == '0') n--;
        if (n > 0 && buffer[n - 1] == '.') n--;
    }
    if (n == 2 && buffer[0] == '-' && buffer[1] == '0') { buffer[0] = '0'; n = 1; }
    return n;
}

int valk_format_fixed(double value, int digits, bool trims, char *buffer, size_t capacity) {
    int n = snprintf(buffer, capacity, "%.*f", digits, value);
    if (n < 0 || (size_t)n >= capacity) return 0;
    if (trims && memchr(buffer, '.', (size_t)n)) {
        while (n > 0 && buffer[n - 1] == '0') n--;
        if (n > 0 && buffer[n - 1] == '.') n--;
    }
    return n;
}

int valk_format_double(double value, char *buffer, size_t capacity) {
    if (isinf(value)) return snprintf(buffer, capacity, value > 0 ? "inf" : "-inf");
    if (isnan(value)) return snprintf(buffer, capacity, "nan");
    if (value > -4503599627370496.0 && value < 4503599627370496.0 && value == (double)(long long)value) {
        if (capacity < 20) return 0;
        char digits[20];
        int n = 0, at = 0;
        uint64_t rest = (uint64_t)(value < 0 ? -value : value);
        do digits[n++] = (char)('0' + rest % 10); while ((rest /= 10) != 0);
        if (signbit(value)) buffer[at++] = '-';
        while (n > 0) buffer[at++] = digits[--n];
        return at;
    }
    return snprintf(buffer, capacity, "%.17g", value);
}

// MARK: Process.

uint64_t valk_heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
}

uint64_t valk_heap_active_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return (uint64_t)info.arena + (uint64_t)info.hblkhd;
}

void valk_tune_heap(void) {
    mallopt(M_ARENA_MAX, 4);
    // Larger than replies usually are, and not as large as it would become by itself.
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

void valk_release_free_memory(void) { malloc_trim(0); }

static int cpu_times(int who, uint64_t *user_us, uint64_t *system_us) {
    struct rusage usage;
    if (getrusage(who, &usage) != 0) return -errno;
    *user_us = (uint64_t)usage.ru_utime.tv_sec * 1000000u + (uint64_t)usage.ru_utime.tv_usec;
    *system_us = (uint64_t)usage.ru_stime.tv_sec * 1000000u + (uint64_t)usage.ru_stime.tv_usec;
    return 0;
}

int valk_cpu_times(int children, uint64_t *user_us, uint64_t *system_us) {
    return cpu_times(children ? RUSAGE_CHILDREN : RUSAGE_SELF, user_us, system_us);
}

int valk_thread_cpu_times(uint64_t *user_us, uint64_t *system_us) {
    return cpu_times(RUSAGE_THREAD, user_us, system_us);
}
