// The program that looks at a store which no server has open: verifies it, shows its files, explains keys; and makes
// new directories from it, such as backups. It never changes the store it is given. The work is in ValkEngine's folders
// Inspect and Backup, this program parses arguments and prints.
//
// Exit status: 0 all is well, 1 damage was found, 2 the store could not be looked at, 64 wrong arguments.

import ArgumentParser
import Glibc
import ValkDisk
import ValkEngine

@main
struct ValkInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "valk-inspect",
        abstract: "Looks at a Valk store that no server has open, and copies it. Never changes it.",
        discussion: """
            Stop the server first: while it runs, its directory is locked, and its files change under the reader.

            EXAMPLES
              valk-inspect verify data                      read everything, compare everything
              valk-inspect stats data                       where the bytes are
              valk-inspect explain data user:1000           where a key's value comes from
              valk-inspect backup data /mnt/monday          a verified copy; restore brings one back
              valk-inspect salvage data new                 what can be read of a damaged store, as a new one
              valk-inspect manifest data --edits            the store's structure, edit by edit
              valk-inspect table data/tables/0000000000000001.vsst --entries
              valk-inspect segment data/log/0000000000000001-0.vseg --records

            EXIT STATUS
              0 all is well, 1 damage was found, 2 the store could not be looked at, 64 wrong arguments
            """,
        version: "0.1.0",
        subcommands: [
            Verify.self, Stats.self, Explain.self, Manifest.self, TableFile.self, SegmentFile.self, Backup.self,
            Restore.self, SalvageStore.self,
        ])
}

/// What every subcommand that reads a whole store takes.
struct StoreArguments: ParsableArguments {
    @Argument(help: "The store's directory (the server's --dir).")
    var directory: String

    @Flag(help: "Go on although a server has the directory. What changes meanwhile may look like damage.")
    var force = false

    @Flag(help: "Print JSON.")
    var json = false

    /// Runs `body` with the directory's lock held, and turns its errors into messages and exit statuses.
    func withStore(_ body: (_ disk: any Disk, _ directory: String) throws(StoreError) -> Void) throws {
        let disk = PosixDisk()
        var path = directory
        while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
        try Output.reporting { () throws(StoreError) in
            let lock: (any DiskLock)?
            do throws(StoreError) {
                lock = try InspectionLock.take(disk: disk, directory: path)
            } catch {
                guard case .inUse(let pid) = error.kind else { throw error }
                guard force else {
                    let holder = pid == 0 ? "another process" : "process \(pid)"
                    throw StoreError(
                        .inUse(pid), "\(path) is in use by \(holder): stop the server first, or give --force")
                }
                Output.complain("warning: the directory is in use; what changes meanwhile may look like damage")
                lock = nil
            }
            defer { lock?.release() }
            try body(disk, path)
        }
    }
}

/// Standard output and standard error.
enum Output {
    static func line(_ text: String = "") { print(text) }

    static func complain(_ text: String) {
        fflush(nil)
        var text = text + "\n"
        text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }

    /// Exit status 1 for damage, 2 for everything else that a store can throw.
    static func reporting(_ body: () throws(StoreError) -> Void) throws {
        do throws(StoreError) {
            try body()
        } catch {
            complain("valk-inspect: \(error)")
            throw ExitCode(error.kind == .corruption ? 1 : 2)
        }
    }
}
