// Latencies of one load generator: a histogram and its percentiles. Included by programs of one file and one thread.

#include <stdint.h>

enum { bucketCount = 64 * 64 };
static uint64_t histogram[bucketCount], latencyMax;

// Buckets of 1/64 of a power of two, in microseconds.
static void record(uint64_t nanoseconds) {
    uint64_t us = nanoseconds / 1000 + 1;
    int power = 63 - __builtin_clzll(us);
    uint64_t sub = power >= 6 ? (us >> (power - 6)) & 63 : (us << (6 - power)) & 63;
    histogram[power * 64 + (int)sub]++;
    if (nanoseconds > latencyMax) latencyMax = nanoseconds;
}

static double percentile(double part) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < bucketCount; i++) total += histogram[i];
    for (int i = 0; i < bucketCount; i++) {
        seen += histogram[i];
        if (total && (double)seen >= part * (double)total) {
            double low = (double)(1ull << (i / 64));
            return low * (1 + (i % 64 + 1) / 64.0) / 1000;
        }
    }
    return 0;
}
