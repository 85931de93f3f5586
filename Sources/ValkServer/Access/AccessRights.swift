// What a user may do at one moment: whether somebody may log in as them, with which passwords, and their selectors.
//
// Immutable once published. A change makes a copy, applies rules to it, and publishes it whole or not at all
// (`UserRegistry`).

import ValkBase
import ValkCommands
import ValkRESP

struct AccessRights: Sendable {
    enum Sanitizing: Sendable { case unsaid, yes, skip }

    var isOn = false
    /// Any password will do.
    var takesAnyPassword = false
    /// Kept and shown; payloads are always checked here.
    var sanitizing = Sanitizing.unsaid
    /// As `PasswordDigest` has them, in the order given.
    var passwords: [[UInt8]] = []
    /// The user's own, then those in parentheses; never empty.
    var selectors: [AccessSelector]

    /// Off, with no rights.
    init(_ grammar: AccessGrammar) { selectors = [grammar.emptySelector] }

    /// What the user "default" has until somebody says otherwise.
    static func everything(_ grammar: AccessGrammar) -> AccessRights {
        var rights = AccessRights(grammar)
        rights.isOn = true
        rights.takesAnyPassword = true
        rights.selectors[0].allCommands = true
        rights.selectors[0].commands.setAll(true)
        rights.selectors[0].allKeys = true
        rights.selectors[0].allChannels = true
        return rights
    }

    /// Makes `digits` the only password; nil: any will do.
    mutating func require(_ digits: [UInt8]?) {
        takesAnyPassword = digits == nil
        passwords = digits.map { [$0] } ?? []
    }

    var isUnrestricted: Bool { selectors.contains { $0.isUnrestricted } }

    /// Whether somebody who knows `password` may log in.
    func admits(_ password: ByteView) -> Bool {
        guard isOn else { return false }
        if takesAnyPassword { return true }
        let digits = PasswordDigest.digits(of: password)
        return passwords.contains { PasswordDigest.areEqual($0, digits) }
    }

    // MARK: Checks

    /// Why a command may not run, nil when it may.
    func denial(_ facts: AccessFacts, _ arguments: ArgumentList) -> AccessDenial? {
        var furthest = AccessDenial.command
        return selectors.withUnsafeBufferPointer { selectors in
            for i in selectors.indices {
                guard let denial = selectors[i].denial(facts, arguments) else { return nil }
                if denial.isFurther(than: furthest) { furthest = denial }
            }
            return furthest
        }
    }

    /// Whether one set of rights allows the command and every key to be read.
    func allowsEveryKey(_ facts: AccessFacts, _ arguments: ArgumentList) -> Bool {
        selectors.contains { $0.denial(facts, arguments) == nil && $0.allowsEveryKey(.read) }
    }

    // MARK: Rules

    /// Changes the rights as one rule says.
    mutating func apply(_ rule: [UInt8], _ grammar: AccessGrammar) throws(AccessRuleError) {
        if rule.isEmpty { return }
        switch String(decoding: lowercased(rule), as: UTF8.self) {
        case "on": isOn = true
        case "off": isOn = false
        case "skip-sanitize-payload": sanitizing = .skip
        case "sanitize-payload": sanitizing = .yes
        case "nopass":
            takesAnyPassword = true
            passwords = []
        case "resetpass":
            takesAnyPassword = false
            passwords = []
        case "clearselectors": selectors.removeSubrange(1...)
        case "reset":
            self = AccessRights(grammar)
            sanitizing = .yes
        default: try applyOther(rule, grammar)
        }
    }

