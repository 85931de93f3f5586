// Mutual exclusion and waiting over pthreads. The standard library's Mutex is a priority-inheritance futex on Linux
// and does badly where threads contend, so contended places use this one.

import Glibc

/// A plain, non-recursive mutex. Heap-allocated, because a pthread mutex must not move. Who finds it taken looks again
/// some dozens of times before going to sleep: what it guards takes less time than a change of threads.
@usableFromInline
package final class Lock: @unchecked Sendable {  // The mutex is the synchronisation.
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>

    package init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
        precondition(pthread_mutex_init(mutex, &attributes) == 0, "pthread_mutex_init failed")
        pthread_mutexattr_destroy(&attributes)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    @inlinable
    package func lock() { pthread_mutex_lock(mutex) }

    @inlinable
    package func tryLock() -> Bool { pthread_mutex_trylock(mutex) == 0 }

    @inlinable
    package func unlock() { pthread_mutex_unlock(mutex) }

    @inlinable
    package func withLock<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        lock()
        defer { unlock() }
        return try body()
    }
}

/// A condition to wait for under a `Lock`. Waits return spuriously: always wait in a loop.
package final class Condition: @unchecked Sendable {  // The condition variable is the synchronisation.
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    package init() {
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        precondition(pthread_cond_init(condition, &attributes) == 0, "pthread_cond_init failed")
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
    }

    package func signal() { pthread_cond_signal(condition) }
    package func broadcast() { pthread_cond_broadcast(condition) }

    /// Waits with `lock` held; it is held again on return.
    package func wait(_ lock: Lock) { pthread_cond_wait(condition, lock.mutex) }

    /// As `wait`, at most until `deadline` (monotonic nanoseconds). Returns false when the time ran out.
    package func wait(_ lock: Lock, until deadline: UInt64) -> Bool {
        var t = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        return pthread_cond_timedwait(condition, lock.mutex, &t) == 0
    }
}
