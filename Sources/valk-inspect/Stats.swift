// `valk-inspect stats`: where the bytes of a store are.

import ArgumentParser
import ValkDisk
import ValkEngine

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows where a store's bytes are: runs, tables, log segments, keys.",
        discussion: """
            Reads the manifest and the log, not the tables. "Referenced" are the values in a segment that tables point at, \
            also from entries that newer ones hide.

            EXAMPLES
              valk-inspect stats data
              valk-inspect stats data --json
            """)

    @OptionGroup var store: StoreArguments

    func run() throws {
        try store.withStore { (disk, directory) throws(StoreError) in
            let figures = try StoreFigures(disk: disk, directory: directory)
            if store.json { Output.line(json(figures).text) } else { show(figures, directory) }
        }
    }

    private func show(_ figures: StoreFigures, _ directory: String) {
        let manifest = figures.manifest
        Output.line(
            "\(directory): store \(manifest.storeId), made by \(manifest.isServerStore ? "a server" : "a program")")
        Output.line(
            "tables   \(Text.size(Int(figures.tableBytes))) in \(Text.count(manifest.tables.count, "file")) and "
                + "\(Text.count(figures.runs.count, "run")), \(figures.entries) entries")
        for run in figures.runs {
            Output.line(
                "  run \(run.run): \(Text.count(run.files, "file")), \(Text.size(Int(run.bytes))), \(run.entries) entries, "
                    + "\(run.deletes) deletes")
        }
        Output.line(
            "log      \(Text.size(figures.logBytes)) on disk in \(Text.count(figures.segments.count, "segment")), "
                + Text.count(figures.spares, "spare"))
        for segment in figures.segments {
            if let fault = segment.fault {
                Output.line("  segment \(segment.number): \(fault)")
                continue
            }
            Output.line(
                "  segment \(segment.number): \(Text.size(segment.allocatedBytes)) on disk, \(Text.size(segment.usedBytes)) "
                    + "used, \(segment.records) records, values \(Text.size(segment.valueBytes)), referenced "
                    + "\(Text.size(Int(segment.referencedBytes)))\(segment.isTail ? ", replayed" : "")")
        }
        Output.line("replay   \(figures.tailRecords) records in \(Text.size(figures.tailBytes)) of frames")
        for (namespace, counts) in manifest.counts {
            Output.line(
                "keys     namespace \(namespace): \(counts.keys), \(counts.expires) with expiry, \(counts.unknown) blind "
                    + "writes not looked at; without what is to replay")
        }
        if figures.orphans > 0 {
            Output.line("orphans  \(Text.count(figures.orphans, "file")) that the next start removes")
        }
    }

    private func json(_ figures: StoreFigures) -> JSON {
        .object([
            ("storeId", .string(figures.manifest.storeId.description)),
            ("tableBytes", .unsigned(figures.tableBytes)), ("tables", .number(figures.manifest.tables.count)),
            ("entries", .unsigned(figures.entries)), ("logBytes", .number(figures.logBytes)),
            ("spareSegments", .number(figures.spares)), ("orphans", .number(figures.orphans)),
            ("recordsToReplay", .number(figures.tailRecords)), ("bytesToReplay", .number(figures.tailBytes)),
            (
                "runs",
                .array(
                    figures.runs.map {
                        .object([
                            ("run", .unsigned($0.run)), ("files", .number($0.files)), ("bytes", .unsigned($0.bytes)),
                            ("entries", .unsigned($0.entries)), ("deletes", .unsigned($0.deletes)),
                        ])
                    })
            ),
            (
                "segments",
                .array(
                    figures.segments.map {
                        .object([
                            ("segment", .number(Int($0.number))), ("fileBytes", .number($0.fileBytes)),
                            ("allocatedBytes", .number($0.allocatedBytes)), ("usedBytes", .number($0.usedBytes)),
                            ("records", .number($0.records)), ("valueBytes", .number($0.valueBytes)),
                            ("referencedBytes", .unsigned($0.referencedBytes)), ("isReplayed", .bool($0.isTail)),
                            ("fault", $0.fault.map { .string($0) } ?? .null),
                        ])
                    })
            ),
            (
                "namespaces",
                .array(
                    figures.manifest.counts.map {
                        .object([
                            ("namespace", .number(Int($0.namespace))), ("keys", .number(Int($0.counts.keys))),
                            ("expires", .number(Int($0.counts.expires))),
                            ("blindWrites", .number(Int($0.counts.unknown))),
                        ])
                    })
            ),
        ])
    }
}
