// The options of SET and GETEX: read in Redis's order, refused in Redis's combinations.

import ValkBase
import ValkRESP

/// A time as a client gave it.
enum ExpiryArgument {
    case none
    case seconds(ByteView)
    case milliseconds(ByteView)
    case unixSeconds(ByteView)
    case unixMilliseconds(ByteView)

    var isGiven: Bool {
        if case .none = self { return false }
        return true
    }

    var isAbsolute: Bool {
        switch self {
        case .unixSeconds, .unixMilliseconds: return true
        default: return false
        }
    }

    /// The moment in milliseconds since 1970; nil after an error reply.
    func resolve(_ c: CommandContext, _ command: StaticString) -> UInt64? {
        let text: ByteView
        var isSeconds = false
        switch self {
        case .none: return 0
        case .seconds(let argument), .unixSeconds(let argument):
            text = argument
            isSeconds = true
        case .milliseconds(let argument), .unixMilliseconds(let argument): text = argument
        }
        guard var when = Decimal.parse(text) else {
            c.fail(ErrorText.notInteger)
            return nil
        }
        if when <= 0 || isSeconds && when > Int64.max / 1000 {
            c.failExpireTime("\(command)")
            return nil
        }
        if isSeconds { when *= 1000 }
        if !isAbsolute { when &+= Int64(c.now) }
        if when <= 0 {
            c.failExpireTime("\(command)")
            return nil
        }
        return UInt64(when)
    }
}

struct SetOptions {
    enum Condition {
        case none
        case ifAbsent
        case ifPresent
    }

    var condition = Condition.none
    var get = false
    var keepTTL = false
    var persist = false
    var expiry = ExpiryArgument.none

    /// Reads the arguments from `first` on; nil after an error reply. `isGet`: GETEX, which knows fewer words.
    static func parse(_ c: CommandContext, from first: Int, isGet: Bool) -> SetOptions? {
        var options = SetOptions()
        /// Which of the five kinds of time is set; each excludes the others but may be repeated.
        var timeWord = 0
        let args = c.args
        var i = first
        while i < args.count {
            let hasNext = i + 1 < args.count
            if !isGet && options.condition != .ifPresent && c.isWord(i, "nx") {
                options.condition = .ifAbsent
            } else if !isGet && options.condition != .ifAbsent && c.isWord(i, "xx") {
                options.condition = .ifPresent
            } else if !isGet && c.isWord(i, "get") {
                options.get = true
            } else if !isGet && timeWord == 0 && c.isWord(i, "keepttl") {
                options.keepTTL = true
            } else if isGet && timeWord == 0 && c.isWord(i, "persist") {
                options.persist = true
            } else if hasNext && !options.keepTTL && !options.persist, let word = Self.timeWord(c, i),
                timeWord == 0 || timeWord == word
            {
                timeWord = word
                let text = args[i + 1]
                switch word {
                case 1: options.expiry = .seconds(text)
                case 2: options.expiry = .milliseconds(text)
                case 3: options.expiry = .unixSeconds(text)
                default: options.expiry = .unixMilliseconds(text)
                }
                i += 1
            } else {
                c.failSyntax()
                return nil
            }
            i += 1
        }
        return options
    }

    private static func timeWord(_ c: CommandContext, _ i: Int) -> Int? {
        if c.isWord(i, "ex") { return 1 }
        if c.isWord(i, "px") { return 2 }
        if c.isWord(i, "exat") { return 3 }
        if c.isWord(i, "pxat") { return 4 }
        return nil
    }

    func expireAt(_ c: CommandContext, _ command: StaticString) -> UInt64? { expiry.resolve(c, command) }
}
