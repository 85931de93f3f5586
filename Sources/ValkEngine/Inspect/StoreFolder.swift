// A store's directory as inspection sees it: which files there are and what their names say. Reads names only.

import ValkBase
import ValkDisk

package struct StoreFolder {
    package let directory: String
    /// Table files by id, in order.
    package var tables: [(id: UInt64, path: String)] = []
    /// Segments of the log, in order: of each the generation that the manifest names, or the highest without one.
    package var segments: [(number: UInt32, generation: UInt32)] = []
    /// Numbers of the manifests that are there.
    package var manifests: [UInt64] = []
    /// Dead segments that wait for another life.
    package var spares: [String] = []
    /// Paths of files that an interrupted job left; the next start removes them.
    package var unfinished: [String] = []
    /// Paths that no store makes.
    package var strangers: [String] = []

    /// Logical offsets of what was left where holes have been punched, by segment.
    private var punched: [UInt32: [UInt32]] = [:]

    /// Set for a segment whose frames can no longer be walked, because it has holes.
    func known(_ segment: UInt32) -> [UInt32]? { punched[segment] }

    package var logDirectory: String { directory + "/log" }

    package init(disk: any Disk, directory: String) throws(StoreError) {
        self.directory = directory
        do throws(DiskError) {
            for name in try disk.list(directory).sorted() { noteTop(name) }
            if try disk.exists(directory + "/tables") {
                for name in try disk.list(directory + "/tables").sorted() { noteTable(name) }
            }
            if try disk.exists(logDirectory) {
                for name in try disk.list(logDirectory).sorted() { noteLog(name) }
            }
        } catch {
            throw StoreError(error)
        }
        // A manifest that cannot be read is reported by whoever needs it.
        let state = (try? ManifestReader.load(disk, directory))?.state
        segments = try LogReplay.segments(disk: disk, directory: logDirectory, generations: state?.generations)
        for (segment, known) in state?.garbage ?? [:] {
            if let list = known.known.flatMap({ DiscardChunk.decode($0) }) { punched[segment] = list.sorted() }
        }
        tables.sort { $0.id < $1.id }
        manifests.sort()
    }

    /// Whether anything here looks like a store.
    package var isStore: Bool {
        !manifests.isEmpty || !tables.isEmpty || !segments.isEmpty
    }

    package func path(_ segment: (number: UInt32, generation: UInt32)) -> String {
        logDirectory + "/" + LogFormat.segmentName(segment.number, generation: segment.generation)
    }

    /// Whether a store keeps, or may come to keep, something under this name in its directory.
    package static func isTaken(_ name: String) -> Bool {
        switch name {
        case "LOCK", "CURRENT", "CURRENT.tmp", "tables", "log", BackupShelf.name: true
        default: manifestNumber(name) != nil
        }
    }

    private static func manifestNumber(_ name: String) -> UInt64? {
        guard let number = ManifestFormat.number(of: name), ManifestFormat.name(number) == name else { return nil }
        return number
    }

    private mutating func noteTop(_ name: String) {
        let path = directory + "/" + name
        if let number = StoreFolder.manifestNumber(name) {
            manifests.append(number)
        } else if name == "CURRENT.tmp" {
            unfinished.append(path)
        } else if !StoreFolder.isTaken(name) {
            strangers.append(path)
        }
    }

    private mutating func noteTable(_ name: String) {
        let path = directory + "/tables/" + name
        if let id = StoreFolder.tableId(ofName: name) {
            tables.append((id, path))
        } else {
            strangers.append(path)
        }
    }

    private mutating func noteLog(_ name: String) {
        let path = logDirectory + "/" + name
        if LogFormat.parseSegmentName(name) != nil { return }
        if name.hasSuffix(".vspare") {
            spares.append(path)
        } else if name.hasSuffix(".vtmp") {
            unfinished.append(path)
        } else {
            strangers.append(path)
        }
    }

    /// The file id in `IIIIIIIIIIIIIIII.vsst`.
    package static func tableId(ofName name: String) -> UInt64? {
        guard name.hasSuffix(".vsst"), name.utf8.count == 21, let id = UInt64(name.dropLast(5), radix: 16) else {
            return nil
        }
        return hexadecimal(id, digits: 16) + ".vsst" == name ? id : nil
    }
}

/// The directory's lock, taken without changing a byte, so that no server can start meanwhile.
package enum InspectionLock {
    /// Throws `.inUse` when a server has the directory. Nil when there is no lock file: then nobody can hold it.
    package static func take(disk: any Disk, directory: String) throws(StoreError) -> (any DiskLock)? {
        do throws(DiskError) {
            guard try disk.exists(directory) else {
                throw DiskError(.notFound, "open", directory)
            }
            return try disk.lockUnchanged(directory + "/LOCK")
        } catch {
            throw StoreError(error)
        }
    }
}
