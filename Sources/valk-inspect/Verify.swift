// `valk-inspect verify`: everything is read and compared.

import ArgumentParser
import Glibc
import ValkBase
import ValkDisk
import ValkEngine

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads everything in a store and checks every checksum and every promise.",
        discussion: """
            Checked: the manifest and what its items must satisfy; every block of every table, the order of the entries, \
            filter, index and properties; every frame and record of the log and the chain that links them; that each \
            value kept in the log is where its entry says; what a start would replay. Files that do not belong are noted.

            Errors mean that something written is lost or changed. Notes are what a crash may leave behind, and what the \
            next start cleans up.

            EXAMPLES
              valk-inspect verify /var/lib/valk
              valk-inspect verify data --quiet && echo sound
            """)

    @OptionGroup var store: StoreArguments

    @Flag(help: "Show no progress and no notes.")
    var quiet = false

    func run() throws {
        var isSound = true
        try store.withStore { (disk, directory) throws(StoreError) in
            let progress = ProgressLine(isShown: !quiet)
            let begin = Monotonic.nanoseconds()
            let report = try StoreVerifier.verify(disk: disk, directory: directory) { progress.show($0) }
            progress.clear()
            isSound = report.isSound
            if store.json {
                Output.line(Verify.json(report).text)
            } else {
                show(report, directory, Double(Monotonic.nanoseconds() - begin) / 1e9)
            }
        }
        if !isSound { throw ExitCode(1) }
    }

    private func show(_ report: VerificationReport, _ directory: String, _ seconds: Double) {
        for finding in report.findings where !(quiet && finding.severity == .note) { Output.line("\(finding)") }
        let hidden = report.errorCount + report.noteCount - report.findings.count
        if hidden > 0 { Output.line("… and \(hidden) more") }
        Output.line("\(report.tables) tables: \(report.blocks) blocks, \(report.entries) entries")
        Output.line(
            "\(report.segments) log segments: \(report.frames) frames, \(report.records) records, "
                + "\(report.tailRecords) to replay")
        Output.line("\(report.pointers) values followed into the log")
        Output.line("\(Text.size(report.bytesRead)) read in \(Text.decimal(seconds, 1)) s")
        let notes = report.noteCount == 0 ? "" : ", \(Text.count(report.noteCount, "note"))"
        Output.line(
            report.isSound
                ? "\(directory): sound\(notes)"
                : "\(directory): DAMAGED, \(Text.count(report.errorCount, "error"))\(notes)")
    }

    private static func json(_ report: VerificationReport) -> JSON {
        .object([
            ("sound", .bool(report.isSound)), ("errors", .number(report.errorCount)),
            ("notes", .number(report.noteCount)), ("tables", .number(report.tables)),
            ("blocks", .number(report.blocks)), ("entries", .unsigned(report.entries)),
            ("segments", .number(report.segments)), ("frames", .number(report.frames)),
            ("records", .number(report.records)), ("recordsToReplay", .number(report.tailRecords)),
            ("valuesFollowed", .number(report.pointers)), ("bytesRead", .number(report.bytesRead)),
            (
                "findings",
                .array(
                    report.findings.map { finding in
                        .object([
                            ("severity", .string(finding.severity.rawValue)), ("path", .string(finding.path)),
                            ("offset", finding.offset < 0 ? .null : .number(finding.offset)),
                            ("message", .string(finding.message)),
                        ])
                    })
            ),
        ])
    }
}

/// One line on standard error that says how far the work is; on a terminal it replaces itself, elsewhere a new one
/// comes every ten seconds.
final class ProgressLine {
    private let isShown: Bool
    private let isTerminal = isatty(2) == 1
    private let begin = Monotonic.nanoseconds()
    private var last: UInt64
    private var isDirty = false

    init(isShown: Bool) {
        self.isShown = isShown
        last = begin
    }

    func show(_ progress: InspectionProgress) {
        let now = Monotonic.nanoseconds()
        guard isShown, now - last > (isTerminal ? 200_000_000 : 10_000_000_000) else { return }
        last = now
        let part = progress.totalBytes == 0 ? 100 : min(100, progress.doneBytes * 100 / progress.totalBytes)
        let text = "\(part) % of \(Text.size(progress.totalBytes)), \(progress.path)"
        if isTerminal {
            put("\r\u{1B}[K" + text)
            isDirty = true
        } else {
            put(text + "\n")
        }
    }

    func clear() { if isDirty { put("\r\u{1B}[K") } }

    private func put(_ text: String) {
        var text = text
        text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
}
