// All commands, found by name in constant time without allocating.
//
// Commands and subcommands live in one flat array; a command's index is its identity everywhere (statistics, slow log,
// hosted handlers). Names are compared as two words: the first eight bytes and the last eight, both folded to lower
// case, plus the length, which decides every name of at most 16 bytes; longer ones are compared whole. Slots are open
// addressed, at most a quarter full. A subcommand is stored under its own word and its container's index.
//
// Built once at the start, immutable afterwards, shared by all threads.

import Glibc
import ValkBase
import ValkEngine

/// What the dispatcher needs of a command on every request: one cache line, no references.
@usableFromInline
package struct CommandEntry {
    @usableFromInline package var flags: CommandFlags
    /// As in COMMAND INFO: negative means at least.
    @usableFromInline package var arity: Int32
    /// Fixed key positions: first, last (negative from the end), step; all 0 when there are none or they move.
    @usableFromInline package var firstKey: Int32
    @usableFromInline package var lastKey: Int32
    @usableFromInline package var keyStep: Int32
    /// Index of the container, or -1.
    @usableFromInline package var parent: Int32
    /// The server's handler id, or -1.
    @usableFromInline package var hostedID: Int32
    /// Has subcommands: look the second argument up with `lookup(_:in:)`.
    @usableFromInline package var isContainer: Bool
    /// Keys cannot be told from the fixed positions alone: use `CommandKeys`.
    @usableFromInline package var keysMove: Bool

    @inlinable
    package func accepts(argumentCount count: Int) -> Bool {
        arity >= 0 ? count == Int(arity) : count >= Int(0 &- arity)
    }
}

