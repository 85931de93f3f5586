// `valk-inspect salvage`: what can be read of a damaged store becomes a new one.

import ArgumentParser
import ValkBase
import ValkDisk
import ValkEngine

struct SalvageStore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "salvage",
        abstract: "Writes everything that can be read of a damaged store into a new one, and tells what is lost.",
        discussion: """
            Table files and the log are read; the newest readable version of each key counts. Parts that cannot be read are \
            named: a table or block with its range of keys, a value, a piece of the log. Where such a part held the newest \
            version of a key, an older one may come back. The damaged store is never changed; TARGET must be missing or \
            empty. Needs as much memory as the log to be read has keys and small values: with a readable manifest 256 MiB at \
            most.

            Exit status 0: nothing was lost; 1: something was, all else is in TARGET.

            EXAMPLES
              valk-inspect salvage data rescued
            """)

    @OptionGroup var store: StoreArguments
    @Argument(help: "The new directory.")
    var target: String
    @Flag(help: "Without a readable manifest: the store was made by a program, not by the server.")
    var library = false

    func run() throws {
        if store.force { throw ValidationError("a store that is in use cannot be salvaged: stop the server first") }
        var lost = 0
        try store.withStore { (disk, directory) throws(StoreError) in
            let report = try Salvage.run(disk: disk, directory: directory, to: target, isServerStore: !library)
            lost = report.lostCount
            if store.json {
                let findings: [JSON] = report.lost.map { finding in
                    .object([
                        ("path", .string(finding.path)),
                        ("offset", finding.offset < 0 ? .null : .number(finding.offset)),
                        ("message", .string(finding.message)),
                    ])
                }
                let fields: [(String, JSON)] = [
                    ("keys", .number(report.keys)), ("tables", .number(report.tables)),
                    ("logRecords", .number(report.logRecords)), ("losses", .number(report.lostCount)),
                    ("lost", .array(findings)),
                ]
                Output.line(JSON.object(fields).text)
                return
            }
            for finding in report.lost {
                let place = finding.offset >= 0 ? "\(finding.path) at offset \(finding.offset)" : finding.path
                Output.line("lost: \(place): \(finding.message)")
            }
            if report.lostCount > report.lost.count {
                Output.line("… and \(report.lostCount - report.lost.count) more")
            }
            Output.line(
                "\(Text.count(report.keys, "key")) from \(Text.count(report.tables, "table")) and "
                    + "\(Text.count(report.logRecords, "log record")) in \(target); "
                    + (lost == 0 ? "nothing is lost" : Text.count(lost, "loss")))
        }
        if lost > 0 { throw ExitCode(1) }
    }
}
