// What SORT is asked for, read as Redis 7.0 reads it.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

/// Arguments of SORT and SORT_RO behind the key. Options may come in any order, the last of a kind counts.
package struct SortOptions {
    var by: ByteView?
    /// BY without a star: the elements stay in the order in which they are.
    var keepsOrder = false
    var isAlphabetic = false
    var isDescending = false
    var offset: Int64 = 0
    var count: Int64 = -1
    var gets: [ByteView] = []
    /// Position of the key of STORE.
    package var target: Int?
    /// The first BY or GET whose keys come from what is sorted.
    package var foreign: Foreign?

    package enum Foreign {
        case by
        case get
    }

    enum Failure {
        case syntax
        case limit
        case foreign(Foreign)
    }

    private static func isWord(_ argument: ByteView, _ lower: StaticString) -> Bool {
        argument.equalsIgnoringCase(lower)
    }

    /// `mayReadAny`: keys that are not named may be read. `goesOn`: whatever is wrong is passed over.
    static func parse(
        _ args: ArgumentList, mayStore: Bool, mayReadAny: Bool = true, goesOn: Bool = false
    ) -> (options: SortOptions, failure: Failure?) {
        var options = SortOptions()
        var i = 2
        while i < args.count {
            let left = args.count - i - 1
            let word = args[i]
            if isWord(word, "asc") {
                options.isDescending = false
            } else if isWord(word, "desc") {
                options.isDescending = true
            } else if isWord(word, "alpha") {
                options.isAlphabetic = true
            } else if isWord(word, "limit") && left >= 2 {
                if let offset = Decimal.parse(args[i + 1]), let count = Decimal.parse(args[i + 2]) {
                    options.offset = offset
                    options.count = count
                } else if !goesOn {
                    return (options, .limit)
                }
                i += 2
            } else if mayStore && isWord(word, "store") && left >= 1 {
                options.target = i + 1
                i += 1
            } else if isWord(word, "by") && left >= 1 {
                options.by = args[i + 1]
                if SortPattern.star(in: args[i + 1]) == nil {
                    options.keepsOrder = true
                } else {
                    options.foreign = options.foreign ?? .by
                    if !mayReadAny { return (options, .foreign(.by)) }
                }
                i += 1
            } else if isWord(word, "get") && left >= 1 {
                options.gets.append(args[i + 1])
                options.foreign = options.foreign ?? .get
                if !mayReadAny { return (options, .foreign(.get)) }
                i += 1
            } else if !goesOn {
                return (options, .syntax)
            }
            i += 1
        }
        return (options, nil)
    }

    /// For those who look at a command's keys before it runs.
    package init(reading args: ArgumentList, mayStore: Bool) {
        self = Self.parse(args, mayStore: mayStore, goesOn: true).options
    }

    private init() {}
}

/// A pattern of BY or GET: a key with a star in the place of the element, and perhaps the field of a hash.
struct SortPattern {
    private let pattern: ByteView
    private let star: Int?
    /// The field behind `->`.
    private var field: ByteView?
    /// Where the key's name ends.
    private var end: Int

    init(_ pattern: ByteView) {
        self.pattern = pattern
        star = Self.star(in: pattern)
        end = pattern.count
        guard let star else { return }
        var at = star + 1
        while at + 2 < pattern.count {
            if pattern[at] == UInt8(ascii: "-") && pattern[at + 1] == UInt8(ascii: ">") {
                field = pattern.dropFirst(at + 2)
                end = at
                return
            }
            at += 1
        }
    }

    static func star(in pattern: ByteView) -> Int? {
        for i in 0..<pattern.count where pattern[i] == UInt8(ascii: "*") { return i }
        return nil
    }

    /// The value that an element leads to, which stays until the transaction ends; nil when there is none.
    func value(_ c: CommandContext, _ element: ByteView) throws(Interruption) -> ByteView? {
        if pattern.count == 1 && pattern[0] == UInt8(ascii: "#") { return element }
        guard let star else { return nil }
        let tail = pattern[star + 1..<end]
        let name = c.keys.allocate(star + element.count + tail.count)
        name.copyMemory(from: pattern.base, byteCount: star)
        (name + star).copyMemory(from: element.base, byteCount: element.count)
        (name + star + element.count).copyMemory(from: tail.base, byteCount: tail.count)
        let key = ByteView(base: name, count: star + element.count + tail.count)
        guard let field else {
            guard let entry = try c.keys.read(key), ValueType(tag: entry.pointee.tag) == .string else { return nil }
            return c.keys.copied(try c.keys.value(entry))
        }
        guard case .collection(let hash) = try c.keys.collection(key, .hash), hash.count > 0,
            c.keys.fitsElement(field), let found = try c.keys.find(hash, c.keys.element.member(field))
        else { return nil }
        if found.expireAt != 0 && found.expireAt <= c.now {
            c.keys.noteDueField(key)
            return nil
        }
        return c.keys.copied(found.value)
    }
}
