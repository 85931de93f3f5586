// `valk-inspect table` and `valk-inspect segment`: single files.

import ArgumentParser
import ValkBase
import ValkDisk
import ValkEngine

struct TableFile: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table",
        abstract: "Shows a table file: what it says of itself, its blocks, its entries.",
        discussion: """
            With --entries the whole file is proved on the way.

            EXAMPLES
              valk-inspect table data/tables/0000000000000001.vsst
              valk-inspect table data/tables/0000000000000001.vsst --blocks
              valk-inspect table data/tables/0000000000000001.vsst --entries --limit 20
            """)

    @Argument(help: "The table file.")
    var file: String

    @Flag(help: "Show every block: offset, bytes in the file, bytes of content, separator.")
    var blocks = false

    @Flag(help: "Show the entries.")
    var entries = false

    @Option(help: "Show at most so many entries.")
    var limit = Int.max

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let disk = PosixDisk()
        let keys = KeyText(ofFile: file, disk: disk)
        try Output.reporting { () throws(StoreError) in
            let dump = try TableDump(disk: disk, path: file)
            if json {
                Output.line(try json(dump, keys).text)
                return
            }
            for (name, value) in dump.summary {
                Output.line(name + String(repeating: " ", count: max(1, 26 - name.count)) + value)
            }
            if blocks {
                for (i, block) in dump.blocks.enumerated() {
                    Output.line(
                        "block \(i) at offset \(block.offset): \(block.stored) bytes, \(block.content) of content, up to "
                            + Text.bytes(block.separator))
                }
            }
            guard entries else { return }
            var shown = 0
            try dump.forEach { line in
                shown += 1
                if shown <= limit { Output.line(TableFile.text(line, keys)) }
            }
            if shown > limit { Output.line("… \(shown - limit) more") }
        }
    }

    private static func text(_ line: TableDump.Line, _ keys: KeyText) -> String {
        var text = "block \(line.block)  sequence \(line.sequence)  \(Text.kind(line.kind))  \(keys.text(line.key))"
        if line.kind == .put { text += "  \(keys.type(line.tag))" }
        if line.expireAt != 0 { text += "  expires \(Text.time(line.expireAt))" }
        let flags = Text.flags(line.flags)
        if !flags.isEmpty { text += "  (\(flags))" }
        if let pointer = line.pointer {
            text += "  -> \(Text.pointer(pointer))"
        } else if line.kind == .put {
            text += "  = \(Text.bytes(line.preview))" + (line.valueLength > line.preview.count ? "…" : "")
        }
        return text
    }

    private func json(_ dump: TableDump, _ keys: KeyText) throws(StoreError) -> JSON {
        var fields: [(String, JSON)] = [
            ("path", .string(file)), ("summary", .object(dump.summary.map { ($0.name, .string($0.value)) })),
        ]
        if blocks {
            fields.append(
                (
                    "blocks",
                    .array(
                        dump.blocks.map {
                            .object([
                                ("offset", .number($0.offset)), ("stored", .number($0.stored)),
                                ("content", .number($0.content)), ("separator", .string(Text.bytes($0.separator))),
                            ])
                        })
                ))
        }
        if entries {
            var lines: [JSON] = []
            try dump.forEach { line in
                if lines.count < limit { lines.append(TableFile.json(line, keys)) }
            }
            fields.append(("entries", .array(lines)))
        }
        return .object(fields)
    }

    private static func json(_ line: TableDump.Line, _ keys: KeyText) -> JSON {
        var fields: [(String, JSON)] = [
            ("block", .number(line.block)), ("sequence", .unsigned(line.sequence)),
            ("kind", .string(Text.kind(line.kind))), ("key", .string(Text.bytes(line.key))),
            ("keyText", .string(keys.text(line.key))), ("tag", .number(Int(line.tag))),
            ("expireAt", .unsigned(line.expireAt)), ("flags", .number(Int(line.flags.rawValue))),
            ("valueLength", .number(line.valueLength)),
        ]
        if let pointer = line.pointer {
            fields.append(("segment", .number(Int(pointer.segment))))
            fields.append(("offset", .number(Int(pointer.offset))))
        }
        return .object(fields)
    }
}

