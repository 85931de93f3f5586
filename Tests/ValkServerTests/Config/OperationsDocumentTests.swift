// Operations.md says what the schema says: a row for each setting with a meaning, a list of the others by reason, a
// line for each field of INFO that is Valk's own.

import Glibc
import Testing
import ValkBase

@testable import ValkServer

@Suite struct OperationsDocumentTests {
    private static let document: String = {
        let path = #filePath.replacingSuffix(
            "Tests/ValkServerTests/Config/OperationsDocumentTests.swift",
            "Sources/ValkServer/ValkServer.docc/Operations.md")
        guard case .success(let bytes) = TextFile.read(path) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }()

    /// The row that the document must have for a setting.
    static func row(_ directive: ConfigDirective) -> String {
        let initial = directive.name == "io-threads" ? "half the cores, 1 to 4" : directive.initial
        let when: String
        switch directive.mutability {
        case .live: when = "any time"
        case .atStart, .fixed: when = "start"
        case .protected: when = "protected"
        }
        let shown = initial.isEmpty ? "empty" : "`\(initial)`"
        return "| `\(directive.name)` | \(shown) | \(directive.expectation) | \(when) | \(directive.help) |"
    }

    @Test func everySettingWithAMeaningHasItsRow() {
        #expect(!Self.document.isEmpty)
        for directive in ConfigSchema.all() where directive.meaning == .acts {
            let row = Self.row(directive)
            #expect(Self.document.contains(row), "missing: \(row)")
        }
    }

    @Test func everyFieldOfOurOwnSectionsIsExplained() throws {
        let info = try FullServer().connect().ask("INFO", "storage", "log", "compaction")
        for line in info.split(separator: "\r\n") where !line.contains("#") {
            guard let name = line.split(separator: ":").first else { continue }
            #expect(Self.document.contains("`\(name)`"), "INFO's \(name) is not explained")
        }
    }

    @Test func everySettingWithoutEffectIsListedUnderItsReason() {
        for reason in IgnoredReason.allCases {
            let names = ConfigSchema.all().filter { $0.meaning == .ignored(reason) && !$0.isHidden }.map {
                "`\($0.name)`"
            }
            if names.isEmpty { continue }
            let line = "- \(reason.rawValue): \(names.joined(separator: ", "))."
            #expect(Self.document.contains(line), "missing: \(line)")
        }
    }
}

extension String {
    fileprivate func replacingSuffix(_ old: String, _ new: String) -> String {
        hasSuffix(old) ? String(dropLast(old.count)) + new : self
    }
}
