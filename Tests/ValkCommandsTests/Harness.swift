// Runs commands against a store as the dispatcher does, without sockets: arguments in, reply out as text.
//
// Replies are written the short way: OK and PONG as they are, `:1` for integers, `"text"` for bulk strings (bytes
// outside printable ASCII as \xNN), `nil`, `-ERR …`, `[a b]` for arrays and `{k v}` for maps, `,1.5` `#t` for RESP3.

import Testing
import ValkBase
import ValkCommands
import ValkData
import ValkDisk
import ValkEngine
import ValkRESP
import ValkTestSupport

final class Harness {
    let folder = TemporaryFolder()
    let clock = ManualClock()
    let databaseCount: Int
    private(set) var store: Store
    private(set) var keyspace: Keyspace
    private(set) var context: CommandContext
    let table = CommandTable(
        CommandSpecs.data.map { spec in
            var spec = spec
            spec.subcommands.removeAll { if case .unattached = $0.action { true } else { false } }
            return spec
        })
    var database = 0
    var version: UInt8 = 2
    private let out: UnsafeMutablePointer<ByteBuffer>

    private let bookmarkCount: Int

    private let hasFilter: Bool

    /// `filter`: merges leave out dead elements.
    init(databases: Int = 16, bookmarks: Int = ScanBookmarks.countMax, filter: Bool = false) throws {
        hasFilter = filter
        databaseCount = databases
        bookmarkCount = bookmarks
        store = try Harness.open(folder.path, hasFilter)
        keyspace = try Keyspace(store, databaseCount: databases, bookmarkCountMax: bookmarks)
        context = Harness.makeContext(keyspace)
        out = .allocate(capacity: 1)
        out.initialize(to: ByteBuffer())
    }

    deinit {
        out.deinitialize(count: 1)
        out.deallocate()
        try? store.close()
    }

    private static func open(_ path: String, _ hasFilter: Bool) throws -> Store {
        var options = StoreOptions(path: path)
        options.countsNamespaces = true
        if hasFilter { options.mergeFilter = CollectionFilter() }
        options.tableBytes = 1 << 20
        options.memoryBytes = 32 << 20
        options.segmentBytes = 4 << 20
        return try Store.open(options, disk: PosixDisk())
    }

    private static func makeContext(_ keyspace: Keyspace) -> CommandContext {
        let reader = StoreReader(keyspace.store, mayBlock: true)
        return CommandContext(keys: KeyAccess(keyspace, reader: reader, batch: WriteBatch()), seed: 1)
    }

    /// Closes the store and opens it again.
    func reopen() throws {
        try store.close()
        store = try Harness.open(folder.path, hasFilter)
        keyspace = try Keyspace(store, databaseCount: databaseCount, bookmarkCountMax: bookmarkCount)
        context = Harness.makeContext(keyspace)
    }

    var now: UInt64 { clock.milliseconds() }

    /// One command as one transaction.
    @discardableResult
    func run(_ words: String...) -> String { run(words) }

    @discardableResult
    func run(_ words: [String]) -> String { run(bytes: words.map { Array($0.utf8) }) }

    @discardableResult
    func run(bytes words: [[UInt8]]) -> String {
        transaction { execute(words) }
        return takeReply()
    }

    /// The bytes of a command's bulk string.
    func bulk(_ words: String...) -> [UInt8] {
        transaction { execute(words.map { Array($0.utf8) }) }
        defer { out.pointee.removeAll() }
        let bytes = out.pointee.view.array
        guard let end = bytes.firstIndex(of: 0x0A) else { return [] }
        return Array(bytes[(end + 1)...].dropLast(2))
    }

    /// Several commands as one EXEC.
    func exec(_ commands: [[String]]) -> [String] {
        transaction { for words in commands { execute(words.map { Array($0.utf8) }) } }
        var bytes = out.pointee.view.array[...]
        out.pointee.removeAll()
        return commands.map { _ in render(&bytes) }
    }

    /// A command whose transaction is abandoned.
    func undo(_ words: [String]) {
        context.start(now: now)
        execute(words.map { Array($0.utf8) })
        context.abandon()
        out.pointee.removeAll()
    }

    private func transaction(_ body: () -> Void) {
        context.start(now: now)
        body()
        do {
            if !context.batch.isEmpty {
                let position = try store.commit(context.batch, mayBlock: true)
                _ = try store.flushLog(position)
            }
            context.finished()
            if context.keys.hasNoted {
                _ = try context.keys.removeNoted(now: now, tryLock: { _ in true }, unlock: { _ in })
            }
        } catch {
            Issue.record("commit: \(error)")
            context.abandon()
        }
    }

    private func execute(_ words: [[UInt8]]) {
        // The bytes must stay until the commit, as a connection's input does.
        let total = words.reduce(1) { $0 + $1.count }
        let memory = context.keys.allocate(total)
        let views = context.keys.allocate(words.count * 16 + 16).bindMemory(
            to: ByteView.self, capacity: words.count + 1)
        var at = memory
        for (i, word) in words.enumerated() {
            word.withUnsafeBytes { at.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(at), byteCount: word.count) }
            (views + i).initialize(to: ByteView(base: at, count: word.count))
            at += word.count
        }
        let args = ArgumentList(views: views, count: words.count)
        context.prepare(args: args, reply: ReplyWriter(out: out, version: version), database: database)
        let index = table.resolve(args[0], words.count > 1 ? args[1] : nil)
        guard index >= 0, table.entries[index].hostedID < 0, !table.entries[index].isContainer else {
            return context.fail("ERR unknown command '\(args[0].string)'")
        }
        guard table.entries[index].accepts(argumentCount: words.count) else {
            return context.failArity(table.fullNames[index])
        }
        do {
            try table.run(index, context)
        } catch {
            Issue.record("\(args[0].string): \(error)")
        }
    }

    private func takeReply() -> String {
        var bytes = out.pointee.view.array[...]
        out.pointee.removeAll()
        let text = render(&bytes)
        #expect(bytes.isEmpty, "bytes after the reply")
        return text
    }

    // MARK: Replies as text

    private func line(_ bytes: inout ArraySlice<UInt8>) -> String {
        guard let end = bytes.firstIndex(of: 0x0D) else { return "?" }
        let text = String(decoding: bytes[bytes.startIndex..<end], as: UTF8.self)
        bytes = bytes[(end + 2)...]
        return text
    }

    private func render(_ bytes: inout ArraySlice<UInt8>) -> String {
        let head = line(&bytes)
        let rest = String(head.dropFirst())
        switch head.first {
        case "+": return rest
        case "$":
            guard let count = Int(rest), count >= 0 else { return "nil" }
            let start = bytes.startIndex
            let body = bytes[start..<start + count]
            bytes = bytes[(start + count + 2)...]
            return "\"" + body.map { $0 >= 0x20 && $0 < 0x7F ? String(UnicodeScalar($0)) : hex($0) }.joined() + "\""
        case "*", "~", ">":
            guard let count = Int(rest), count >= 0 else { return "nil" }
            return "[" + (0..<count).map { _ in render(&bytes) }.joined(separator: " ") + "]"
        case "%":
            return "{" + (0..<(Int(rest) ?? 0) * 2).map { _ in render(&bytes) }.joined(separator: " ") + "}"
        case "_": return "nil"
        default: return head
        }
    }

    private func hex(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return "\\x" + (digits.count == 1 ? "0" : "") + digits
    }
}
