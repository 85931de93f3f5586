// Signals, without handlers: those that ask for the end are blocked in every thread before the first one starts, and
// the main thread waits for them. A peer that is gone shows as an error of a write, a closed terminal not at all.

import Glibc

package enum Signals {
    private static var ends: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        return set
    }

    /// Call on the main thread before any other is started.
    package static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGHUP, SIG_IGN)
        var set = ends
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for the signal that asks for the end and returns it.
    package static func waitForEnd() -> Int32 {
        var set = ends
        var received: Int32 = 0
        while sigwait(&set, &received) != 0 {}
        return received
    }

    /// Lets a further SIGINT end the process at once, for people who do not want to wait for a clean end.
    package static func allowImpatience() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGINT)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// Asks the own process for the end; any thread.
    package static func requestEnd() { kill(getpid(), SIGTERM) }
}
