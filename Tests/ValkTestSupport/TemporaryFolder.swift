// A folder on the real disk for one test: made under TMPDIR (or /tmp), removed with everything in it when the object
// goes. Keep it alive with `withExtendedLifetime` or a property for as long as the test uses the path.

import Glibc
import ValkDisk

package final class TemporaryFolder: Sendable {
    package let path: String

    package init() {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/valk-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { preconditionFailure("mkdtemp in \(base): errno \(errno)") }
        path = String(cString: made)
    }

    deinit { TemporaryFolder.removeAll(path, PosixDisk()) }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    private static func removeAll(_ path: String, _ disk: PosixDisk) {
        do throws(DiskError) {
            try disk.remove(path)
        } catch {
            // Only a folder that is not empty is worth a second try; what cannot go stays for the system to clean.
            guard error.code == ENOTEMPTY || error.code == EEXIST, let names = try? disk.list(path) else { return }
            for name in names { removeAll("\(path)/\(name)", disk) }
            try? disk.remove(path)
        }
    }
}
