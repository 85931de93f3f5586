// DEBUG POPULATE: many keys at once, for tests.

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

extension Administration {
    private static let keysPerBatch = 500
    private static let bytesPerBatch = 16 << 20

    /// POPULATE <count> [<prefix> [<size>]]: makes `prefix:0`, `prefix:1`, … with the values `value:0` and so on,
    /// brought to `size` bytes with zeros; keys that are there stay as they are. Waits for the disk; batch by batch.
    func populate(_ connection: Connection, _ context: CommandContext) throws(Interruption) {
        let args = context.args
        guard let count = Decimal.parse(args[2]), count >= 0 else {
            return context.fail("ERR value is out of range, must be positive")
        }
        var size: Int64 = 0
        if args.count == 5 {
            guard let given = Decimal.parse(args[4]), given >= 0, given <= context.stringBytesMax else {
                return context.fail("ERR value is out of range, must be positive")
            }
            size = given
        }
        try context.needsWorker()
        let prefix = args.count > 3 ? args[3].array : Array("key".utf8)
        let server = connection.server
        let keys = KeyAccess(
            server.keyspace, reader: StoreReader(server.store, mayBlock: true), batch: WriteBatch())
        var next = 0
        while next < Int(count) {
            let end = min(Int(count), next + max(1, min(Self.keysPerBatch, Self.bytesPerBatch / max(1, Int(size)))))
            server.stripes.acquire(.all)
            defer { server.stripes.release(.all) }
            keys.start(now: context.now)
            keys.select(context.database)
            do throws(Interruption) {
                for n in next..<end { try Self.populate(keys, prefix + Array(":\(n)".utf8), n, Int(size)) }
                if !keys.batch.isEmpty { _ = try server.store.commit(keys.batch, mayBlock: true) }
            } catch {
                keys.abandon()
                throw error
            }
            keys.finished()
            next = end
        }
        context.reply.ok()
    }

    private static func populate(_ keys: KeyAccess, _ key: [UInt8], _ n: Int, _ size: Int) throws(Interruption) {
        let text = Array("value:\(n)".utf8)
        let count = size == 0 ? text.count : size
        let value = keys.allocate(max(1, count))
        for i in 0..<count { value.storeBytes(of: i < text.count ? text[i] : 0, toByteOffset: i, as: UInt8.self) }
        try key.withViewTyped { user throws(Interruption) in
            let was = try keys.look(user)
            if was.entry != nil { return }
            keys.put(
                user, tag: StringTag.plain, expireAt: 0, value: ByteView(base: UnsafeRawPointer(value), count: count),
                was: was)
        }
    }
}
