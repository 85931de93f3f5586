// The report of a crash: see CValk.h. Everything the handler calls may be called from a handler; what could allocate
// (the unwinder's library) is loaded beforehand. After the report the signal has its own effect, with a core file where
// the system keeps them.
#define _GNU_SOURCE
#include "CValk.h"
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_MAX = 100 };

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
static char log_path[4096];
static char version[64];
/// One thread reports; others that crash meanwhile wait for the end.
static int is_reporting;

static void put(int fd, const char *text) {
    ssize_t done = write(fd, text, strlen(text));
    (void)done;
}

static void put_number(int fd, uint64_t number, unsigned base) {
    char digits[32];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number && at > 0);
    put(fd, digits + at);
}

static const char *name_of(int number) {
    switch (number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    case SIGABRT: return "SIGABRT";
    default: return "SIGTRAP";
    }
}

static void report(int number, siginfo_t *info, void *context) {
    (void)context;
    if (__atomic_exchange_n(&is_reporting, 1, __ATOMIC_ACQ_REL)) {
        for (;;) pause();
    }
    int fd = log_path[0] ? open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : STDOUT_FILENO;
    if (fd < 0) fd = STDERR_FILENO;
    put(fd, "\n=== CRASH REPORT ===\nValk ");
    put(fd, version);
    put(fd, " crashed by signal: ");
    put_number(fd, (uint64_t)number, 10);
    put(fd, " (");
    put(fd, name_of(number));
    put(fd, ")\n");
    if (number == SIGSEGV || number == SIGBUS) {
        put(fd, "Accessing address: 0x");
        put_number(fd, (uint64_t)(uintptr_t)info->si_addr, 16);
        put(fd, "\n");
    } else if (info->si_code <= 0) {
        put(fd, "Sent by process: ");
        put_number(fd, (uint64_t)info->si_pid, 10);
        put(fd, "\n");
    }
    put(fd, "------ STACK TRACE ------\n");
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, count, fd);
    put(fd, "=== END OF CRASH REPORT ===\n");
    // The handlers are gone after one use: a fault happens again, and another signal is sent again.
    raise(number);
}

void valk_report_crashes(bool on, const char *path, const char *version_text) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    if (on) {
        strncpy(log_path, path, sizeof log_path - 1);
        strncpy(version, version_text, sizeof version - 1);
        void *frame;
        backtrace(&frame, 1);
        action.sa_sigaction = report;
        action.sa_flags = SA_SIGINFO | SA_RESETHAND;
    } else {
        action.sa_handler = SIG_DFL;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}

void valk_crash(void) {
    raise(SIGSEGV);
    abort();
}