package final class CommandTable: @unchecked Sendable {  // Immutable after init.
    @usableFromInline
    struct Slot {
        var head: UInt64
        var tail: UInt64
        var parent: Int32
        var length: UInt16
        /// Index + 1; 0 is empty.
        var index: UInt16
    }

    /// A struct around the function: a function value in generic memory, an Optional's too, is wrapped anew in an
    /// object on the heap at each load.
    private struct Handler {
        let run: DataHandler
    }

    /// Hot facts by index; valid as long as the table.
    package let entries: UnsafePointer<CommandEntry>
    package let count: Int
    /// The specs by index; subcommands follow their container.
    package let specs: [CommandSpec]
    /// "get", "client|list", by index.
    package let fullNames: [String]
    /// The same under the names that they were made with, whatever `rename-command` did.
    package let declaredNames: [String]
    /// Indexes of the commands that are not subcommands, in the order given.
    package let topLevel: [Int]
    private let handlers: UnsafePointer<Handler>
    private let slots: UnsafeMutablePointer<Slot>
    private let mask: Int
    private let children: [[Int]]

    /// Names (lower case) must differ; a spec without a handler is a programmer's mistake.
    package init(_ commands: [CommandSpec]) {
        var specs: [CommandSpec] = []
        var names: [String] = []
        var declared: [String] = []
        var parents: [Int] = []
        var top: [Int] = []
        for command in commands {
            let parent = specs.count
            top.append(parent)
            specs.append(command)
            names.append(command.name)
            declared.append(command.declaredName)
            parents.append(-1)
            for sub in command.subcommands {
                specs.append(sub)
                names.append(command.name + "|" + sub.name)
                declared.append(command.declaredName + "|" + sub.declaredName)
                parents.append(parent)
            }
        }
        precondition(specs.count < 0xFFFF, "too many commands")
        self.specs = specs
        self.fullNames = names
        self.declaredNames = declared
        self.topLevel = top
        count = specs.count
        var children = [[Int]](repeating: [], count: specs.count)
        for (i, parent) in parents.enumerated() where parent >= 0 { children[parent].append(i) }
        self.children = children

        var size = 64
        while size < specs.count * 4 { size *= 2 }
        mask = size - 1
        slots = .allocate(capacity: size)
        slots.initialize(repeating: Slot(head: 0, tail: 0, parent: -1, length: 0, index: 0), count: size)
        let entries = UnsafeMutablePointer<CommandEntry>.allocate(capacity: max(1, specs.count))
        let handlers = UnsafeMutablePointer<Handler>.allocate(capacity: max(1, specs.count))
        for (i, spec) in specs.enumerated() {
            let range = spec.legacyRange
            var handler: DataHandler = { _ throws(Interruption) in preconditionFailure("runs elsewhere") }
            var hostedID = -1
            switch spec.action {
            case .data(let body): handler = body
            case .hosted(let id): hostedID = id
            case .container: break
            case .unattached: preconditionFailure("command \(names[i]) has no handler")
            }
            (handlers + i).initialize(to: Handler(run: handler))
            (entries + i).initialize(
                to: CommandEntry(
                    flags: spec.flags, arity: Int32(spec.arity), firstKey: Int32(range.first),
                    lastKey: Int32(range.last), keyStep: Int32(range.step), parent: Int32(parents[i]),
                    hostedID: Int32(hostedID), isContainer: !spec.subcommands.isEmpty,
                    keysMove: spec.flags.contains(.movableKeys)))
        }
        self.entries = UnsafePointer(entries)
        self.handlers = UnsafePointer(handlers)
        for (i, spec) in specs.enumerated() {
            var name = spec.name
            name.withUTF8 { bytes in
                insert(ByteView(UnsafeRawBufferPointer(bytes)), parent: Int32(parents[i]), index: i)
            }
        }
    }

    deinit {
        slots.deallocate()
        UnsafeMutablePointer(mutating: entries).deallocate()
        let owned = UnsafeMutablePointer(mutating: handlers)
        owned.deinitialize(count: count)
        owned.deallocate()
    }

    /// The index of the command called `name` in any case, or -1.
    package func lookup(_ name: ByteView) -> Int { lookup(name, in: -1) }

    /// The index of subcommand `name` of the container at `parent`, or -1.
    package func lookup(_ name: ByteView, in parent: Int) -> Int {
        if name.count == 0 || name.count > 64 { return -1 }
        let (head, tail) = Self.words(name)
        var at = Self.hash(head, tail, name.count, Int32(truncatingIfNeeded: parent)) & mask
        while true {
            let slot = slots[at]
            if slot.index == 0 { return -1 }
            if slot.head == head && slot.tail == tail && Int(slot.length) == name.count && Int(slot.parent) == parent {
                let index = Int(slot.index) &- 1
                if name.count <= 16 || middleMatches(name, index) { return index }
            }
            at = (at &+ 1) & mask
        }
    }

    /// Finds a command, or a subcommand when `arguments` name one. -1 when there is none. For a container without a
    /// known second word the container's index is returned.
    package func resolve(_ first: ByteView, _ second: ByteView?) -> Int {
        let index = lookup(first)
        guard index >= 0, entries[index].isContainer, let second else { return index }
        let sub = lookup(second, in: index)
        return sub >= 0 ? sub : index
    }

    /// By the "container|sub" form that COMMAND INFO accepts; -1 when unknown.
    package func lookup(fullName name: ByteView) -> Int {
        for i in 0..<name.count where name[i] == UInt8(ascii: "|") {
            let parent = lookup(name[0..<i])
            return parent < 0 ? -1 : lookup(name.dropFirst(i + 1), in: parent)
        }
        return lookup(name)
    }

    /// Runs a data command; `index` is neither a hosted one nor a container.
    package func run(_ index: Int, _ context: CommandContext) throws(Interruption) {
        try handlers[index].run(context)
    }

    package func subcommands(of index: Int) -> [Int] { children[index] }

    // MARK: Words and slots

    private func insert(_ name: ByteView, parent: Int32, index: Int) {
        precondition(name.count > 0 && name.count <= 64, "command name of \(name.count) bytes")
        precondition(lookup(name, in: Int(parent)) < 0, "command \(fullNames[index]) is there twice")
        let (head, tail) = Self.words(name)
        var at = Self.hash(head, tail, name.count, parent) & mask
        while slots[at].index != 0 { at = (at + 1) & mask }
        slots[at] = Slot(
            head: head, tail: tail, parent: parent, length: UInt16(name.count), index: UInt16(index + 1))
    }

    @inline(never)
    private func middleMatches(_ name: ByteView, _ index: Int) -> Bool {
        specs[index].name.utf8.elementsEqual(
            name.buffer.lazy.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 })
    }

    @inline(__always)
    private static func hash(_ head: UInt64, _ tail: UInt64, _ length: Int, _ parent: Int32) -> Int {
        var h = head &* 0x9E37_79B9_7F4A_7C15
        h ^= (tail &+ UInt64(truncatingIfNeeded: length)) &* 0xC2B2_AE3D_27D4_EB4F
        h ^= UInt64(UInt32(bitPattern: parent)) &* 0x1656_67B1_9E37_79F9
        h ^= h >> 29
        return Int(truncatingIfNeeded: (h &* 0xBF58_476D_1CE4_E5B9) >> 33)
    }

    /// The first and the last eight bytes, lower case; shorter names are padded with zero bytes.
    @inline(__always)
    private static func words(_ name: ByteView) -> (UInt64, UInt64) {
        let n = name.count
        if n >= 8 {
            return (
                folded(name.base.loadUnaligned(as: UInt64.self)),
                folded(name.base.loadUnaligned(fromByteOffset: n &- 8, as: UInt64.self))
            )
        }
        // SAFETY: reads stay within the `n` bytes; two overlapping reads cover 4...7 bytes.
        if n >= 4 {
            let a = UInt64(name.base.loadUnaligned(as: UInt32.self).littleEndian)
            let b = UInt64(name.base.loadUnaligned(fromByteOffset: n &- 4, as: UInt32.self).littleEndian)
            return (folded(a | (b << (UInt64(n &- 4) &* 8))), 0)
        }
        var word: UInt64 = 0
        for i in 0..<n { word |= UInt64(name[i]) << UInt64(i &* 8) }
        return (folded(word), 0)
    }

    /// ASCII upper case letters of a word to lower case, every other byte untouched, eight at once.
    @inline(__always)
    private static func folded(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let low = word & 0x7F7F_7F7F_7F7F_7F7F
        let fromA = low &+ ones &* (0x80 - 0x41)
        let pastZ = low &+ ones &* (0x7F - 0x5A)
        let upper = (fromA ^ pastZ) & ~word & 0x8080_8080_8080_8080
        return word | (upper >> 2)
    }
}
