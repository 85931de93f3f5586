// `valk-inspect manifest`: the structure of a store.

import ArgumentParser
import ValkDisk
import ValkEngine

struct Manifest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the manifest: which tables, from where the log is replayed, how many keys.",
        discussion: """
            EXAMPLES
              valk-inspect manifest data
              valk-inspect manifest data --edits
            """)

    @OptionGroup var store: StoreArguments

    @Flag(help: "Show every edit as well.")
    var edits = false

    func run() throws {
        try store.withStore { (disk, directory) throws(StoreError) in
            let dump = try ManifestDump(disk: disk, directory: directory)
            if store.json { Output.line(json(dump).text) } else { show(dump) }
        }
    }

    private func show(_ dump: ManifestDump) {
        let keys = KeyText(isServerStore: dump.isServerStore)
        Output.line("manifest        \(dump.path), \(Text.count(dump.edits.count, "edit"))")
        Output.line("store           \(dump.storeId), made by \(dump.isServerStore ? "a server" : "a program")")
        Output.line("checkpoint      log \(dump.checkpoint), sequence \(dump.checkpointSequence)")
        Output.line("next            table \(dump.nextFileId), run \(dump.nextRunId)")
        if dump.tornBytes > 0 { Output.line("torn            \(dump.tornBytes) bytes of an unfinished edit") }
        for (namespace, counts) in dump.counts {
            Output.line(
                "namespace \(namespace)     \(counts.keys) keys, \(counts.expires) with expiry, "
                    + "\(counts.unknown) blind writes not looked at")
        }
        for tombstone in dump.rangeTombstones {
            Output.line(
                "range deletion  sequence \(tombstone.sequence): \(Text.bytes(tombstone.lower)) up to "
                    + Text.bytes(tombstone.upper))
        }
        var run: UInt64?
        for table in dump.tables {
            if table.run != run { Output.line("run \(table.run)") }
            run = table.run
            Output.line(
                "  table \(table.fileId): \(table.entries) entries (\(table.deletes) deletes), "
                    + "\(Text.size(Int(table.bytes))), sequences \(table.sequences.lowerBound) to "
                    + "\(table.sequences.upperBound)")
            Output.line("    \(keys.text(table.smallest))  to  \(keys.text(table.largest))")
            for share in table.segments {
                Output.line("    \(share.count) values, \(Text.size(Int(share.bytes))), in segment \(share.segment)")
            }
        }
        guard edits else { return }
        for edit in dump.edits {
            Output.line("edit \(edit.number) at offset \(edit.offset)")
            for item in edit.items { Output.line("  \(item)") }
        }
    }

    private func json(_ dump: ManifestDump) -> JSON {
        var fields: [(String, JSON)] = [
            ("path", .string(dump.path)), ("storeId", .string(dump.storeId.description)),
            ("isServerStore", .bool(dump.isServerStore)), ("fanOut", .number(Int(dump.fanOut))),
            (
                "checkpoint",
                .object([
                    ("segment", .number(Int(dump.checkpoint.segment))),
                    ("offset", .number(Int(dump.checkpoint.offset))),
                    ("sequence", .unsigned(dump.checkpointSequence)),
                ])
            ),
            ("nextTable", .unsigned(dump.nextFileId)), ("nextRun", .unsigned(dump.nextRunId)),
            ("tornBytes", .number(dump.tornBytes)),
            (
                "namespaces",
                .array(
                    dump.counts.map { namespace, counts in
                        .object([
                            ("namespace", .number(Int(namespace))), ("keys", .number(Int(counts.keys))),
                            ("expires", .number(Int(counts.expires))), ("blindWrites", .number(Int(counts.unknown))),
                        ])
                    })
            ),
            (
                "rangeDeletions",
                .array(
                    dump.rangeTombstones.map {
                        .object([
                            ("sequence", .unsigned($0.sequence)), ("lower", .string(Text.bytes($0.lower))),
                            ("upper", .string(Text.bytes($0.upper))),
                        ])
                    })
            ),
            ("tables", .array(dump.tables.map(json))),
        ]
        if edits {
            fields.append(
                (
                    "edits",
                    .array(
                        dump.edits.map {
                            .object([
                                ("number", .unsigned($0.number)), ("offset", .number($0.offset)),
                                ("items", .array($0.items.map { .string($0) })),
                            ])
                        })
                ))
        }
        return .object(fields)
    }

    private func json(_ table: ManifestDump.TableLine) -> JSON {
        .object([
            ("table", .unsigned(table.fileId)), ("path", .string(table.path)), ("run", .unsigned(table.run)),
            ("bytes", .unsigned(table.bytes)), ("entries", .unsigned(table.entries)),
            ("deletes", .unsigned(table.deletes)), ("blindWrites", .unsigned(table.unknownPriors)),
            ("sequenceMin", .unsigned(table.sequences.lowerBound)),
            ("sequenceMax", .unsigned(table.sequences.upperBound)), ("smallest", .string(Text.bytes(table.smallest))),
            ("largest", .string(Text.bytes(table.largest))),
            (
                "segments",
                .array(
                    table.segments.map {
                        .object([
                            ("segment", .number(Int($0.segment))), ("bytes", .unsigned($0.bytes)),
                            ("values", .unsigned($0.count)),
                        ])
                    })
            ),
        ])
    }
}
