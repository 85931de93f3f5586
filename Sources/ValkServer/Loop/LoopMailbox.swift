// How other threads talk to a loop: a list under a lock and an eventfd. A batch of messages costs one wake-up, because
// only the post into an empty box writes to the descriptor. Never used per command of an undisturbed connection.

import CValk
import Glibc
import ValkBase

enum LoopMessage {
    /// Runs on the loop.
    case run(@Sendable (EventLoop) -> Void)
    /// An accepted socket becomes a connection of this loop.
    case adopt(descriptor: Int32, peer: SocketPeer)
    /// The worker has finished the connection's command.
    case completed(Connection)
    /// The log is safe further than before.
    case logAdvanced
}

final class LoopMailbox: @unchecked Sendable {  // `messages` is under the lock.
    let descriptor: Int32
    private let lock = Lock()
    private var messages: [LoopMessage] = []

    init() {
        descriptor = valk_eventfd()
        precondition(descriptor >= 0, "eventfd failed with errno \(-descriptor)")
    }

    deinit { close(descriptor) }

    func post(_ message: LoopMessage) {
        lock.lock()
        let wasEmpty = messages.isEmpty
        messages.append(message)
        lock.unlock()
        if wasEmpty { wake() }
    }

    private func wake() {
        var one: UInt64 = 1
        // EAGAIN means that the counter is full: the loop is awake anyway.
        _ = write(descriptor, &one, 8)
    }

    /// Takes all messages; `into` is empty and gives its capacity in exchange.
    func take(into taken: inout [LoopMessage]) {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
        lock.lock()
        swap(&messages, &taken)
        lock.unlock()
    }
}