    private mutating func applyOther(_ rule: [UInt8], _ grammar: AccessGrammar) throws(AccessRuleError) {
        let rest = rule.dropFirst()
        switch rule[0] {
        case UInt8(ascii: ">"): add(password: rest.withView(PasswordDigest.digits))
        case UInt8(ascii: "#"):
            guard PasswordDigest.isValid(rest) else { throw .badHash }
            add(password: Array(rest))
        case UInt8(ascii: "<"): try remove(password: rest.withView(PasswordDigest.digits))
        case UInt8(ascii: "!"):
            guard PasswordDigest.isValid(rest) else { throw .badHash }
            try remove(password: Array(rest))
        case UInt8(ascii: "(") where rule.last == UInt8(ascii: ")"):
            var selector = grammar.emptySelector
            // Quotes that do not end leave nothing to read, as in Redis.
            for word in ConfigWords.split(Array(rest.dropLast())) ?? [] { try selector.apply(word, grammar) }
            selectors.append(selector)
        default: try selectors[0].apply(rule, grammar)
        }
    }

    private mutating func add(password digits: [UInt8]) {
        if !passwords.contains(digits) { passwords.append(digits) }
        takesAnyPassword = false
    }

    private mutating func remove(password digits: [UInt8]) throws(AccessRuleError) {
        guard let index = passwords.firstIndex(of: digits) else { throw .noSuchPassword }
        passwords.remove(at: index)
    }

    /// A selector may be spread over several words: puts those between "(" and ")" together. The failure is the word
    /// that opens what nothing closes.
    static func joined(_ words: [[UInt8]]) -> Result<[[UInt8]], UnclosedSelector> {
        var rules: [[UInt8]] = []
        var open: (first: [UInt8], so: [UInt8])?
        for word in words {
            if word.first == UInt8(ascii: "("), word.last != UInt8(ascii: ")") {
                open = (word, word)
            } else if let begun = open {
                let longer = begun.so + [0x20] + word
                open = (begun.first, longer)
                if word.last == UInt8(ascii: ")") {
                    rules.append(longer)
                    open = nil
                }
            } else {
                rules.append(word)
            }
        }
        if let open { return .failure(UnclosedSelector(word: open.first)) }
        return .success(rules)
    }

    struct UnclosedSelector: Error { let word: [UInt8] }
}

extension ArraySlice where Element == UInt8 {
    func withView<R>(_ body: (ByteView) -> R) -> R { withUnsafeBytes { body(ByteView($0)) } }
}

// MARK: As text

extension AccessRights {
    /// Rules that lead to these rights, as ACL LIST shows them and files have them.
    func description(_ catalog: AccessCatalog) -> [UInt8] {
        var words = flags.map { Array($0.utf8) }
        words += passwords.map { [UInt8(ascii: "#")] + $0 }
        words += selectors[0].words(catalog)
        for selector in selectors.dropFirst() {
            let inside = Array(selector.words(catalog).joined(separator: [0x20]))
            words.append([UInt8(ascii: "(")] + inside + [UInt8(ascii: ")")])
        }
        return Array(words.joined(separator: [0x20]))
    }

    /// The words of ACL GETUSER's flags.
    var flags: [String] {
        var flags = [isOn ? "on" : "off"]
        if takesAnyPassword { flags.append("nopass") }
        switch sanitizing {
        case .unsaid: break
        case .yes: flags.append("sanitize-payload")
        case .skip: flags.append("skip-sanitize-payload")
        }
        return flags
    }
}

extension AccessSelector {
    fileprivate func words(_ catalog: AccessCatalog) -> [[UInt8]] {
        var words = keyWords
        words += allChannels ? channelWords : [Array("resetchannels".utf8)] + channelWords
        words.append(Array(commands.rules(catalog).utf8))
        return words
    }

    /// The rules about keys.
    var keyWords: [[UInt8]] {
        if allKeys { return [Array("~*".utf8)] }
        return keys.map { entry in
            let mark = entry.rights == [.read, .write] ? "~" : entry.rights == .read ? "%R~" : "%W~"
            return Array(mark.utf8) + entry.pattern
        }
    }

    /// The rules about channels.
    var channelWords: [[UInt8]] { allChannels ? [Array("&*".utf8)] : channels.map { [UInt8(ascii: "&")] + $0 } }
}
