// MULTI's queue and WATCH's keys of one connection.
//
// Queued commands are kept as one run of argument bytes and offsets into it: queueing costs one copy of the bytes and
// nothing per argument but 16 bytes. The pointers are made once, at EXEC.
//
// A watched key is entered in the registry, where writers mark it, and remembered with the time at which it expires, 0
// when it never does or was not there (or expired already). EXEC asks while it holds the stripes: a mark means that
// somebody wrote. A key that has expired since counts as changed, one that was already gone does not.

import ValkBase
import ValkRESP

final class Transaction {
    struct Queued {
        var command: Int32
        var firstArgument: Int
        var count: Int
    }

    struct Watched {
        var database: Int
        var key: [UInt8]
        var expireAt: UInt64
    }

    private(set) var queued: [Queued] = []
    private var spans: [(offset: Int, count: Int)] = []
    private var bytes = ByteBuffer()
    private var views: UnsafeMutablePointer<ByteView>?
    private(set) var watched: [Watched] = []
    private var watchedBytes = 0
    /// Of a watched key besides its bytes: the entries here and in the registry, and the head of the key's array.
    private static let bytesPerWatched = MemoryLayout<Watched>.stride + 32 + 32
    private let registry: WatchRegistry
    /// Entered in the registry once for each watched key.
    private let mark = WatchMark()
    /// Some queued command writes; some may need every key.
    var hasWrites = false
    /// Some queued command is one that CLIENT PAUSE WRITE holds back. A script that says it only reads is none, though
    /// it is among `hasWrites`: what it was when it was queued, it need not be any more when it runs.
    var isHeldWithWrites = false
    /// Some queued command may store more than there was.
    var storesMore = false
    /// Some queued command runs a script.
    var hasScripts = false
    /// Some queued command may wait long for the store's own work.
    var isLengthy = false

    init(_ registry: WatchRegistry) { self.registry = registry }

    deinit {
        unwatchAll()
        views?.deallocate()
    }

    var count: Int { queued.count }

    /// Bytes of the queued commands, for CLIENT LIST's multi-mem.
    var queuedBytes: Int { bytes.capacity + spans.count * 16 + queued.count * 24 }

    /// Bytes held in all.
    var memoryBytes: Int { queuedBytes + watchedBytes }

    func append(_ command: Int, _ arguments: ArgumentList) {
        queued.append(Queued(command: Int32(command), firstArgument: spans.count, count: arguments.count))
        for i in 0..<arguments.count {
            spans.append((bytes.count, arguments[i].count))
            bytes.append(arguments[i])
        }
    }

    /// Makes the argument views; call once, before `arguments(of:)`. Nothing is appended afterwards.
    func seal() {
        views?.deallocate()
        let made = UnsafeMutablePointer<ByteView>.allocate(capacity: max(1, spans.count))
        let base = UnsafeRawPointer(bytes.base)
        for (i, span) in spans.enumerated() {
            (made + i).initialize(to: ByteView(base: base + span.offset, count: span.count))
        }
        views = made
    }

    /// The arguments of the queued command at `index`, 0-based; valid until `clear`.
    func arguments(of index: Int) -> ArgumentList {
        guard let views else { preconditionFailure("transaction not sealed") }
        let command = queued[index]
        return ArgumentList(views: UnsafePointer(views + command.firstArgument), count: command.count)
    }

    /// Forgets the queued commands; watched keys stay.
    func clear() {
        queued.removeAll()
        spans.removeAll()
        bytes.release()
        views?.deallocate()
        views = nil
        hasWrites = false
        isHeldWithWrites = false
        storesMore = false
        hasScripts = false
        isLengthy = false
    }

    func isWatching(_ database: Int, _ key: ByteView) -> Bool {
        for w in watched where w.database == database && w.key.count == key.count {
            if w.key.withView({ $0 == key }) { return true }
        }
        return false
    }

    /// With the key's stripe held. `expireAt` is 0 for a key that does not expire or is not there.
    func watch(_ database: Int, _ key: ByteView, expireAt: UInt64) {
        let watch = Watched(database: database, key: key.array, expireAt: expireAt)
        watched.append(watch)
        watchedBytes += key.count + Self.bytesPerWatched
        registry.add(database, watch.key, mark)
    }

    /// Whether no watched key has changed since it was watched; with the stripes of all of them held. `now` in
    /// milliseconds since 1970.
    func watchedKeysStand(at now: UInt64) -> Bool {
        !mark.isTouched && !watched.contains { $0.expireAt != 0 && $0.expireAt <= now }
    }

    func unwatchAll() {
        for watch in watched { registry.remove(watch.key, mark) }
        watched.removeAll()
        watchedBytes = 0
        mark.reset()
    }
}

extension Connection {
    /// Ends MULTI without running anything and forgets the watched keys.
    func discardTransaction() {
        state.pointee.flags.subtract([.multi, .transactionBroken, .watching])
        transaction?.clear()
        transaction?.unwatchAll()
    }
}
