// `valk-inspect explain`: where a key's value comes from.

import ArgumentParser
import ValkBase
import ValkData
import ValkDisk
import ValkEngine

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows every version of a key that a start would know, with file, place and sequence.",
        discussion: """
            In a server's store KEY is the key that clients use, in database --db. In a program's store, and with --raw, \
            it is the stored key. \\xNN stands for a byte, \\\\ for a backslash.

            EXAMPLES
              valk-inspect explain data user:1000
              valk-inspect explain data 'bin\\x00key' --db 3
              valk-inspect explain data '\\x00\\x00\\x00\\x01\\x01user:1000' --raw
            """)

    @OptionGroup var store: StoreArguments

    @Argument(help: "The key.")
    var key: String

    @Option(help: "The database of a server's store.")
    var db = 0

    @Flag(help: "KEY is the key as it is stored.")
    var raw = false

    func validate() throws {
        guard let bytes = Text.parse(key) else { throw ValidationError("a wrong escape in '\(key)'") }
        guard bytes.count <= KeyEncoding.userKeyBytesMax else { throw ValidationError("the key is too long") }
        guard db >= 0 && db < 1 << 24 else { throw ValidationError("database \(db) does not exist") }
    }

    func run() throws {
        guard let bytes = Text.parse(key) else { return }
        try store.withStore { (disk, directory) throws(StoreError) in
            let manifest = try ManifestDump(disk: disk, directory: directory)
            var stored = bytes
            if manifest.isServerStore && !raw {
                let scratch = KeyScratch()
                defer { scratch.deallocate() }
                let namespace = try namespace(disk, directory, scratch)
                stored = bytes.withView { scratch.key(namespace, $0).array }
            }
            let found = try KeyExplanation.explain(disk: disk, directory: directory, key: stored)
            let keys = KeyText(isServerStore: manifest.isServerStore)
            if store.json { Output.line(json(found, keys).text) } else { show(found, keys) }
        }
    }

    /// Where the database lives now.
    private func namespace(
        _ disk: any Disk, _ directory: String, _ scratch: KeyScratch
    ) throws(StoreError) -> UInt32 {
        let entry = try KeyExplanation.explain(disk: disk, directory: directory, key: scratch.database(db).array)
        guard let value = entry.visible?.preview, value.count == 4 else { return UInt32(db) + 1 }
        return value.reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func show(_ found: KeyExplanation, _ keys: KeyText) {
        Output.line("stored key  \(Text.bytes(found.key))")
        if keys.isServerStore { Output.line("that is     \(keys.text(found.key))") }
        if let visible = found.visible {
            let expiry = visible.expireAt == 0 ? "" : "; expires \(Text.time(visible.expireAt))"
            Output.line("readers see sequence \(visible.sequence), \(visible.valueLength) bytes\(expiry)")
        } else {
            Output.line("readers see nothing: \(reason(found))")
        }
        for version in found.versions { show(version, keys) }
        for tombstone in found.tombstones {
            Output.line("range deletion, sequence \(tombstone.sequence), in \(tombstone.path)")
            Output.line("    \(Text.bytes(tombstone.lower))  up to  \(Text.bytes(tombstone.upper))")
        }
        for table in found.without {
            Output.line(
                "not in \(table.path)" + (table.filterSaysNo ? " (its filter says so)" : " (its filter lets it pass)"))
        }
    }

    private func reason(_ found: KeyExplanation) -> String {
        guard let newest = found.versions.first else { return "there is no version of the key" }
        return newest.kind == .delete ? "the newest version is a delete" : "range deletion \(newest.hiddenBy) hides it"
    }

    private func show(_ version: KeyVersion, _ keys: KeyText) {
        Output.line("sequence \(version.sequence): \(Text.kind(version.kind))")
        switch version.place {
        case .log(let path, let offset): Output.line("    in the log, \(path), key at offset \(offset)")
        case .table(let path, let run, let block, let offset):
            Output.line("    in a table of run \(run), \(path), block \(block) at offset \(offset)")
        }
        let flags = Text.flags(version.flags)
        if !flags.isEmpty { Output.line("    \(flags)") }
        if version.hiddenBy != 0 { Output.line("    hidden by range deletion \(version.hiddenBy)") }
        guard version.kind == .put else { return }
        Output.line("    \(keys.type(version.tag)), \(version.valueLength) bytes")
        if version.expireAt != 0 { Output.line("    expires \(Text.time(version.expireAt))") }
        if let pointer = version.pointer, let path = version.pointerPath {
            Output.line("    value at \(path) offset \(pointer.offset), CRC \(String(pointer.crc, radix: 16))")
        }
        if version.isNamedDead { Output.line("    dead: a newer version gave its value back") }
        if let fault = version.fault { Output.line("    DAMAGED: \(fault)") }
        if let preview = version.preview {
            Output.line("    = \(Text.bytes(preview))" + (version.valueLength > preview.count ? "…" : ""))
        }
    }

    private func json(_ found: KeyExplanation, _ keys: KeyText) -> JSON {
        .object([
            ("key", .string(Text.bytes(found.key))), ("keyText", .string(keys.text(found.key))),
            ("visibleSequence", found.visible.map { .unsigned($0.sequence) } ?? .null),
            ("versions", .array(found.versions.map(json))),
            (
                "rangeDeletions",
                .array(
                    found.tombstones.map {
                        .object([
                            ("sequence", .unsigned($0.sequence)), ("path", .string($0.path)),
                            ("lower", .string(Text.bytes($0.lower))), ("upper", .string(Text.bytes($0.upper))),
                        ])
                    })
            ),
        ])
    }

    private func json(_ version: KeyVersion) -> JSON {
        var fields: [(String, JSON)] = [
            ("sequence", .unsigned(version.sequence)), ("kind", .string(Text.kind(version.kind))),
            ("tag", .number(Int(version.tag))), ("flags", .number(Int(version.flags.rawValue))),
            ("expireAt", .unsigned(version.expireAt)), ("valueLength", .number(version.valueLength)),
            ("hiddenBy", .unsigned(version.hiddenBy)), ("dead", .bool(version.isNamedDead)),
            ("fault", version.fault.map { .string($0) } ?? .null),
        ]
        switch version.place {
        case .log(let path, let offset):
            fields += [("in", .string("log")), ("path", .string(path)), ("offset", .number(offset))]
        case .table(let path, let run, let block, let offset):
            fields += [
                ("in", .string("table")), ("path", .string(path)), ("run", .unsigned(run)), ("block", .number(block)),
                ("offset", .number(offset)),
            ]
        }
        if let pointer = version.pointer, let path = version.pointerPath {
            fields += [("valuePath", .string(path)), ("valueOffset", .number(Int(pointer.offset)))]
        }
        return .object(fields)
    }
}
