// A command of several keys that came to a worker came because something of it was not in memory: before it runs, the
// device is asked for what all of its keys need, so that it is waited for once and not once a key.

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

extension Executor {
    /// Asks ahead for the keys of a command whose keys are at fixed places, and for those that a script names. May
    /// wait; no stripe need be held.
    func readAhead(_ s: UnsafeMutablePointer<ConnectionState>, _ index: Int, _ arguments: ArgumentList) {
        let entry = entries[index]
        var first = Int(entry.firstKey)
        var last = 0
        if entry.flags.contains(.runsScripts) {
            // The number of keys, then the keys.
            first = 3
            last = 2 + Int(clamping: min(Decimal.parse(arguments[2]) ?? 0, Int64(arguments.count)))
        } else if first <= 0 || entry.keysMove {
            return
        } else {
            last = entry.lastKey < 0 ? arguments.count + Int(entry.lastKey) : Int(entry.lastKey)
        }
        last = min(last, arguments.count - 1)
        let step = max(1, Int(entry.keyStep))
        if last < first + step { return }
        let namespace = server.keyspace.namespace(Int(s.pointee.database))
        var bytes = ByteBuffer()
        var at = first
        while at <= last {
            // One portion of keys after the other.
            var lengths: [Int] = []
            bytes.removeAll()
            while at <= last && lengths.count < StoreReader.readAheadKeysMax {
                let key = arguments[at]
                at += step
                if key.count > KeyEncoding.userKeyBytesMax { continue }
                let written = KeyEncoding.write(
                    namespace, key, to: bytes.reserve(key.count + KeyEncoding.prefixBytes))
                bytes.advance(written.count)
                lengths.append(written.count)
            }
            var views: [ByteView] = []
            var start = 0
            for length in lengths {
                views.append(bytes.view[start..<start + length])
                start += length
            }
            views.withUnsafeBufferPointer { keys in
                if let base = keys.baseAddress { context.keys.reader.readAhead(base, keys.count) }
            }
        }
    }
}
