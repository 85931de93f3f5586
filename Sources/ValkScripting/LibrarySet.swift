// The libraries of functions that the server has, and what functions they say they have. A set is a value: a change
// makes another one, which becomes the server's when its transaction is committed.
//
// Functions are found by name in any case, libraries by their exact name, as in Redis.

import Synchronization
import ValkBase

/// A library that has been loaded once, so that its functions are known. Never changes.
package final class Library: Sendable {
    package struct Function: Sendable {
        package let name: [UInt8]
        package let description: [UInt8]?
        package let flags: ScriptFlags
    }

    package let name: [UInt8]
    package let text: [UInt8]
    package let functions: [Function]

    init(name: [UInt8], text: [UInt8], functions: [Function]) {
        self.name = name
        self.text = text
        self.functions = functions
    }
}

package struct LibrarySet: Sendable {
    private static let numbers = Atomic<UInt64>(1)

    /// Differs from that of any other set.
    package private(set) var number: UInt64 = 0
    package private(set) var libraries: [[UInt8]: Library] = [:]
    /// By the lower-case name of the function: its library.
    private(set) var owners: [[UInt8]: Library] = [:]

    package init() {}

    /// The flags of the function with this name in any case, none when there is no such function.
    package func flags(of name: [UInt8]) -> ScriptFlags {
        let name = name.lowered
        return owners[name]?.functions.first { $0.name.lowered == name }?.flags ?? .compatibility
    }

    package var functionCount: Int { owners.count }

    /// About how many bytes they take.
    package var bytes: Int { libraries.values.reduce(0) { $0 + $1.text.count + $1.functions.count * 128 + 256 } }

    /// Puts a library in, in place of one with its name. Its functions must not be those of others.
    package mutating func insert(_ library: Library) throws(Complaint) {
        let old = libraries[library.name]
        for function in library.functions {
            if let owner = owners[function.name.lowered], owner !== old {
                throw Complaint("Function \(String(decoding: function.name, as: UTF8.self)) already exists")
            }
        }
        if old != nil { remove(library.name) }
        libraries[library.name] = library
        for function in library.functions { owners[function.name.lowered] = library }
        renumber()
    }

    package mutating func remove(_ name: [UInt8]) {
        guard let library = libraries.removeValue(forKey: name) else { return }
        for function in library.functions { owners[function.name.lowered] = nil }
        renumber()
    }

    package mutating func removeAll() {
        libraries = [:]
        owners = [:]
        renumber()
    }

    private mutating func renumber() { number = Self.numbers.wrappingAdd(1, ordering: .relaxed).oldValue }
}

extension [UInt8] {
    /// ASCII letters in lower case.
    package var lowered: [UInt8] { map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 } }
}

/// The set that is in force.
package final class LibraryRegistry: Sendable {
    /// The number of the set in force; loads without the lock see a change soon.
    package let number = Atomic<UInt64>(0)
    private let lock = Lock()
    // SAFETY: under `lock` only.
    private nonisolated(unsafe) var set = LibrarySet()

    package init() {}

    package var current: LibrarySet { lock.withLock { set } }

    package func put(_ new: LibrarySet) {
        lock.withLock {
            set = new
            number.store(new.number, ordering: .releasing)
        }
    }
}
