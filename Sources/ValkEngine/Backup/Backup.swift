// What a backup is asked for and what it tells. How one is made is in BackupWriter; what goes into it in BackupPlan.
//
// A backup is a directory that is itself a store: table files and sealed segments under a second name (a hard link)
// where the file system allows it, copies otherwise, the log's tail as a copy up to the moment, and a manifest of its
// own. It has its final name only when all of it is durable and proved.
//
// A file that two directories share must never change in place. Tables never do. Segments: whoever punches, cuts or
// recycles one looks at its number of names first (`DiskFile.linkCount`) and leaves a shared one alone; the garbage
// collector does so with its `gate` held, which a backup takes, so that none comes in between. Removing a name is
// always right. The backup's own store keeps the same rules when it is opened, so neither side harms the other.

/// What was made by `Database.backup(to:)`.
public struct BackupReport: Sendable {
    public var path = ""
    /// Files that the backup shares with the database, and their bytes. They take no space until the database has
    /// replaced them.
    public var linkedFiles = 0
    public var linkedBytes = 0
    /// Files written anew, and their bytes.
    public var copiedFiles = 0
    public var copiedBytes = 0
    public var milliseconds: Double = 0

    package var text: String {
        "\(linkedFiles) files (\(linkedBytes) bytes) linked, \(copiedFiles) files (\(copiedBytes) bytes) copied, in "
            + "\(Int(milliseconds.rounded())) ms"
    }
}

/// How a backup is made.
package struct BackupOptions: Sendable {
    /// False: every file is copied, also where a link would do.
    package var links = true
    /// Reads everything before the backup gets its name. Otherwise the manifest, each table's footer, index and filter,
    /// each segment's header and the whole tail of the log are proved.
    package var verifiesAll = false
    /// Asked between files and between pieces of large ones; true gives up.
    package var isCancelled: @Sendable () -> Bool = { false }

    package init() {}
}