struct SegmentFile: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "segment",
        abstract: "Shows a segment of the log: its frames and records, and how it ends.",
        discussion: """
            Every frame and every value in it is proved on the way. What is behind the last whole frame is told; only \
            `verify` can say whether that is a torn tail or damage.

            EXAMPLES
              valk-inspect segment data/log/0000000000000001-0.vseg
              valk-inspect segment data/log/0000000000000001-0.vseg --frames
              valk-inspect segment data/log/0000000000000001-0.vseg --records --limit 100
            """)

    @Argument(help: "The segment's file.")
    var file: String

    @Flag(help: "Show every frame.")
    var frames = false

    @Flag(help: "Show every record.")
    var records = false

    @Option(help: "Show at most so many records.")
    var limit = Int.max

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let disk = PosixDisk()
        let keys = KeyText(ofFile: file, disk: disk)
        var frameLines: [JSON] = []
        var recordLines: [JSON] = []
        var shown = 0
        try Output.reporting { () throws(StoreError) in
            var walk = try SegmentWalk(disk: ReadOnlyDisk(disk), path: file)
            try walk.run(
                frame: { header in
                    if json {
                        if frames { frameLines.append(SegmentFile.json(header)) }
                    } else if frames || records {
                        Output.line(SegmentFile.text(header))
                    }
                },
                record: { (_, record, offset) throws(StoreError) in
                    guard records, shown < limit else { return }
                    shown += 1
                    if json {
                        recordLines.append(SegmentFile.json(record, offset, keys))
                    } else {
                        Output.line("  " + SegmentFile.text(record, offset, keys))
                    }
                })
            if json {
                Output.line(summary(walk.summary, frameLines, recordLines).text)
            } else {
                SegmentFile.show(walk.summary)
            }
        }
    }

    private static func text(_ header: FrameHeader) -> String {
        "frame at \(header.position.offset): \(header.frameBytes) bytes, \(header.recordCount) records from sequence "
            + "\(header.firstSequence), continues \(header.previousEnd), synced up to \(header.syncedUpTo), "
            + "written \(Text.time(header.timestampMilliseconds))"
    }

    private static func text(_ record: LogRecord, _ offset: Int, _ keys: KeyText) -> String {
        let key = keys.text(record.key.array)
        var text = "key at \(offset)  sequence \(record.sequence)  "
        switch record.type {
        case .put:
            let preview = Array(record.value.array.prefix(KeyVersion.previewBytes))
            text += "put  \(key)  \(keys.type(record.tag))"
            if record.expireAt != 0 { text += "  expires \(Text.time(record.expireAt))" }
            text += "  = \(Text.bytes(preview))" + (record.value.count > preview.count ? "…" : "")
            if let pointer = record.pointer { text += "  (record at \(pointer.offset), \(pointer.length) bytes)" }
        case .delete: text += "delete  \(key)"
        case .deleteRange: text += "delete range  \(key)  up to  \(keys.text(record.value.array))"
        }
        return record.endsBatch ? text + "  end of batch" : text
    }

    private static func show(_ summary: SegmentSummary) {
        Output.line("segment         \(summary.number), generation \(summary.generation), of store \(summary.storeId)")
        Output.line("made            \(Text.time(summary.createdMilliseconds))")
        Output.line("file            \(summary.fileBytes) bytes, whole frames end at \(summary.end)")
        Output.line("frames          \(summary.frames), \(summary.records) records")
        Output.line("values          \(summary.valueRecords) kept apart, \(Text.size(summary.valueBytes))")
        if summary.records > 0 {
            Output.line("sequences       \(summary.firstSequence) to \(summary.lastSequence)")
        }
        if let first = summary.firstPreviousEnd { Output.line("continues       \(first)") }
        for fault in summary.faults { Output.line("fault           at \(fault.offset): \(fault.message)") }
        if let stop = summary.stop { Output.line("broken frame    at \(stop.offset): \(stop.reason)") }
        if summary.framesBehind > 0 {
            Output.line(
                "behind it       \(Text.count(summary.framesBehind, "frame")), the first at \(summary.firstBehind)")
        }
    }

    private func summary(_ summary: SegmentSummary, _ frameLines: [JSON], _ recordLines: [JSON]) -> JSON {
        var fields: [(String, JSON)] = [
            ("path", .string(summary.path)), ("segment", .number(Int(summary.number))),
            ("generation", .number(Int(summary.generation))), ("storeId", .string(summary.storeId.description)),
            ("fileBytes", .number(summary.fileBytes)), ("end", .number(summary.end)),
            ("frames", .number(summary.frames)), ("records", .number(summary.records)),
            ("valueRecords", .number(summary.valueRecords)), ("valueBytes", .number(summary.valueBytes)),
            ("firstSequence", .unsigned(summary.firstSequence)), ("lastSequence", .unsigned(summary.lastSequence)),
            ("brokenFrame", summary.stop.map { .string("\($0.reason)") } ?? .null),
            ("framesBehind", .number(summary.framesBehind)),
        ]
        if frames { fields.append(("frameList", .array(frameLines))) }
        if records { fields.append(("recordList", .array(recordLines))) }
        return .object(fields)
    }

    private static func json(_ header: FrameHeader) -> JSON {
        .object([
            ("offset", .number(Int(header.position.offset))), ("bytes", .number(Int(header.frameBytes))),
            ("records", .number(Int(header.recordCount))), ("firstSequence", .unsigned(header.firstSequence)),
            ("previousEnd", .string(header.previousEnd.description)),
            ("syncedUpTo", .string(header.syncedUpTo.description)),
            ("milliseconds", .unsigned(header.timestampMilliseconds)),
        ])
    }

    private static func json(_ record: LogRecord, _ offset: Int, _ keys: KeyText) -> JSON {
        .object([
            ("keyOffset", .number(offset)), ("sequence", .unsigned(record.sequence)),
            ("type", .string("\(record.type)")), ("key", .string(Text.bytes(record.key.array))),
            ("keyText", .string(keys.text(record.key.array))), ("tag", .number(Int(record.tag))),
            ("expireAt", .unsigned(record.expireAt)), ("valueLength", .number(record.value.count)),
            ("valueOffset", record.pointer.map { .number(Int($0.offset)) } ?? .null),
            ("endsBatch", .bool(record.endsBatch)),
        ])
    }
}
