// Holds memory that nobody else uses, and hands it back when it is wanted.
//
// Some virtual machines give free memory back to their host after a moment; touching it again then costs a fault in the
// host, twenty times a normal first touch, and whichever server happens to meet such pages looks slow. This helper
// keeps the otherwise free memory in use, so that what a server takes was in use a moment before, for every server
// alike.
//
//   bench-memory LOW_MIB HIGH_MIB
//
// Takes pieces of 64 MiB while more than HIGH_MIB is free, gives pieces back while less than LOW_MIB is. Prints "ready"
// once it has taken what it can. Ends with SIGTERM, with its parent, or by the kernel before anything else if memory
// runs out.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { pieceBytes = 64 << 20, pieceCountMax = 16384 };

static long freeMebibytes(void) {
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file) return -1;
    while (kib < 0 && fgets(line, sizeof line, file)) sscanf(line, "MemFree: %ld", &kib);
    fclose(file);
    return kib / 1024;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: bench-memory LOW_MIB HIGH_MIB\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    FILE *score = fopen("/proc/self/oom_score_adj", "w");
    if (score) {
        fputs("1000", score);
        fclose(score);
    }
    long low = atol(argv[1]), high = atol(argv[2]);
    static void *pieces[pieceCountMax];
    int count = 0, ready = 0;
    for (;;) {
        long available = freeMebibytes();
        if (available < 0) return 1;
        if (available < low && count > 0) {
            munmap(pieces[--count], pieceBytes);
            continue;
        }
        if (available > high && count < pieceCountMax) {
            char *piece = mmap(NULL, pieceBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (piece != MAP_FAILED) {
                for (size_t i = 0; i < pieceBytes; i += 4096) piece[i] = 1;
                pieces[count++] = piece;
                continue;
            }
        }
        if (!ready) {
            ready = 1;
            printf("ready %d MiB\n", count * 64);
            fflush(stdout);
        }
        struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
}
