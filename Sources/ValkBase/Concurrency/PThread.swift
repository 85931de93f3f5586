// A named operating-system thread. The data path uses threads and not tasks: each loop and each worker owns its
// thread for its whole life.

import CValk
import Glibc

package final class PThread: @unchecked Sendable {  // Written before the thread starts, read by join only.
    private var handle = pthread_t()
    private var joined = false

    private final class Start {
        let name: String
        let nice: Int32
        let body: @Sendable () -> Void
        init(name: String, nice: Int32, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.nice = nice
            self.body = body
        }
    }

    /// Starts `body` on a new thread. `name` is cut to 15 bytes (the kernel's limit). `nice`: how far it steps back
    /// behind others where there are more threads than processors, 0 to 19.
    package init(
        name: String, nice: Int32 = 0, stackBytes: Int = 1 << 20, _ body: @escaping @Sendable () -> Void
    ) {
        let start = Unmanaged.passRetained(Start(name: String(name.prefix(15)), nice: nice, body: body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackBytes)
        let status = pthread_create(
            &handle, &attributes,
            { context in
                guard let context else { return nil }
                let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                valk_set_thread_name(start.name)
                // Of the calling thread alone, on Linux. That it cannot be had is no fault.
                if start.nice > 0 { _ = setpriority(__priority_which_t(0), 0, start.nice) }
                start.body()
                return nil
            }, start.toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(status == 0, "pthread_create failed with \(status)")
    }

    /// A thread that nobody joins gives itself back when it ends.
    deinit { if !joined { pthread_detach(handle) } }

    /// Whether the caller runs on this thread.
    package var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

    /// Waits for the thread's end. Call once.
    package func join() {
        precondition(!joined, "thread joined twice")
        joined = true
        pthread_join(handle, nil)
    }
}
