// Files that settings name may lie in the directory of the data, but not where the store keeps its own.

import ValkEngine

extension ConfigStore {
    /// Why the server cannot use a file that a setting names, nil when all are well placed. To be asked after the
    /// settings are read, in the directory of the data.
    package var misplacedFile: String? {
        for name in ["logfile", "pidfile", "unixsocket"] {
            let given = text(name)
            guard !given.isEmpty, let taken = ConfigStore.takenName(TextFile.absolutePath(given)) else { continue }
            return "\(name) '\(given)' cannot be used: '\(taken)' in the directory of the data belongs to the store"
        }
        return nil
    }

    /// The store's own name that `path` is, or lies in.
    private static func takenName(_ path: String) -> String? {
        var path = path
        while path != "/" && path != "." {
            let parent = TextFile.directory(of: path)
            let name = TextFile.name(of: path)
            if StoreFolder.isTaken(name) && TextFile.isCurrentDirectory(parent) { return name }
            path = parent
        }
        return nil
    }
}
