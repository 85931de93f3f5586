// DEBUG DIGEST and DEBUG DIGEST-VALUE: one SHA-1 for what is stored, the same on every server that stores the same.
//
// It is Redis's: values hash to what they hash to there, so that two servers can be compared whatever they run. What
// has no order (members, fields, keys) is joined by exclusive or, what has one by hashing on.

import CValk
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP
import ValkScripting

private struct DataDigest {
    private var a: UInt64 = 0
    private var b: UInt64 = 0
    private var c: UInt32 = 0

    init() {}

    mutating func join(_ bytes: ByteView) {
        let hash = ScriptDigest(of: bytes)
        a ^= hash.a
        b ^= hash.b
        c ^= hash.c
    }

    mutating func join(_ text: StaticString) { join(ByteView(text)) }

    mutating func join(_ other: DataDigest) { other.withBytes { join($0) } }

    mutating func goOn(_ bytes: ByteView) {
        join(bytes)
        let hash = withBytes { ScriptDigest(of: $0) }
        a = hash.a
        b = hash.b
        c = hash.c
    }

    private func withBytes<R>(_ body: (ByteView) -> R) -> R {
        withUnsafeBytes(of: (a.bigEndian, b.bigEndian, UInt64(c.bigEndian))) { body(ByteView($0)[0..<20]) }
    }

    mutating func goOn(number: UInt32) {
        withUnsafeBytes(of: number.bigEndian) { goOn(ByteView($0)) }
    }

    /// As `%.17g` writes it.
    mutating func goOn(score: Double) {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { room in
            guard let base = room.baseAddress else { return }
            let count = Int(valk_format_double(score, base.assumingMemoryBound(to: CChar.self), 64))
            goOn(ByteView(base: base, count: count))
        }
    }

    var digits: String {
        func hexadecimal(_ value: some FixedWidthInteger, _ count: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: count - text.count) + text
        }
        return hexadecimal(a, 16) + hexadecimal(b, 16) + hexadecimal(c, 8)
    }
}

extension Administration {
    /// DIGEST: of all databases.
    func digestAll(_ context: CommandContext) throws(Interruption) {
        try context.needsWorker()
        let keys = context.keys
        let database = context.database
        defer { keys.select(database) }
        var whole = DataDigest()
        for number in 0..<keys.keyspace.databaseCount {
            keys.select(number)
            let cursor = try keys.cursor(from: .empty, to: nil)
            try cursor.seekToFirst()
            var isFirst = true
            while cursor.isValid {
                if !keys.isExpired(cursor.entry) {
                    if isFirst { whole.goOn(number: UInt32(number)) }
                    isFirst = false
                    var digest = DataDigest()
                    digest.goOn(KeyEncoding.userKey(cursor.key))
                    try add(context, cursor.entry, to: &digest)
                    whole.join(digest)
                }
                try cursor.next()
            }
        }
        context.reply.simple(text: whole.digits)
    }

    /// DIGEST-VALUE key …: of each value alone.
    func digestValues(_ context: CommandContext) throws(Interruption) {
        var digests: [String] = []
        for i in 2..<max(2, context.args.count) {
            var digest = DataDigest()
            if let entry = try context.keys.find(context.args[i]) {
                try add(context, entry, to: &digest)
            }
            digests.append(digest.digits)
        }
        context.reply.array(digests.count)
        for digest in digests { context.reply.simple(text: digest) }
    }

    private func add(
        _ context: CommandContext, _ entry: UnsafePointer<Entry>, to digest: inout DataDigest
    ) throws(Interruption) {
        let keys = context.keys
        let expires = entry.pointee.expireAt != 0
        guard let type = ValueType(tag: entry.pointee.tag) else { throw .damaged }
        switch type {
        case .string:
            digest.goOn(number: 0)
            digest.goOn(try keys.value(entry))
        case .list:
            digest.goOn(number: 1)
            try each(keys, try keys.collection(entry, type), ElementKind.position) { walk throws(Interruption) in
                digest.goOn(try walk.value())
            }
        case .set:
            digest.goOn(number: 2)
            try each(keys, try keys.collection(entry, type), ElementKind.member) { walk in digest.join(walk.member) }
        case .sortedSet:
            digest.goOn(number: 3)
            try each(keys, try keys.collection(entry, type), ElementKind.score) { walk in
                let (score, member) = walk.scored
                var element = DataDigest()
                element.goOn(member)
                element.goOn(score: score)
                digest.join(element)
            }
        case .hash:
            digest.goOn(number: 4)
            try each(keys, try keys.collection(entry, type), ElementKind.member) { walk throws(Interruption) in
                var element = DataDigest()
                element.goOn(walk.member)
                element.goOn(try walk.value())
                if walk.expireAt != 0 { element.join("!!hexpire!!") }
                digest.join(element)
            }
        case .stream:
            digest.goOn(number: 6)
            try each(keys, try keys.collection(entry, type), ElementKind.entry) { walk throws(Interruption) in
                let id = StreamID(walk.key, at: 1)
                Array("\(id.milliseconds).\(id.sequence)".utf8).withView { digest.goOn($0) }
                StreamFields.forEach(try walk.value()) { digest.goOn($0) }
            }
        }
        if expires { digest.join("!!expire!!") }
    }

    private func each(
        _ keys: KeyAccess, _ collection: Collection, _ kind: UInt8,
        _ body: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) {
        if collection.count == 0 { return }
        var walk = try ElementWalk(keys, collection, kind)
        try walk.seekToFirst()
        while walk.isValid {
            if !walk.isExpired { try body(walk) }
            try walk.next()
        }
    }
}
