// `valk-inspect backup` and `valk-inspect restore`: one directory becomes another, proved.

import ArgumentParser
import ValkBase
import ValkDisk
import ValkEngine

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a verified backup of a store that is not in use.",
        discussion: """
            The backup holds what a start would find, and is a store itself. Files that never change are shared by hard \
            links where the file system allows it; neither directory ever changes a shared file. TARGET must be missing or \
            empty; it has its name only when everything in it is on the disk and has been read back. A server that runs \
            makes backups itself: BGSAVE.

            EXAMPLES
              valk-inspect backup /var/lib/valk /mnt/backup/monday
              valk-inspect backup data/backups/2026-11-22T17-52-19.123Z /mnt/elsewhere --copy
            """)

    @OptionGroup var store: StoreArguments
    @Argument(help: "The new directory.")
    var target: String
    @Flag(help: "Copy every file, also where a link would do.")
    var copy = false

    func run() throws { try Duplicate.run(store, target, copies: copy, verb: "backed up") }
}

struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a store's directory from a backup, verified.",
        discussion: """
            DIRECTORY must be missing or empty: move an old one away first. The backup stays as it is and can be restored \
            again; it may be anything that a store's directory may be. Start the server on the new directory afterwards.

            EXAMPLES
              mv data data.old
              valk-inspect restore data.old/backups/2026-11-22T17-52-19.123Z data
            """)

    @OptionGroup var store: StoreArguments
    @Argument(help: "The new directory.")
    var target: String
    @Flag(help: "Copy every file, also where a link would do.")
    var copy = false

    func run() throws { try Duplicate.run(store, target, copies: copy, verb: "restored") }
}

private enum Duplicate {
    static func run(_ store: StoreArguments, _ target: String, copies: Bool, verb: String) throws {
        if store.force { throw ValidationError("a store that is in use is backed up by its server, with BGSAVE") }
        try store.withStore { (disk, directory) throws(StoreError) in
            var options = BackupOptions()
            options.links = !copies
            options.verifiesAll = true
            let report = try BackupReport.make(disk: disk, of: directory, to: target, options)
            if store.json {
                let fields: [(String, JSON)] = [
                    ("path", .string(report.path)), ("linkedFiles", .number(report.linkedFiles)),
                    ("linkedBytes", .number(report.linkedBytes)), ("copiedFiles", .number(report.copiedFiles)),
                    ("copiedBytes", .number(report.copiedBytes)),
                ]
                Output.line(JSON.object(fields).text)
            } else {
                Output.line("\(directory) \(verb) to \(report.path): \(report.text)")
            }
        }
    }
}
